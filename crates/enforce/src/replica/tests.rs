//! Loading, gaps and local fences (02 §9, §10).

use std::sync::Arc;

use bailiwick_core::change::{Change, ChangeBody};
use bailiwick_core::fence::Subject;
use bailiwick_core::task::TaskState;
use bailiwick_core::{Code, Digest, Fault};

use super::{Replica, Status};
use crate::live::Live;
use crate::testing::{TASK, World};

fn policy(seq: u64) -> Change {
    Change {
        seq,
        body: ChangeBody::Policy(Digest([1; 32])),
        event: None,
    }
}

#[test]
fn nothing_can_be_looked_at_before_the_first_load() {
    let replica = Replica::new(Arc::new(Live::default()));
    assert_eq!(
        replica.view(|state| state.seq).unwrap_err().code(),
        Code::ReplicaBehind
    );
    // What arrives meanwhile is kept, and what the snapshot holds is skipped.
    replica.apply(&[policy(9), policy(10), policy(11)]);
    replica.load(Vec::new(), 10);
    assert_eq!(replica.applied(), 11);
    replica.apply(&[policy(10), policy(12)]);
    assert_eq!(replica.applied(), 12);
}

#[test]
fn a_gap_or_a_repetition_closes_it_and_cuts_everything() {
    for seq in [11, 12, 14, 99] {
        let replica = Replica::new(Arc::new(Live::default()));
        replica.load(Vec::new(), 10);
        replica.apply(&[policy(11), policy(12)]);
        let live = replica.live().enter(vec![(Subject::TrustDomain, 0)]);
        replica.apply(&[policy(seq)]);
        assert!(matches!(replica.status(), Status::Closed(_)), "after {seq}");
        assert!(live.was_cut().is_some());
        assert!(replica.view(|_| ()).is_err());
        // What comes after does not open it again; a load does.
        replica.apply(&[policy(13)]);
        assert!(replica.view(|_| ()).is_err());
        replica.load(Vec::new(), 20);
        assert!(replica.view(|_| ()).is_ok());
    }
}

#[tokio::test]
async fn a_local_fence_holds_before_it_is_durable_and_through_a_load() {
    let world = World::new().await;
    let live = world.replica.live().enter(vec![(Subject::Task(TASK), 0)]);
    let mut fence = world.fence(Subject::Task(TASK));
    fence.seq = 0;
    assert_eq!(world.replica.fence_now(&[fence]), 1);
    assert!(live.was_cut().is_some());
    let dead = |world: &World| {
        world
            .replica
            .view(|state| state.fences().dead(&Subject::Task(TASK), 0).is_some())
            .unwrap()
    };
    assert!(dead(&world));
    world.replica.load(Vec::new(), 10);
    assert!(dead(&world));
}

#[tokio::test]
async fn the_end_of_a_task_cuts_what_runs_in_it() {
    let world = World::new().await;
    let live = world.replica.live().enter(vec![(Subject::Task(TASK), 0)]);
    let mut task = world.task();
    task.end(TaskState::Completed).unwrap();
    world.commit(ChangeBody::Task(task));
    assert!(live.was_cut().is_some_and(|cut| cut.fence.is_none()));
}
