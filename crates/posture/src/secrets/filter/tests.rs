//! Expressions of foreign rules: values, and what is not supported.

use super::{Filter, Subject, entropy};

fn holds(source: &str, secret: &str) -> bool {
    let subject = Subject {
        secret: secret.as_bytes(),
        matched: b"key = x",
        line: b"key = x # line",
        path: b"src/a.py",
    };
    Filter::parse(source).unwrap().holds(&subject)
}

#[test]
fn conditions_as_they_are_published() {
    assert!(holds(r#"entropy(finding["secret"]) <= 3.0"#, "aaaabbbb"));
    assert!(!holds(
        r#"entropy(finding["secret"]) <= 3.0"#,
        "q8zjx0vkw3hgfp2m"
    ));
    assert!(holds(
        r#"len(finding["secret"]) < 4 || containsAny(finding["line"], ["line"])"#,
        "abcdef"
    ));
    assert!(holds(
        "(matchesAny(attributes[\"path\"], [`\\.py$`,\n `\\.rs$`,]) && !matchesAny(finding[\"match\"], [\"^token\"]))",
        "x"
    ));
}

#[test]
fn what_is_not_supported_is_said() {
    for (source, what) in [
        (
            "tokenRatio(finding[\"secret\"]) >= 2.5",
            "`tokenRatio` is not supported",
        ),
        ("entropy(finding[\"entropy\"]) > 1", "is not supported"),
        ("let x = 1", "`=` is not known"),
        ("entropy(finding[\"secret\"])", "comparison is missing"),
        ("", "function is missing"),
        ("matchesAny(finding[\"secret\"], [\"(\"])", "regex"),
        ("matchesAny(finding[\"secret\"], [\"x", "has no end"),
    ] {
        let error = Filter::parse(source).unwrap_err();
        assert!(error.contains(what), "{source}: {error}");
    }
    assert!(Filter::parse(&"(".repeat(100_000)).is_err());
    assert!(Filter::parse(&"!".repeat(1_000)).is_err());
}

#[test]
fn entropy_is_shannons() {
    assert!((entropy(b"abcd") - 2.0).abs() < 1e-9);
    assert!(entropy(b"aaaa").abs() < 1e-9);
    assert!(entropy(b"").abs() < 1e-9);
}
