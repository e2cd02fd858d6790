//! A known vector, and every way to open a box wrongly.

use super::{AeadError, AeadKey, NONCE_LEN, TAG_LEN};
use crate::system::SystemRng;

#[test]
fn matches_the_gcm_specification_case_13_and_14() {
    // McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 (empty) and 14 (16 zero bytes).
    let key = AeadKey::new(&[0; 32]);
    let empty = key.seal_with_nonce([0; NONCE_LEN], b"", b"").unwrap();
    assert_eq!(
        empty,
        [
            0x53, 0x0f, 0x8a, 0xfb, 0xc7, 0x45, 0x36, 0xb9, 0xa9, 0x63, 0xb4, 0xf1, 0xc4, 0xcb,
            0x73, 0x8b
        ]
    );
    let block = key.seal_with_nonce([0; NONCE_LEN], b"", &[0; 16]).unwrap();
    let want = [
        0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3, 0x9d,
        0x18,
    ];
    assert_eq!(block.get(..16).unwrap(), want);
}

#[test]
fn opens_only_what_was_sealed_here_unmoved_and_unaltered() {
    let key = AeadKey::new(&[7; 32]);
    let sealed = key.seal(&SystemRng, b"row 1", b"attack at dawn").unwrap();
    assert_eq!(sealed.len(), NONCE_LEN + 14 + TAG_LEN);
    assert_eq!(
        key.open(b"row 1", &sealed).unwrap().as_slice(),
        b"attack at dawn"
    );

    assert_eq!(
        key.open(b"row 2", &sealed).unwrap_err(),
        AeadError::NotAuthentic
    );
    assert_eq!(
        AeadKey::new(&[8; 32]).open(b"row 1", &sealed).unwrap_err(),
        AeadError::NotAuthentic
    );
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert_eq!(
            key.open(b"row 1", &altered).unwrap_err(),
            AeadError::NotAuthentic,
            "byte {at}"
        );
        assert!(key.open(b"row 1", &sealed[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn two_seals_of_the_same_text_differ() {
    let key = AeadKey::new(&[7; 32]);
    assert_ne!(
        key.seal(&SystemRng, b"", b"x").unwrap(),
        key.seal(&SystemRng, b"", b"x").unwrap()
    );
}
