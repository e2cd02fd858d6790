//! A batch is read back as it was written, or not at all.

use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq};
use proptest::proptest;

use super::*;

fn encoded(events: &[(Vec<u8>, Vec<u8>)]) -> (Vec<u8>, Commit) {
    let frames: Vec<EventFrame> = events
        .iter()
        .map(|(leaf, sealed)| {
            EventFrame::new(Stored {
                leaf,
                slot: &[5; SLOT],
                sealed,
            })
        })
        .collect();
    let opening = Opening {
        segment: 1,
        epoch: 2,
        number: 3,
        first_index: 4,
        events: 0,
        bytes: 0,
    };
    let commit = Commit {
        number: 3,
        size: 4 + events.len() as u64,
        root: Digest([1; 32]),
        prev_commit: Digest([2; 32]),
        wall: Timestamp::from_secs(-1),
        hlc: 7,
    };
    // What a buffer held before does not matter.
    let mut bytes = vec![7; 300];
    encode(
        &mut bytes,
        opening,
        &frames.iter().collect::<Vec<_>>(),
        &commit,
    );
    (bytes, commit)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..200)
}

proptest! {
    #[test]
    fn batches_come_back(events in prop::collection::vec((bytes(), bytes()), 1..20)) {
        let (bytes, commit) = encoded(&events);
        let batch = decode(&bytes).unwrap();
        prop_assert_eq!(batch.commit, commit);
        prop_assert_eq!(batch.opening.bytes as usize, bytes.len());
        for (event, (leaf, sealed)) in batch.events.iter().zip(&events) {
            prop_assert_eq!(event.leaf, leaf.as_slice());
            prop_assert_eq!(event.sealed, sealed.as_slice());
            prop_assert_eq!(event.slot, &[5; SLOT]);
        }
        prop_assert_eq!(batch.events.len(), events.len());
    }

    #[test]
    fn no_flipped_bit_goes_unseen(events in prop::collection::vec((bytes(), bytes()), 1..5), at in any::<prop::sample::Index>(), bit in 0..8) {
        let (mut bytes, _) = encoded(&events);
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(decode(&bytes).is_none());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        prop_assert!(decode(&bytes).is_none());
    }
}

#[test]
fn an_empty_batch_is_none() {
    assert!(decode(&encoded(&[]).0).is_none());
}

#[test]
fn a_batch_is_exactly_its_frames() {
    let (mut bytes, _) = encoded(&[(b"leaf".to_vec(), Vec::new())]);
    assert_eq!(bytes.len(), FIXED + event_len(4, 0));
    bytes.push(0);
    assert!(decode(&bytes).is_none());
}

#[test]
fn the_next_batch_continues_the_bytes_of_the_commit() {
    let (bytes, commit) = encoded(&[(b"leaf".to_vec(), b"box".to_vec())]);
    let end = bytes.len() - CLOSING;
    assert_eq!(commit.digest(), hash::sha256(&[&bytes[end..]]));
    assert_eq!(decode(&bytes).unwrap().commit.digest(), commit.digest());
}
