//! Times as people give them, and what stands for a bundle.

use super::*;

#[test]
fn a_time_is_a_time_ago_or_an_instant() {
    let now = SystemClock.wall();
    let ago = now.since(instant("2h").unwrap()).as_secs();
    assert!((7_199..=7_260).contains(&ago), "{ago}");
    assert_eq!(
        instant("2026-11-23T05:00:00Z").unwrap(),
        "2026-11-23T05:00:00Z".parse().unwrap()
    );
    for text in [
        "",
        "d",
        "7",
        "7x",
        "-1d",
        "é",
        "99999999999999999999d",
        "18446744073709551615w",
    ] {
        assert!(instant(text).is_err(), "{text}");
    }
}

#[test]
fn a_mistyped_directory_is_no_version() {
    for named in ["./nowhere", "policies/new", "nowhere\\x"] {
        let failure = choice(named).err().unwrap();
        assert_eq!(failure.exit_code(), 3, "{named}");
    }
    assert_eq!(
        choice("active").ok().unwrap().body,
        json!({"version": "active"})
    );
}

#[test]
fn what_agents_wrote_is_shown_visibly() {
    let body = json!({
        "event": "evt_1", "code": "forbidden", "note": "",
        "decision": {"effect": "deny", "reasons": ["p"]},
        "then": {
            "bundle": "sha256:0", "stage": null,
            "decision": {"outcome": "deny", "would_allow": ["another value for `path`"]},
            "because": [{"policy": "p", "permits": false, "file": "a.cedar", "line": 3, "column": 8,
                "clause": "context.input.path like \"*\"", "holds": true,
                "values": [{"name": "context.input.path", "value": "\"a\u{1b}[2J\u{202e}b\""}]}],
        },
    });
    let out = Out::of_process(
        crate::output::Format::Table,
        crate::output::Color::Never,
        true,
    );
    let told = grounds::told(&out, &body);
    assert!(!told.contains(['\u{1b}', '\u{202e}']), "{told}");
    for said in [
        "deny forbidden",
        "forbid p (a.cedar:3:8): `context.input.path like \"*\"` holds",
        "context.input.path is",
        "would allow it: another value for `path`",
    ] {
        assert!(told.contains(said), "{said} is not in\n{told}");
    }
}
