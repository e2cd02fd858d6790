//! `oversize_leaf`: whatever lists an event has, it fits a leaf with room to spare; what is over a leaf is refused and named.

use bailiwick_core::Id;
use bailiwick_core::event::{
    ApprovalRef, ChainRef, DecisionRef, MAX_CHAIN, MAX_ITEM, MAX_LABELS, MAX_LIST, Parent,
    ParentRole, Sealed, SealedClass, TaskRef,
};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_compose, prop_oneof, proptest};

use super::*;
use crate::leaf::MAX_LEAF;

/// What an event whose every list is full must stay below, in bytes.
const ROOM: usize = 48 << 10;

/// Names as policies, agents and accounts have them.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("n".repeat(MAX_ITEM)),
        1 => "[a-z0-9_/.-]{1,400}",
    ]
}

fn names() -> impl Strategy<Value = Vec<String>> {
    vec(name(), MAX_LIST..=MAX_LIST + 4)
}

prop_compose! {
    /// An event with every list at its bound or beyond.
    fn full()(
        policies in names(),
        reasons in names(),
        would_be in names(),
        shadow in names(),
        approvers in names(),
        duties in vec((name(), name()), MAX_LIST..=MAX_LIST + 4),
        links in MAX_CHAIN..=MAX_CHAIN + 3,
        parents in MAX_LIST..=MAX_LIST + 3,
        labels in MAX_LABELS..=MAX_LABELS + 3,
    ) -> Event {
        let mut event = intent(b"args");
        for path in ["/result", "/request", "/call_digest", "/shown", "/reason", "/input"] {
            let class = SealedClass::Content;
            let value = b"value".to_vec();
            event.sealed.push(Sealed { path, class, value, keep: true });
        }
        let duties: Vec<_> = duties
            .into_iter()
            .map(|(kind, argument)| serde_json::json!({"kind": kind, "argument": argument}))
            .collect();
        let decision = serde_json::json!({
            "effect": "allow",
            "policies": policies,
            "reasons": reasons,
            "obligations": duties,
            "versions": {"bundle": null, "task": u64::MAX, "fence_seq": u64::MAX, "replica_seq": u64::MAX},
            "us": u64::MAX,
            "would_be": {"effect": "deny", "reasons": would_be},
            "shadow": {"bundle": Digest([1; 32]), "effect": "deny", "reasons": shadow},
        });
        let decision: DecisionRef = serde_json::from_value(decision).unwrap();
        let task = |at: usize| Id::from_bits(at as u128);
        let labels = (0..labels).map(|at| format!("{at:0>32}"));
        Event {
            chain: (0..links)
                .map(|at| ChainRef {
                    agent: "a".repeat(63).parse().unwrap(),
                    instance: Some(Id::from_bits(at as u128)),
                    task: task(at),
                    jti: Some(Id::from_bits(at as u128)),
                })
                .collect(),
            parents: (0..parents)
                .map(|at| Parent { role: ParentRole::DelegatedBy, id: Id::from_bits(at as u128) })
                .collect(),
            task: Some(TaskRef {
                id: task(1),
                root: task(2),
                parent: Some(task(3)),
                version: u64::MAX,
                stage: "s".repeat(32).parse().unwrap(),
                risk: bailiwick_core::risk::Risk::High,
                labels: labels.map(|label| label.parse().unwrap()).collect(),
            }),
            decision: Some(decision),
            approval: Some(ApprovalRef { id: Id::from_bits(9), approvers }),
            ..event
        }
    }
}

/// How many items a list lost.
fn lost(leaf: &Leaf, list: &str, length: usize, most: usize) {
    let more = leaf.event.more.get(list).copied().unwrap_or(0);
    assert_eq!(more, length.saturating_sub(most) as u64, "{list}");
}

fn check(log: &Log, event: &Event) {
    let pending = log.encoder.encode(event.clone(), Class::Grant).unwrap();
    let stored = pending.frame.stored().unwrap();
    assert!(stored.leaf.len() < ROOM, "{} bytes", stored.leaf.len());
    let leaf = Leaf::parse(stored.leaf).unwrap();
    let (before, after) = (
        event.decision.as_ref().unwrap(),
        leaf.event.decision.as_ref().unwrap(),
    );
    for (list, before, after) in [
        ("decision.policies", &before.policies, &after.policies),
        ("decision.reasons", &before.reasons, &after.reasons),
    ] {
        lost(&leaf, list, before.len(), MAX_LIST);
        for (before, after) in before.iter().zip(after) {
            assert!(before.starts_with(after) && after.len() == before.len().min(MAX_ITEM));
        }
    }
    lost(&leaf, "chain", event.chain.len(), MAX_CHAIN);
    assert_eq!(leaf.event.chain[..], event.chain[..MAX_CHAIN]);
    lost(&leaf, "parents", event.parents.len(), MAX_LIST);
    let labels = event.task.as_ref().unwrap().labels.iter().count();
    lost(&leaf, "task.labels", labels, MAX_LABELS);
    let whole = leaf
        .sealed
        .iter()
        .any(|sealed| sealed.path == "/lists" && sealed.kept);
    let over =
        *before != *after || !leaf.event.more.is_empty() || event.approval != leaf.event.approval;
    assert_eq!(whole, over, "the whole is sealed if anything was cut");
}

#[test]
fn oversize_leaf() {
    let bench = Bench::new();
    let log = bench.open();
    let config = ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(event in full())| check(&log, &event));
    // What has no list to cut is refused, and named.
    for (field, event) in [
        (
            "actor",
            Event {
                actor: Some("x".repeat(MAX_LEAF)),
                ..event(EventType::AdminChanged)
            },
        ),
        (
            "user",
            Event {
                user: Some("x".repeat(MAX_LEAF)),
                ..event(EventType::TaskOpened)
            },
        ),
    ] {
        match log.encoder.encode(event, Class::Grant) {
            Err(RecordError::TooLarge {
                field: named,
                bytes,
            }) => {
                assert_eq!((named.as_str(), bytes > MAX_LEAF), (field, true));
            }
            other => panic!("{other:?}"),
        }
    }
}
