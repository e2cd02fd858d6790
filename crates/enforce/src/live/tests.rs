//! The live index against fences that fall at any moment.

use std::sync::Arc;
use std::thread;

use bailiwick_core::Timestamp;
use bailiwick_core::fence::{Fence, FenceSet, Subject};
use bailiwick_core::id::{FenceId, RevocationId};

use super::Live;

fn fence(subject: &Subject, lifted: Option<u64>) -> Fence {
    Fence {
        id: FenceId::from_bits(1),
        subject: subject.clone(),
        seq: 7,
        lifted_seq: lifted,
        revocation: RevocationId::from_bits(2),
        reason: "test".to_owned(),
        actor: "system".to_owned(),
        set_at: Timestamp::default(),
    }
}

fn server(name: &str) -> Subject {
    Subject::Server(name.parse().unwrap())
}

#[test]
fn a_fence_cuts_what_stands_under_its_subject_and_nothing_else() {
    let live = Arc::new(Live::default());
    let hit = live.enter(vec![(server("a"), 3), (server("c"), 1)]);
    let other = live.enter(vec![(server("b"), 3)]);
    assert_eq!(live.fence(&fence(&server("a"), None)), 1);
    assert!(hit.was_cut().is_some_and(|cut| cut.fence.is_some()));
    assert!(other.was_cut().is_none());
    // Cut once, counted once.
    assert_eq!(live.fence(&fence(&server("a"), None)), 0);
    drop((hit, other));
    assert!(live.is_empty());
}

#[test]
fn a_lifted_fence_spares_what_was_born_after_the_lift() {
    let live = Arc::new(Live::default());
    let old = live.enter(vec![(server("a"), 5)]);
    let new = live.enter(vec![(server("a"), 6)]);
    assert_eq!(live.fence(&fence(&server("a"), Some(5))), 1);
    assert!(old.was_cut().is_some() && new.was_cut().is_none());
}

#[test]
fn no_call_slips_between_entering_and_the_fence_check() {
    for _ in 0..500 {
        let live = Arc::new(Live::default());
        let fences = Arc::new(std::sync::RwLock::new(FenceSet::default()));
        let revoker = {
            let (live, fences) = (Arc::clone(&live), Arc::clone(&fences));
            thread::spawn(move || {
                fences.write().unwrap().put(fence(&server("a"), None));
                live.fence(&fence(&server("a"), None))
            })
        };
        let entered = live.enter(vec![(server("a"), 1)]);
        let denied = fences
            .read()
            .unwrap()
            .any_dead(&[(server("a"), 1)])
            .is_some();
        let swept = revoker.join().unwrap();
        // Either the check saw the fence, or the sweep found the call.
        assert!(denied || swept == 1 && entered.was_cut().is_some());
    }
}
