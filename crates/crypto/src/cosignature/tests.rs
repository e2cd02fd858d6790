//! Cosignatures that are made and read back, and those that must be refused. That others read them is tested where others are.

use bailiwick_core::{Secret, Timestamp};

use super::{CosignatureSigner, CosignatureVerifier};
use crate::keys::Ed25519Key;
use crate::note::{Note, NoteError, NoteSigner, NoteVerifier};

const TEXT: &str = "example.com/log\n3\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

fn witness(seed: u8) -> CosignatureSigner {
    let key = Ed25519Key::from_seed(&Secret::new([seed; 32])).unwrap();
    CosignatureSigner::new("witness.example/w1", key).unwrap()
}

fn note() -> Note {
    let log = NoteSigner::new("example.com/log", Ed25519Key::generate().unwrap()).unwrap();
    Note::sign(TEXT, &[&log]).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

#[test]
fn the_newest_good_cosignature_counts() {
    let (mut note, witness) = (note(), witness(1));
    let verifier = witness.verifier().unwrap();
    assert_eq!(verifier.cosignature(&note), Ok(None));
    for time in [1_700_000_000, 1_700_000_009] {
        note.add(witness.cosign(TEXT, at(time)).unwrap()).unwrap();
        let (found, line) = verifier.cosignature(&note).unwrap().unwrap();
        assert_eq!(
            (found, line.name.as_str()),
            (at(time), "witness.example/w1")
        );
    }
    // The newer one has taken the older one's place; the log's own stays.
    assert_eq!(note.signatures().len(), 2);
    let read = Note::parse(note.to_string().as_bytes()).unwrap();
    assert_eq!(
        verifier.cosignature(&read).unwrap().unwrap().0,
        at(1_700_000_009)
    );
}

#[test]
fn a_changed_byte_or_time_refuses_the_note() {
    let witness = witness(1);
    let verifier = witness.verifier().unwrap();
    let good = witness.cosign(TEXT, at(1_700_000_000)).unwrap();
    assert_eq!(good.bytes.len(), 72);
    for place in 0..good.bytes.len() {
        let mut bad = good.clone();
        bad.bytes[place] ^= 1;
        let mut note = note();
        note.add(bad).unwrap();
        assert!(
            matches!(
                verifier.cosignature(&note),
                Err(NoteError::BadSignature { .. })
            ),
            "byte {place}"
        );
    }
    let mut short = good;
    short.bytes.truncate(64);
    let mut note = note();
    note.add(short).unwrap();
    assert!(verifier.cosignature(&note).is_err());
}

#[test]
fn a_time_that_means_none_is_not_signed() {
    for time in [0, -1] {
        assert!(witness(1).cosign(TEXT, at(time)).is_err());
    }
}

#[test]
fn other_witnesses_and_other_types_are_not_this_one() {
    let mut note = note();
    note.add(witness(2).cosign(TEXT, at(1)).unwrap()).unwrap();
    assert_eq!(witness(1).verifier().unwrap().cosignature(&note), Ok(None));

    let vkey = witness(1).verifier().unwrap().vkey();
    let read = CosignatureVerifier::from_vkey(&vkey).unwrap();
    assert_eq!(read.vkey(), vkey);
    // A log's key is no witness's, and the other way round.
    assert!(matches!(
        NoteVerifier::from_vkey(&vkey),
        Err(NoteError::Vkey(_))
    ));
    let log = NoteSigner::new("a", Ed25519Key::generate().unwrap()).unwrap();
    assert!(CosignatureVerifier::from_vkey(&log.verifier().unwrap().vkey()).is_err());
    for bad in ["", "a+b", "a+00000000+BAAA", "x+1+!"] {
        assert!(CosignatureVerifier::from_vkey(bad).is_err(), "{bad}");
    }
    assert!(CosignatureVerifier::from_vkey(&vkey.replacen("w1", "w2", 1)).is_err());
}
