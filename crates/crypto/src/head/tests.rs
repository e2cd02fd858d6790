//! Answers that are not the node's own, bit by bit.

use bailiwick_core::feed::{Content, Head};
use bailiwick_core::{Digest, Timestamp};

use super::{HeadError, HeadKey, open, public, seal};
use crate::keys::Ed25519Key;

fn head() -> Head {
    Head {
        epoch: 1,
        seq: 7,
        content: Content::Changes,
        digest: Digest([0; 32]),
        issued_at: Timestamp::default(),
        node: "node-1".parse().unwrap(),
        point: "edge".parse().unwrap(),
        nonce: "n".to_owned(),
        keys: Vec::new(),
    }
}

#[test]
fn every_byte_of_an_answer_is_covered() {
    let key = Ed25519Key::generate().unwrap();
    let keys = [HeadKey::parse(&public(&key)).unwrap()];
    let answer = seal(&key, head(), b"{\"a\":1}\n{\"b\":2}\n").unwrap();
    let (read, content) = open(&keys, &answer).unwrap();
    assert_eq!((read.seq, content), (7, &b"{\"a\":1}\n{\"b\":2}\n"[..]));
    for at in 0..answer.len() {
        for bit in 0..8 {
            let mut altered = answer.clone();
            altered[at] ^= 1 << bit;
            assert!(open(&keys, &altered).is_err(), "byte {at} bit {bit}");
        }
    }
    for length in 0..answer.len() {
        assert!(open(&keys, &answer[..length]).is_err(), "cut to {length}");
    }
    let longer = [&answer[..], b"{}\n"].concat();
    assert!(matches!(open(&keys, &longer), Err(HeadError::Content)));
}

#[test]
fn only_trusted_keys_sign() {
    let (ours, other) = (
        Ed25519Key::generate().unwrap(),
        Ed25519Key::generate().unwrap(),
    );
    let answer = seal(&ours, head(), b"").unwrap();
    let trusted = |keys: &[&Ed25519Key]| -> Vec<HeadKey> {
        keys.iter()
            .map(|key| HeadKey::parse(&public(key)).unwrap())
            .collect()
    };
    assert!(open(&trusted(&[&other, &ours]), &answer).is_ok());
    assert!(matches!(
        open(&trusted(&[&other]), &answer),
        Err(HeadError::Signature)
    ));
    assert!(open(&[], &answer).is_err());
    for text in ["", "AAAA", "not base64!", &"A".repeat(44)] {
        assert!(HeadKey::parse(text).is_err(), "{text}");
    }
}
