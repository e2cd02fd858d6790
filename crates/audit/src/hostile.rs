//! Parsers of what strangers send, on random and on mutated input: none panics, what is read is written back as it was, and nothing that
//! was changed is believed.

use bailiwick_core::{Secret, Timestamp};
use bailiwick_crypto::cosignature::CosignatureSigner;
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::note::Note;
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, prop_assert_ne};
use proptest::proptest;

use crate::bundle;
use crate::checkpoint::Checkpoint;
use crate::fixtures::{ORIGIN, keys, leaf, root, signer};
use crate::proof::Proof;
use crate::tile;
use crate::tree::{CompactRange, inclusion_path, leaf_hash};
use crate::witness::Request;
use crate::witnessed::{Cosigned, cosignature_in};

fn witness() -> CosignatureSigner {
    let key = Ed25519Key::from_seed(&Secret::new([1; 32])).unwrap();
    CosignatureSigner::new("witness.example/w1", key).unwrap()
}

/// A checkpoint of 9 leaves that a witness cosigned.
fn note() -> String {
    let checkpoint = Checkpoint {
        origin: ORIGIN.into(),
        size: 9,
        root: root(9),
    };
    let mut note = Note::parse(checkpoint.sign(&signer()).unwrap().as_bytes()).unwrap();
    let line = witness().cosign(note.text(), Timestamp::from_secs(1_700_000_000));
    note.add(line.unwrap()).unwrap();
    note.to_string()
}

fn proof() -> String {
    let path = inclusion_path::<()>(5, 9, &mut |level, position| {
        let first = position << level;
        let hashes = (first..first + (1 << level)).map(|index| leaf_hash(&leaf(index)));
        Ok(hashes.collect::<CompactRange>().root())
    });
    let proof = Proof {
        index: 5,
        leaf: leaf(5),
        path: path.unwrap(),
        checkpoint: note(),
    };
    proof.to_string()
}

fn request() -> String {
    let request = Request {
        old: 3,
        proof: vec![root(1), root(2)],
        note: Note::parse(note().as_bytes()).unwrap(),
    };
    request.to_string()
}

/// Everything that reads bytes of a stranger.
fn read_all(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(Note::parse(note.to_string().as_bytes()), Ok(note));
    }
    if let Ok(request) = Request::parse(bytes) {
        assert_eq!(request.to_string().as_bytes(), bytes);
        let _ = request.checkpoint();
    }
    let _ = Checkpoint::verify(bytes, &keys());
    let _ = tile::hashes(bytes);
    if let Some(leaves) = bundle::leaves(bytes) {
        let mut again = Vec::new();
        for leaf in leaves {
            bundle::put(&mut again, leaf);
        }
        assert_eq!(again, bytes);
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = Checkpoint::parse(&text);
    if let Ok(proof) = Proof::parse(&text) {
        assert_eq!(proof.to_string(), text);
        let _ = proof.verify(&keys());
    }
    let good = Note::parse(note().as_bytes()).unwrap();
    let _ = cosignature_in(bytes, &good, &witness().verifier().unwrap());
}

/// `text` with bytes replaced, cut out, doubled or put in.
fn mutated(text: &str, changes: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (place, kind, byte) in changes {
        let at = place.index(bytes.len().max(1));
        match kind % 5 {
            _ if bytes.is_empty() => bytes.push(*byte),
            0 => bytes[at] = *byte,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, *byte),
            3 => bytes.truncate(at),
            _ => bytes.extend_from_within(at..),
        }
    }
    bytes
}

#[test]
fn what_is_mutated_below_is_good() {
    assert_eq!(
        Checkpoint::verify(note().as_bytes(), &keys()).unwrap().size,
        9
    );
    assert_eq!(
        Proof::parse(&proof())
            .unwrap()
            .verify(&keys())
            .unwrap()
            .size,
        9
    );
    assert_eq!(Request::parse(request().as_bytes()).unwrap().old, 3);
    let trusted = [witness().verifier().unwrap()];
    let cosigned = Cosigned::verify(note().as_bytes(), &keys(), &trusted);
    assert_eq!(cosigned.unwrap().by.len(), 1);
}

/// Inputs that once were, or could be, read wrongly.
#[test]
fn known_traps() {
    let traps: [&[u8]; 12] = [
        b"",
        b"\n",
        b"\n\n",
        b"\n\n\n",
        b"old 0\n\n",
        b"old 0\n\n\n",
        b"old 18446744073709551615\n\n\n\n",
        "\n\n— \n".as_bytes(),
        "a\n\n— a AAAA\n".as_bytes(),
        "a\n\n— a AAAAAAA=\n".as_bytes(),
        b"c2sp.org/tlog-proof@v1\n\n\n",
        b"c2sp.org/tlog-proof@v1\nextra \nindex 0\n\n",
    ];
    for trap in traps {
        read_all(trap);
    }
}

proptest! {
    #[test]
    fn random_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read_all(&bytes);
    }

    #[test]
    fn random_lines_are_read_or_refused(text in "(old |index |extra |— |a\\+b|[0-9]{1,21}|[A-Za-z0-9+/]{43}=|[ \n]){0,40}") {
        read_all(text.as_bytes());
    }

    #[test]
    fn mutations_are_read_or_refused(which in 0_usize..3, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 1..5)) {
        let text = [note, proof, request][which]();
        read_all(&mutated(&text, &changes));
    }

    #[test]
    fn a_changed_text_is_never_believed(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 1..4)) {
        let good = note();
        let bad = mutated(&good, &changes);
        let text = Note::parse(good.as_bytes()).unwrap().text().to_owned();
        if let Ok(believed) = Checkpoint::verify(&bad, &keys()) {
            // What a stranger's change left is the text that was signed, whatever became of the lines below it.
            let read = Note::parse(&bad).unwrap();
            prop_assert_eq!(read.text(), text.as_str());
            prop_assert_eq!((believed.size, believed.root), (9, root(9)));
        }
    }

    #[test]
    fn a_changed_proof_proves_nothing_else(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 1..4)) {
        let bad = mutated(&proof(), &changes);
        if let Ok(read) = Proof::parse(&String::from_utf8_lossy(&bad)) && read.verify(&keys()).is_ok() {
            prop_assert_eq!((read.index, read.leaf), (5, leaf(5)));
        }
    }

    #[test]
    fn a_flipped_bit_of_a_cosignature_is_seen(place in 0_usize..72, bit in 0_u8..8) {
        let good = Note::parse(note().as_bytes()).unwrap();
        let mut line = good.signatures().last().unwrap().clone();
        line.bytes[place] ^= 1 << bit;
        let mut bad = good.clone();
        bad.add(line).unwrap();
        prop_assert_ne!(&bad, &good);
        let trusted = [witness().verifier().unwrap()];
        prop_assert!(Cosigned::verify(bad.to_string().as_bytes(), &keys(), &trusted).is_err());
    }
}
