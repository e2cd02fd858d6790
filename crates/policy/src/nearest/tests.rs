//! Which name is proposed for a mistyped one.

use super::*;

#[test]
fn near_misses_are_found() {
    let find = |written| {
        nearest(
            written,
            ["reason", "step_up", "read", "write", "s"].into_iter(),
            2,
        )
    };
    assert_eq!(find("reasn"), Some("reason"));
    assert_eq!(find("stepup"), Some("step_up"));
    assert_eq!(find("reed"), Some("read"));
    assert_eq!(find("colour"), None);
}

#[test]
fn distances() {
    for (a, b, expected) in [
        ("", "", 0),
        ("", "abc", 3),
        ("abc", "", 3),
        ("kitten", "sitting", 3),
        ("é", "e", 1),
    ] {
        assert_eq!(distance(a, b), expected, "{a} {b}");
    }
    assert_eq!(distance(&"a".repeat(10_000), &"b".repeat(10_000)), LONGEST);
}
