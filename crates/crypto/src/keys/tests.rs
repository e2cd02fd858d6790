//! Keys survive their stored form, and a key verifies only what fits it.

use bailiwick_core::Secret;

use super::{Ed25519Key, KeyError, SigningKey, VerifyingKey};
use crate::jwk::{Algorithm, Jwk, JwkError, Material};

#[test]
fn a_signing_key_survives_its_stored_form() {
    let key = SigningKey::generate().unwrap();
    let again = SigningKey::from_pkcs8(key.pkcs8().clone()).unwrap();
    assert_eq!(again.kid(), key.kid());
    let signature = again.sign(b"message").unwrap();
    let verifying = key.verifying_key().unwrap();
    assert!(verifying.verify(Algorithm::Es256, b"message", &signature));
    assert!(!verifying.verify(Algorithm::Es256, b"massage", &signature));
    assert!(
        !verifying.verify(Algorithm::Es384, b"message", &signature),
        "an ES256 key is no ES384 key"
    );
    assert!(!verifying.verify(Algorithm::Es256, b"message", &signature[..63]));
    assert_eq!(
        SigningKey::from_pkcs8(Secret::new(vec![0; 32])).unwrap_err(),
        KeyError::Pkcs8
    );
}

#[test]
fn ed25519_matches_rfc_8032_test_2() {
    let seed = [
        0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11, 0x4e,
        0x0f, 0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8,
        0xa6, 0xfb,
    ];
    let key = Ed25519Key::from_seed(&Secret::new(seed)).unwrap();
    assert_eq!(key.public().get(..4).unwrap(), [0x3d, 0x40, 0x17, 0xc3]);
    let signature = key.sign(&[0x72]).unwrap();
    assert_eq!(signature.get(..4).unwrap(), [0x92, 0xa0, 0x09, 0xa9]);
    let again = Ed25519Key::from_pkcs8(key.pkcs8().clone()).unwrap();
    assert_eq!(again.public(), key.public());

    let jwk = Jwk {
        material: Material::Ed25519 { x: *key.public() },
        kid: None,
        algorithm: None,
        usage: None,
    };
    let verifying = VerifyingKey::new(jwk).unwrap();
    assert!(verifying.verify(Algorithm::EdDsa, &[0x72], &signature));
    assert!(!verifying.verify(Algorithm::EdDsa, &[0x73], &signature));
    assert!(!verifying.verify(Algorithm::Es256, &[0x72], &signature));
}

#[test]
fn points_off_the_curve_small_moduli_and_a_foreign_alg_are_refused() {
    let key = SigningKey::generate().unwrap();
    let mut off = key.jwk().clone();
    if let Material::Ec { y, .. } = &mut off.material {
        y[31] ^= 1;
    }
    assert_eq!(VerifyingKey::new(off).unwrap_err(), JwkError::NotAKey);

    let rsa = |bytes: usize| Jwk {
        material: Material::Rsa {
            n: vec![0xff; bytes],
            e: vec![1, 0, 1],
        },
        kid: None,
        algorithm: None,
        usage: None,
    };
    assert_eq!(VerifyingKey::new(rsa(128)).unwrap_err(), JwkError::NotAKey);
    assert_eq!(VerifyingKey::new(rsa(1025)).unwrap_err(), JwkError::NotAKey);
    assert!(
        VerifyingKey::new(rsa(256))
            .unwrap()
            .allows(Algorithm::Ps384)
    );

    let mut wrong = key.jwk().clone();
    wrong.algorithm = Some(Algorithm::Es384);
    assert_eq!(
        VerifyingKey::new(wrong).unwrap_err(),
        JwkError::Member("alg")
    );
}
