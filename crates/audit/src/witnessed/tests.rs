//! What continues what, and which cosignatures count.

use bailiwick_core::{Digest, Secret};
use bailiwick_crypto::cosignature::CosignatureSigner;
use bailiwick_crypto::keys::Ed25519Key;

use super::*;
use crate::fixtures::{ORIGIN, keys, published, root, signer};

fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint {
        origin: ORIGIN.into(),
        size,
        root: root(size),
    }
}

fn witness(name: &str, seed: u8) -> CosignatureSigner {
    let key = Ed25519Key::from_seed(&Secret::new([seed; 32])).unwrap();
    CosignatureSigner::new(name, key).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

#[test]
fn a_log_is_held_to_every_earlier_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    published(dir.path(), 700, 50);
    let directory = Directory::new(dir.path().to_owned());
    let now = checkpoint(700);
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 699, 700] {
        let seen = |earlier| directory.continues(&now, &earlier).unwrap();
        assert_eq!(seen(checkpoint(size)), Continuation::Continues, "{size}");
        let mut split = checkpoint(size);
        split.root = Digest([1; 32]);
        assert_eq!(seen(split), Continuation::Split, "{size}");
        let mut other = checkpoint(size);
        other.origin.push('x');
        assert_eq!(seen(other), Continuation::OtherLog);
    }
    let larger = directory.continues(&now, &checkpoint(701)).unwrap();
    assert_eq!(larger, Continuation::RolledBack);
}

#[test]
fn each_trusted_witness_counts_once() {
    let (a, b, c) = (witness("a", 1), witness("b", 2), witness("c", 3));
    let trusted: Vec<_> = [&a, &b, &c].map(|one| one.verifier().unwrap()).into();
    let mut note = Note::parse(checkpoint(3).sign(&signer()).unwrap().as_bytes()).unwrap();
    let text = note.text().to_owned();
    let count = |note: &Note, trusted: &[CosignatureVerifier]| {
        Cosigned::verify(note.to_string().as_bytes(), &keys(), trusted)
    };
    assert_eq!(count(&note, &trusted).unwrap().by, []);
    note.add(a.cosign(&text, at(100)).unwrap()).unwrap();
    note.add(c.cosign(&text, at(50)).unwrap()).unwrap();
    note.add(witness("stranger", 9).cosign(&text, at(1)).unwrap())
        .unwrap();
    let cosigned = count(&note, &trusted).unwrap();
    assert_eq!(cosigned.by, [("a".into(), at(100)), ("c".into(), at(50))]);
    assert_eq!(cosigned.since(1), Some(at(100)));
    assert_eq!(cosigned.since(2), Some(at(50)));
    assert_eq!((cosigned.since(3), cosigned.since(0)), (None, None));

    // One key under two names is one witness.
    let alias = witness("alias", 1);
    note.add(alias.cosign(&text, at(100)).unwrap()).unwrap();
    let doubled = [
        a.verifier().unwrap(),
        alias.verifier().unwrap(),
        a.verifier().unwrap(),
    ];
    assert_eq!(count(&note, &doubled).unwrap().by.len(), 1);

    // A line under a trusted witness's name and id that it did not make refuses the note.
    let mut forged = b.cosign(&text, at(70)).unwrap();
    forged.bytes[9] ^= 1;
    note.add(forged).unwrap();
    assert!(matches!(
        count(&note, &trusted),
        Err(CheckpointError::Note(NoteError::BadSignature { .. }))
    ));
}

#[test]
fn only_signature_lines_of_the_witness_asked_are_taken_from_an_answer() {
    let (a, b) = (witness("a", 1), witness("b", 2));
    let note = Note::parse(checkpoint(3).sign(&signer()).unwrap().as_bytes()).unwrap();
    let line =
        |one: &CosignatureSigner, text: &str| format!("{}\n", one.cosign(text, at(100)).unwrap());
    let (ours, theirs) = (line(&a, note.text()), line(&b, note.text()));
    let verifier = a.verifier().unwrap();
    let taken = |answer: &str| cosignature_in(answer.as_bytes(), &note, &verifier);
    let good = format!("{theirs}{ours}");
    assert_eq!(
        taken(&good).unwrap(),
        a.cosign(note.text(), at(100)).unwrap()
    );
    let elsewhere = line(&a, "another\n1\ntext\n");
    for bad in [
        String::new(),
        theirs.clone(),
        elsewhere,
        ours.trim_end().to_owned(),
        format!("\n{ours}"),
        format!("{ours}\n{ours}"),
        format!("500 internal error\n{ours}"),
        "x".repeat(MAX_NOTE + 1),
    ] {
        assert!(taken(&bad).is_err(), "{bad:.80}");
    }
}

#[test]
fn a_witnessed_checkpoint_is_kept_beside_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    published(dir.path(), 3, 3);
    let directory = Directory::new(dir.path().to_owned());
    assert_eq!(directory.witnessed().unwrap(), None);
    let note = Note::parse(&directory.checkpoint().unwrap().unwrap()).unwrap();
    directory.keep_witnessed(&note).unwrap();
    assert_eq!(
        directory.witnessed().unwrap(),
        directory.checkpoint().unwrap()
    );
}
