//! Conditions say what they do not understand, take what fits, and never mind what the text looks like.

use proptest::prelude::any;
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::event::EventType;
use crate::{Fault, Id};

fn row() -> Row {
    let pair = |key, value: &str| (key, value.to_owned());
    Row {
        origin: "example.org/node-1".into(),
        index: 7,
        hlc: 1_700_000_000_123 << 16 | 5,
        id: Id::from_bits(1),
        kind: EventType::ToolIntent,
        cause: None,
        values: vec![
            pair(Key::Agent, "patcher"),
            pair(Key::Agent, "triage"),
            pair(Key::Decision, "step_up"),
        ],
        tokens: vec![Token(3)],
        words: words("github push_files"),
    }
}

fn takes(conditions: &[(&str, &str)]) -> bool {
    let mut all = Conditions::default();
    for (key, value) in conditions {
        all.set(key, value).unwrap();
    }
    all.take(&row())
}

#[test]
fn a_condition_holds_for_any_value_of_its_key() {
    for held in [
        ("agent", "triage"),
        ("agent", "patcher"),
        ("type", "tool"),
        ("type", "tool.intent"),
        ("node", "node-1"),
        ("decision", "step_up"),
        ("text", "PUSH files"),
        ("since", "2023-11-14T22:13:20.1235Z"),
        ("until", "2023-11-14T22:13:20.123001Z"),
        ("since", "2023-11-14"),
    ] {
        assert!(takes(&[held]), "{held:?}");
    }
    for not in [
        ("agent", "patch"),
        ("type", "tool.result"),
        ("text", "push pull"),
        ("resource", "acme/web"),
        ("since", "2023-11-14T22:13:20.124Z"),
        ("until", "2023-11-14T22:13:20.123Z"),
    ] {
        assert!(!takes(&[not]), "{not:?}");
    }
    assert!(!takes(&[("agent", "triage"), ("decision", "deny")]));
}

#[test]
fn a_resource_is_compared_by_what_stands_for_it() {
    let asked = Conditions::default()
        .and(Key::Resource, "acme/web")
        .unwrap();
    assert!(asked.clone().with_token(Token(3)).take(&row()));
    assert!(!asked.with_token(Token(4)).take(&row()));
}

#[test]
fn what_is_no_condition_is_named_with_its_place() {
    let mut conditions = Conditions::default();
    conditions.set("agent", "coder").unwrap();
    for (key, value, message) in [
        (
            "colour",
            "red",
            "condition 2: `colour` is not something to filter by",
        ),
        (
            "agent",
            "x",
            "condition 2: `agent` is given twice, and no event has two",
        ),
        (
            "type",
            "tools",
            "condition 2: `tools` is not a type of event",
        ),
        (
            "decision",
            "maybe",
            "condition 2: `maybe` is not allow, deny or step_up",
        ),
        (
            "task",
            "task_1",
            "condition 2: `task_1` is not the id of a task",
        ),
        (
            "since",
            "soon",
            "condition 2: `soon` is not an RFC 3339 instant or a day",
        ),
        (
            "text",
            "…",
            "condition 2: `…` is not a text with words in it",
        ),
        ("user", "", "condition 2: `` is not 1 to 512 bytes long"),
    ] {
        let error = conditions.set(key, value).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.code(), Code::BadFilter);
        assert!(!error.help().is_empty());
    }
    let help = conditions.set("colour", "red").unwrap_err().help();
    assert!(KEYS.iter().all(|key| help.contains(key)), "{help}");
    assert_eq!(conditions.len(), 1, "what was refused has left something");
}

#[test]
fn a_day_is_that_of_logical_time_and_the_last_one_holds_the_rest() {
    let day = |hlc| Row { hlc, ..row() }.day();
    assert_eq!(day(0), "1970-01-01");
    assert_eq!(day(1_700_000_000_123 << 16), "2023-11-14");
    assert_eq!(day(u64::MAX), "9999-12-31");
}

proptest! {
    /// A filter is text from anybody: every key and value is taken or named, and nothing breaks.
    #[test]
    fn any_text_is_a_condition_or_a_named_mistake(key in "\\PC*", value in any::<String>()) {
        let known = KEYS.iter().copied().chain([key.as_str()]);
        for key in known {
            let mut conditions = Conditions::default();
            match conditions.set(key, &value) {
                Ok(()) => {
                    prop_assert_eq!(conditions.len(), 1);
                    conditions.take(&row());
                }
                Err(error) => prop_assert!(error.to_string().len() < 700),
            }
        }
    }

    /// What is written into an index word by word is found word by word.
    #[test]
    fn words_are_stable(text in any::<String>()) {
        let once = words(&text);
        prop_assert!(once.len() <= MAX_WORDS);
        prop_assert_eq!(&words(&once.join(" ")), &once);
        for word in &once {
            prop_assert!(word.chars().all(char::is_alphanumeric), "{word:?}");
        }
    }

    #[test]
    fn a_cursor_is_read_as_it_is_written(hlc: u64, index: u64, origin in "[a-z0-9./@-]{1,40}") {
        let cursor = Cursor { hlc, index, origin: origin.into() };
        prop_assert_eq!(cursor.to_string().parse::<Cursor>(), Ok(cursor));
    }

    #[test]
    fn any_text_is_a_cursor_or_not(text in any::<String>()) {
        let _ = text.parse::<Cursor>();
    }
}
