//! The proof's text, and every way to bend it.

use super::*;
use crate::fixtures::{keys, published};

fn proof() -> (tempfile::TempDir, Proof) {
    let dir = tempfile::tempdir().unwrap();
    published(dir.path(), 300, 300);
    let proof = Directory::new(dir.path().to_path_buf()).prove(257).unwrap();
    (dir, proof)
}

#[test]
fn the_text_is_that_of_the_specification() {
    let (_dir, proof) = proof();
    let text = proof.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..3],
        ["c2sp.org/tlog-proof@v1", "extra bGVhZiAyNTc=", "index 257"]
    );
    // 44 leaves in the last, incomplete subtree of 64 below one of 256.
    assert_eq!(proof.path.len(), 7);
    assert_eq!(lines[10], "");
    assert_eq!(lines[11..13], ["example.org/node-1", "300"]);
    assert!(lines[15].starts_with("— example.org/node-1 "));
    proof.verify(&keys()).unwrap();
}

#[test]
fn any_changed_byte_is_refused() {
    let (_dir, proof) = proof();
    let text = proof.to_string();
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else {
            continue;
        };
        let accepted = Proof::parse(&changed).map_err(|error| error.to_string());
        let accepted =
            accepted.and_then(|proof| proof.verify(&keys()).map_err(|error| error.to_string()));
        assert!(accepted.is_err(), "byte {at} of {text}");
    }
}

#[test]
fn a_proof_speaks_only_for_its_own_leaf_and_place() {
    let (_dir, proof) = proof();
    let bent = [
        Proof {
            index: 256,
            ..proof.clone()
        },
        Proof {
            index: u64::MAX,
            ..proof.clone()
        },
        Proof {
            leaf: b"leaf 256".to_vec(),
            ..proof.clone()
        },
        Proof {
            path: proof.path[1..].to_vec(),
            ..proof.clone()
        },
        Proof {
            path: [proof.path.clone(), vec![Digest([0; 32])]].concat(),
            ..proof.clone()
        },
    ];
    for bent in bent {
        assert!(
            matches!(bent.verify(&keys()), Err(ProofError::NotProven { .. })),
            "{bent:?}"
        );
    }
}

#[test]
fn what_is_no_proof_is_told_so() {
    let (_dir, proof) = proof();
    let text = proof.to_string();
    for broken in [
        String::new(),
        text.replacen("@v1", "@v2", 1),
        text.replacen("index 257", "index 0257", 1),
        text.replacen("index 257", "index +257", 1),
        text.replacen("extra ", "", 1),
        text.replacen("\n\n", "\n", 1).replacen("\n\n", "\n", 1),
        text.replacen("index 257\n", &format!("index 257\n{}", "AAAA\n"), 1),
        "x".repeat(MAX_PROOF + 1),
    ] {
        assert!(
            matches!(Proof::parse(&broken), Err(ProofError::Form(_))),
            "{broken}"
        );
    }
}

#[test]
fn no_proof_is_made_from_altered_files() {
    let (dir, _) = proof();
    let path = dir.path().join("tile/0/001.p/44");
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] ^= 1;
    fs::write(&path, bytes).unwrap();
    let refused = Directory::new(dir.path().to_path_buf())
        .prove(257)
        .unwrap_err();
    assert!(matches!(refused, ProveError::Altered { index: 257 }));
    assert_eq!(refused.code(), Code::LogAltered);
}
