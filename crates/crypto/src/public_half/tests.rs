//! The public half of a private key, in each encoding.

use super::of_private_key;
use crate::keys::{Ed25519Key, SigningKey};

#[test]
fn keys_of_ours_have_a_public_half() {
    let p256 = SigningKey::generate().unwrap();
    let half = of_private_key(p256.pkcs8().expose()).unwrap();
    assert_eq!(half.kind, "P-256");
    assert!(half.spki.ends_with(p256.public_point()));

    let ed25519 = Ed25519Key::generate().unwrap();
    let half = of_private_key(ed25519.pkcs8().expose()).unwrap();
    assert_eq!(half.kind, "Ed25519");
    assert!(half.spki.ends_with(ed25519.public()));
}

#[test]
fn what_is_no_key_has_none() {
    for der in [b"".as_slice(), b"0", &[0x30, 0x82, 0xff, 0xff], &[0; 4096]] {
        assert_eq!(of_private_key(der), None);
    }
}
