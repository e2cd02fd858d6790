//! Envelopes and keys of DSSE v1 (secure-systems-lab, `protocol.md` and `envelope.md`).

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RSA_PSS_SHA256, RsaKeyPair,
};

use super::*;

fn pem(key: &impl AsDer<PublicKeyX509Der<'static>>) -> String {
    let der = key.as_der().unwrap();
    let body = STANDARD.encode(der.as_ref());
    format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
}

/// The example of the specification (`protocol.md`, *Test Vectors*).
#[test]
fn the_encoding_is_that_of_the_specification() {
    let encoded = pae("http://example.com/HelloWorld", b"hello world");
    assert_eq!(
        encoded,
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
    // Lengths count bytes.
    assert_eq!(pae("ä", "ö".as_bytes()), "DSSEv1 2 ä 2 ö".as_bytes());
}

/// Ed25519, ECDSA on both curves and RSA, as cosign and securesystemslib sign.
#[test]
fn each_kind_of_key_verifies_its_own_signatures_and_no_others() {
    let message = pae(IN_TOTO, b"{}");
    let random = SystemRandom::new();
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let mut of_rsa = vec![0; rsa.public_modulus_len()];
    rsa.sign(&RSA_PSS_SHA256, &random, &message, &mut of_rsa)
        .unwrap();
    let made = [
        (
            pem(ed25519.public_key()),
            ed25519.sign(&message).as_ref().to_vec(),
        ),
        (
            pem(p256.public_key()),
            p256.sign(&random, &message).unwrap().as_ref().to_vec(),
        ),
        (
            pem(p384.public_key()),
            p384.sign(&random, &message).unwrap().as_ref().to_vec(),
        ),
        (pem(rsa.public_key()), of_rsa),
    ];
    for (own, (pem, _)) in made.iter().enumerate() {
        let key = PublicKey::from_pem(pem.as_bytes()).unwrap();
        for (other, (_, signature)) in made.iter().enumerate() {
            assert_eq!(key.verify(&message, signature), own == other);
            let envelope = Envelope::of(b"{}", IN_TOTO, vec![(String::new(), signature.clone())]);
            let opened = envelope.open(IN_TOTO).unwrap();
            assert_eq!(opened.is_signed_by(&key), own == other);
        }
        assert!(!key.verify(b"something else", &made[own].1));
    }
}

/// A signature for one type is none for another, and one over other bytes is none at all.
#[test]
fn a_signature_is_for_one_type_and_one_payload() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let key = PublicKey::from_pem(pem(pair.public_key()).as_bytes()).unwrap();
    let signature = pair.sign(&pae(IN_TOTO, b"{}")).as_ref().to_vec();
    let signed = |payload: &[u8], kind: &str| {
        let envelope = Envelope::of(payload, kind, vec![("ci".to_owned(), signature.clone())]);
        envelope.open(kind).unwrap().is_signed_by(&key)
    };
    assert!(signed(b"{}", IN_TOTO));
    assert!(!signed(b"{ }", IN_TOTO));
    assert!(!signed(b"{}", "application/json"));
}

#[test]
fn what_is_no_envelope_is_refused() {
    let open = |text: &str| {
        let envelope: Envelope = serde_json::from_str(text).unwrap();
        envelope.open(IN_TOTO)
    };
    let written = |payload: &str, kind: &str, signatures: usize| {
        let one = r#"{"keyid":"a","sig":"AAAA"}"#;
        let all = vec![one; signatures].join(",");
        format!(r#"{{"payload":"{payload}","payloadType":"{kind}","signatures":[{all}]}}"#)
    };
    assert!(open(&written("e30=", IN_TOTO, 1)).is_ok());
    // Both alphabets.
    assert_eq!(
        open(&written("-_8=", IN_TOTO, 1)),
        open(&written("+/8=", IN_TOTO, 1))
    );
    assert_eq!(
        open(&written("e30=", "text/plain", 1)),
        Err(NotAnEnvelope::Type)
    );
    assert_eq!(
        open(&written("e30=", IN_TOTO, 17)),
        Err(NotAnEnvelope::Signatures)
    );
    assert_eq!(
        open(&written("e30", IN_TOTO, 1)),
        Err(NotAnEnvelope::Base64)
    );
    assert_eq!(
        open(&written("%%%", IN_TOTO, 1)),
        Err(NotAnEnvelope::Base64)
    );
}

#[test]
fn what_is_no_key_is_refused() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let good = pem(pair.public_key());
    assert!(PublicKey::from_pem(good.as_bytes()).is_ok());
    let two = format!("{good}{good}");
    for bad in [
        "",
        "ssh-ed25519 AAAA",
        &two,
        &good.replace("PUBLIC", "PRIVATE"),
    ] {
        assert_eq!(
            PublicKey::from_pem(bad.as_bytes()).unwrap_err(),
            NotAPublicKey
        );
    }
}
