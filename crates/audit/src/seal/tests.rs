//! What is sealed opens only with its key, its event and its bytes; commitments disclose one value at a time.

use bailiwick_core::Id;
use bailiwick_core::event::{Event, EventType};
use bailiwick_crypto::system::{SystemClock, SystemRng};

use super::*;
use crate::hlc::Hlc;
use crate::leaf::Source;

fn kek(id: u32, byte: u8) -> Kek {
    Kek {
        id,
        key: Secret::new([byte; 32]),
    }
}

fn value(path: &'static str, class: SealedClass, value: &[u8], keep: bool) -> Sealed {
    Sealed {
        path,
        class,
        value: value.to_vec(),
        keep,
    }
}

struct Case {
    leaf: Leaf,
    slot: [u8; SLOT],
    sealed: Vec<u8>,
}

fn case(values: &[Sealed], value_max: usize) -> Case {
    let event = Event::new(Id::new(&SystemClock, &SystemRng), EventType::ToolIntent);
    let made = seal(
        &Wrapping::new(kek(3, 9)),
        &SystemRng,
        event.id,
        values,
        value_max,
    )
    .unwrap();
    let leaf = Leaf {
        v: 1,
        node: "node-1".into(),
        src: Source {
            svc: "serve".into(),
            version: "0".into(),
        },
        ts: bailiwick_core::Timestamp::from_secs(1),
        hlc: Hlc(1),
        event,
        sealed: made.commitments,
    };
    Case {
        leaf,
        slot: made.slot,
        sealed: made.sealed,
    }
}

fn two() -> Case {
    case(
        &[
            value("/args", SealedClass::Content, b"{\"issue\":12}", true),
            value("/call_digest", SealedClass::Meta, &[1; 32], false),
            value("/result", SealedClass::Pii, b"alice", true),
            value("/token", SealedClass::Secret, b"never", true),
        ],
        1 << 10,
    )
}

#[test]
fn kept_values_open_and_fit_their_commitments() {
    let case = two();
    let revealed = reveal(
        &[kek(2, 8), kek(3, 9)],
        &case.leaf,
        &case.slot,
        &case.sealed,
    )
    .unwrap();
    let found: Vec<(&str, &[u8])> = revealed
        .iter()
        .map(|value| (value.path.as_str(), value.value.expose().as_slice()))
        .collect();
    assert_eq!(
        found,
        [
            ("/args", b"{\"issue\":12}".as_slice()),
            ("/result", b"alice".as_slice())
        ]
    );
    for value in &revealed {
        assert!(discloses(
            &case.leaf,
            value.salt.expose(),
            &value.path,
            value.value.expose()
        ));
        assert!(!discloses(
            &case.leaf,
            value.salt.expose(),
            "/token",
            value.value.expose()
        ));
        assert!(!discloses(
            &case.leaf,
            value.salt.expose(),
            &value.path,
            b"alicf"
        ));
    }
    assert_ne!(
        revealed[0].salt.expose(),
        revealed[1].salt.expose(),
        "one disclosure would open the other value"
    );
}

#[test]
fn one_value_twice_has_two_commitments() {
    let case = || {
        case(
            &[value("/args", SealedClass::Content, b"same", true)],
            1 << 10,
        )
    };
    let (one, other) = (case(), case());
    assert_ne!(
        one.leaf.sealed[0].commit, other.leaf.sealed[0].commit,
        "values could be compared or guessed"
    );
    assert_ne!(one.sealed, other.sealed);
}

#[test]
fn a_slot_or_box_does_not_open_elsewhere_or_altered() {
    let (case, other) = (two(), two());
    let open = |slot: &[u8; SLOT], sealed: &[u8]| {
        reveal(&[kek(3, 9)], &case.leaf, slot, sealed).map(|_| ())
    };
    assert_eq!(open(&case.slot, &case.sealed), Ok(()));
    assert_eq!(
        open(&other.slot, &other.sealed),
        Err(RevealError::Altered),
        "moved from another event"
    );
    for at in 0..SLOT {
        let mut slot = case.slot;
        slot[at] ^= 1;
        assert!(open(&slot, &case.sealed).is_err(), "slot byte {at}");
    }
    for at in 0..case.sealed.len() {
        let mut sealed = case.sealed.clone();
        sealed[at] ^= 1;
        assert_eq!(
            open(&case.slot, &sealed),
            Err(RevealError::Altered),
            "box byte {at}"
        );
    }
    assert_eq!(open(&[0; SLOT], &case.sealed), Err(RevealError::Erased));
    let wrong = reveal(&[kek(3, 1)], &case.leaf, &case.slot, &case.sealed).map(|_| ());
    assert_eq!(wrong, Err(RevealError::Altered));
    let none = reveal(&[kek(4, 9)], &case.leaf, &case.slot, &case.sealed).map(|_| ());
    assert_eq!(none, Err(RevealError::NoKey { kek: 3 }));
}

#[test]
fn large_values_are_committed_to_but_not_kept() {
    let case = case(
        &[
            value("/args", SealedClass::Content, &[b'a'; 101], true),
            value("/result", SealedClass::Content, &[b'b'; 100], true),
        ],
        100,
    );
    let kept: Vec<bool> = case
        .leaf
        .sealed
        .iter()
        .map(|commitment| commitment.kept)
        .collect();
    assert_eq!(kept, [false, true]);
    assert_eq!(case.leaf.sealed[0].bytes, 101);
    let revealed = reveal(&[kek(3, 9)], &case.leaf, &case.slot, &case.sealed).unwrap();
    assert_eq!(revealed.len(), 1);
}

#[test]
fn the_bound_of_one_event_holds_over_all_its_values() {
    let values: Vec<Sealed> = (0..8)
        .map(|_| value("/args", SealedClass::Content, &vec![0; 100 << 10], true))
        .collect();
    let case = case(&values, 1 << 20);
    assert_eq!(
        case.leaf
            .sealed
            .iter()
            .filter(|commitment| commitment.kept)
            .count(),
        5
    );
    assert!(case.sealed.len() <= MAX_KEPT + 16);
}

#[test]
fn an_event_without_sealed_values_has_no_key() {
    let case = case(&[], 100);
    assert_eq!((case.slot, case.sealed.len()), ([0; SLOT], 0));
    assert_eq!(
        reveal(&[kek(3, 9)], &case.leaf, &case.slot, &case.sealed).map(|_| ()),
        Err(RevealError::NotKept)
    );
}
