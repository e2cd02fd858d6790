//! An index that lost a forbid is found out.

use bailiwick_core::decision::Outcome;
use bailiwick_core::{Code, Digest, Timestamp};

use super::*;
use crate::index::Index;
use crate::recorded::Recorded;
use crate::{Registry, fixtures, starter};

fn calls() -> (Bundle, Recorded) {
    let source = starter::demo();
    let registry: Registry = fixtures(&source).unwrap();
    let bundle = Bundle::compile_lenient(&source, Digest([0; 32]), &registry).unwrap();
    let recorded = serde_json::json!({
        "agent": "demo-agent", "tool": "workspace/read_file", "definition": Digest([0; 32]), "effect": "read",
        "arguments": "{\"path\":\"notes/plan.md\"}", "user": "user:test:alice", "chain": ["demo-agent"],
        "task": {
            "id": bailiwick_core::id::TaskId::from_bits(1), "workflow": "default", "stage": "run", "risk": "low", "labels": [],
            "created_at": Timestamp::default(), "depth": 0, "requested_by": "user",
            "usage": {"calls": 0, "writes": 0, "escalations": 0},
        },
        "now": Timestamp::default(),
        "versions": {"bundle": null, "task": 1, "fence_seq": 0, "replica_seq": 0},
    });
    (bundle, serde_json::from_value(recorded).unwrap())
}

/// The first of many microseconds at which the call is sampled, and how many were.
fn sampled(call: &Recorded) -> (Recorded, usize) {
    let at = |micros| Recorded {
        now: Timestamp::from_micros(1_800_000_000_000_000 + micros),
        ..call.clone()
    };
    let all: Vec<Recorded> = (0..100_000_i64)
        .map(at)
        .filter(|call| call.ask(is_sampled))
        .collect();
    (all[0].clone(), all.len())
}

#[test]
fn about_one_call_in_4096_is_looked_at() {
    let (_, count) = sampled(&calls().1);
    assert!((12..=40).contains(&count), "{count}");
}

#[test]
fn an_index_that_lost_policies_denies_the_calls_that_are_looked_at() {
    let (mut bundle, call) = calls();
    let (call, _) = sampled(&call);
    let decide = |bundle: &Bundle, call: &Recorded| bundle.explain_recorded(call).decision;
    assert_eq!(decide(&bundle, &call).outcome, Outcome::Allow);
    // All but the permits are lost.
    let permits = bundle.rules.iter().filter(|rule| rule.is_permit());
    bundle.index = Index::new(permits.map(|rule| &rule.clause.scope));
    let denied = decide(&bundle, &call);
    assert_eq!(
        (denied.outcome, denied.code),
        (Outcome::Deny, Some(Code::PolicyError))
    );
    assert!(denied.reasons[0].reason.contains("index"), "{denied:?}");
    assert_eq!(denied.reasons[0].source, crate::DIVERGED);
}
