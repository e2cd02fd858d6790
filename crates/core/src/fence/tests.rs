//! Lifting revives nothing, final kinds never lift, subjects round-trip.

use super::{Fence, FenceSet, Subject};
use crate::Timestamp;
use crate::id::{FenceId, RevocationId, TaskId};

fn fence(id: u128, subject: Subject, seq: u64, lifted_seq: Option<u64>) -> Fence {
    Fence {
        id: FenceId::from_bits(id),
        subject,
        seq,
        lifted_seq,
        revocation: RevocationId::from_bits(1),
        reason: "INC-4".into(),
        actor: "anna".into(),
        set_at: Timestamp::from_secs(1),
    }
}

#[test]
fn lift_revives_nothing() {
    let coder = Subject::parse("agent", "coder").unwrap();
    let mut set = FenceSet::default();
    set.put(fence(1, coder.clone(), 10, None));
    assert!(set.dead(&coder, 5).is_some());
    assert!(
        set.dead(&coder, 50).is_some(),
        "an unlifted fence also kills what is born later"
    );
    set.put(fence(1, coder.clone(), 10, Some(20)));
    assert!(set.dead(&coder, 5).is_some(), "born before the fence");
    assert!(set.dead(&coder, 20).is_some(), "born at the lift");
    assert!(set.dead(&coder, 21).is_none(), "born after the lift");
    set.put(fence(2, coder.clone(), 30, None));
    assert!(
        set.dead(&coder, 21).is_some(),
        "a second fence counts by itself"
    );
    assert_eq!(set.len(), 2);
}

#[test]
fn final_kinds_stay_dead() {
    let task = Subject::Task(TaskId::from_bits(7));
    let mut set = FenceSet::default();
    set.put(fence(1, task.clone(), 10, Some(20)));
    assert!(set.dead(&task, 99).is_some());
}

#[test]
fn subjects_round_trip_and_refuse_typos() {
    for text in [
        "agent/coder",
        "user/user:local:alice",
        "tool/files/read_file",
        "trust_domain/",
        "server/files",
    ] {
        assert_eq!(text.parse::<Subject>().unwrap().to_string(), text);
    }
    for bad in [
        "agnet/coder",
        "agent/",
        "task/task_1",
        "key/short",
        "trust_domain/x",
        "tool/files",
    ] {
        assert!(bad.parse::<Subject>().is_err(), "{bad}");
    }
}
