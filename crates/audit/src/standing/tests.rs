//! The rule of witnesses, applied by a writer to itself.

use super::*;
use crate::fixtures::{ORIGIN, root, signer, signers};

fn claim(store: &Arc<Volatile>, above: u64) -> Result<Claim, AdvanceError> {
    let standing = store.standing(ORIGIN).unwrap();
    let store: Arc<dyn CheckpointStore> = store.clone();
    Claim::take(store, ORIGIN, signers(), &standing, above)
}

fn advance(claim: &mut Claim, size: u64, root_now: Digest) -> Result<String, AdvanceError> {
    let next = Checkpoint {
        origin: ORIGIN.into(),
        size,
        root: root_now,
    };
    claim.advance(&next, &mut || next.sign(&signer()), &mut |size| {
        Ok(root(size))
    })
}

#[test]
fn epochs_rise_above_everything_known() {
    let store = Arc::new(Volatile::default());
    assert_eq!(claim(&store, 0).unwrap().epoch(), 1);
    assert_eq!(claim(&store, 7).unwrap().epoch(), 8);
    assert_eq!(claim(&store, 2).unwrap().epoch(), 9);
}

#[test]
fn of_two_that_looked_at_the_same_time_one_gets_the_log() {
    let store = Arc::new(Volatile::default());
    let seen = store.standing(ORIGIN).unwrap();
    claim(&store, 0).unwrap();
    let shared: Arc<dyn CheckpointStore> = store;
    let late = Claim::take(shared, ORIGIN, signers(), &seen, 0);
    assert!(matches!(
        late.err(),
        Some(AdvanceError::Fenced { epoch: 1, by: 1 })
    ));
}

#[test]
fn only_what_continues_is_signed() {
    let store = Arc::new(Volatile::default());
    let mut claim = claim(&store, 0).unwrap();
    for size in [0, 3, 3, 9, 300] {
        let note = advance(&mut claim, size, root(size)).unwrap();
        assert_eq!(store.standing(ORIGIN).unwrap().note, Some(note));
    }
    // A smaller tree, and one whose own past has changed.
    let smaller = advance(&mut claim, 9, root(9)).unwrap_err();
    assert_eq!(smaller.code(), Code::LogEquivocation);
    let held = store.standing(ORIGIN).unwrap();
    let next = Checkpoint {
        origin: ORIGIN.into(),
        size: 301,
        root: root(301),
    };
    let changed = claim.advance(&next, &mut || panic!("it was signed"), &mut |_| {
        Ok(root(299))
    });
    assert!(matches!(changed, Err(AdvanceError::Equivocation { .. })));
    assert_eq!(store.standing(ORIGIN).unwrap(), held);
}

#[test]
fn a_replaced_writer_signs_nothing_that_is_remembered() {
    let store = Arc::new(Volatile::default());
    let mut first = claim(&store, 0).unwrap();
    advance(&mut first, 3, root(3)).unwrap();
    let mut second = claim(&store, 0).unwrap();
    let refused = advance(&mut first, 4, root(4)).unwrap_err();
    assert!(matches!(refused, AdvanceError::Fenced { epoch: 1, by: 2 }));
    advance(&mut second, 4, root(4)).unwrap();
}
