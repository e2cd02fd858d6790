//! What is cut, what is kept of it, and that nothing else is touched.

use super::*;
use crate::event::{ApprovalRef, DecisionRef, EventType, Parent, ParentRole};
use crate::id::Id;

fn event() -> Event {
    Event::new(Id::from_bits(1), EventType::ToolIntent)
}

#[test]
fn lists_within_their_bounds_are_left_alone() {
    let mut bounded = Event {
        parents: vec![
            Parent {
                role: ParentRole::Approval,
                id: Id::from_bits(2),
            };
            MAX_LIST
        ],
        approval: Some(ApprovalRef {
            id: Id::from_bits(3),
            approvers: vec!["x".repeat(MAX_ITEM); MAX_LIST],
        }),
        ..event()
    };
    let before = bounded.clone();
    bounded.bound();
    assert_eq!(bounded, before);
}

#[test]
fn a_longer_list_keeps_its_first_items_and_the_whole_is_sealed() {
    let names: Vec<String> = (0..=MAX_LIST).map(|number| number.to_string()).collect();
    let mut event = Event {
        decision: Some(DecisionRef {
            policies: names.clone(),
            ..decision()
        }),
        ..event()
    };
    event.bound();
    let policies = &event.decision.as_ref().unwrap().policies;
    assert_eq!(policies[..], names[..MAX_LIST]);
    assert_eq!(
        event.more,
        BTreeMap::from([("decision.policies".to_owned(), 1)])
    );
    let sealed = &event.sealed[0];
    assert_eq!((sealed.path, sealed.keep), (LISTS, true));
    let whole: Value = serde_json::from_slice(&sealed.value).unwrap();
    assert_eq!(whole["decision.policies"], serde_json::json!(names));
    let text = serde_json::to_string(&event).unwrap();
    assert!(
        text.ends_with(r#""more":{"decision.policies":1}}"#),
        "{text}"
    );
}

#[test]
fn a_long_item_is_cut_between_characters() {
    let long = "ü".repeat(MAX_ITEM);
    let mut event = Event {
        decision: Some(DecisionRef {
            reasons: vec![long.clone()],
            ..decision()
        }),
        ..event()
    };
    event.bound();
    let kept = &event.decision.as_ref().unwrap().reasons[0];
    assert_eq!(kept, &"ü".repeat(MAX_ITEM / 2));
    assert!(event.more.is_empty());
    assert!(String::from_utf8_lossy(&event.sealed[0].value).contains(&long));
}

fn decision() -> DecisionRef {
    serde_json::from_str(
        r#"{"effect":"deny","versions":{"bundle":null,"task":1,"fence_seq":1,"replica_seq":1},"us":1}"#,
    )
    .unwrap()
}
