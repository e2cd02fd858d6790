//! What each kind of name takes and refuses.

use super::{AccountName, AgentName, ServerName, ToolName, ToolRef, UserId};

#[test]
fn agent_names_are_dns_labels() {
    for good in ["a", "triage-bot", "a1", &"x".repeat(63)] {
        assert!(good.parse::<AgentName>().is_ok(), "{good}");
    }
    for bad in [
        "",
        "-a",
        "a-",
        "A",
        "a_b",
        "a.b",
        "a/b",
        "ä",
        &"x".repeat(64),
    ] {
        assert!(bad.parse::<AgentName>().is_err(), "{bad}");
    }
}

#[test]
fn servers_never_hold_the_aggregate_separator() {
    assert!("git-hub".parse::<ServerName>().is_ok());
    assert!("git__hub".parse::<ServerName>().is_err());
    assert!("x".repeat(33).parse::<ServerName>().is_err());
}

#[test]
fn tools_hold_no_separator_or_invisible_blank() {
    assert!("update_order".parse::<ToolName>().is_ok());
    for bad in ["", "a/b", "a b", "a\u{7}", "a\u{2003}b"] {
        assert!(bad.parse::<ToolName>().is_err(), "{bad:?}");
    }
    let reference: ToolRef = "files/read_file".parse().unwrap();
    assert_eq!(reference.to_string(), "files/read_file");
    assert!("files".parse::<ToolRef>().is_err());
}

#[test]
fn users_name_their_issuer() {
    assert!("user:local:alice".parse::<UserId>().is_ok());
    for bad in [
        "alice",
        "user:alice",
        "user::alice",
        "user:local:",
        "user:local:a b",
    ] {
        assert!(bad.parse::<UserId>().is_err(), "{bad}");
    }
}

#[test]
fn a_person_of_this_node_is_their_account() {
    let anna: AccountName = "anna".parse().unwrap();
    let user = UserId::of_account(&anna);
    assert_eq!(user, "user:local:anna".parse().unwrap());
    assert_eq!(user.account(), Some(anna));
    for elsewhere in ["user:corp:anna", "user:unix:1000", "user:local:Anna"] {
        let user: UserId = elsewhere.parse().unwrap();
        assert_eq!(user.account(), None, "{elsewhere}");
    }
}
