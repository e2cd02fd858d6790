//! The attacks of RFC 8725 §2.1 and §3.1: the token chooses how it is verified.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use super::{JoseError, claims, verify};
use crate::fixture::{compact, es256};
use crate::jwk::{Curve, Jwk, Material};
use crate::keys::{SigningKey, VerifyingKey};

fn keys() -> (SigningKey, VerifyingKey) {
    let key = SigningKey::generate().unwrap();
    let verifying = key.verifying_key().unwrap();
    (key, verifying)
}

fn good() -> Value {
    json!({"alg": "ES256", "kid": "k"})
}

#[test]
fn none_is_refused_in_every_spelling() {
    let (key, verifying) = keys();
    assert!(verify(&es256(&key, &good(), &json!({})), &verifying).is_ok());
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({"alg": alg, "kid": "k"});
        let unsigned = compact(&header.to_string(), "{}", |_| vec![]);
        for token in [es256(&key, &header, &json!({})), unsigned] {
            let error = verify(&token, &verifying).unwrap_err();
            assert!(matches!(error, JoseError::Algorithm { .. }), "{alg}");
        }
    }
}

#[test]
fn the_public_key_is_no_hmac_secret() {
    let (key, verifying) = keys();
    for secret in [
        key.public_point().to_vec(),
        json!(key.jwk()).to_string().into_bytes(),
    ] {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let sign = |input: &[u8]| hmac::sign(&secret, input).as_ref().to_vec();
        let token = compact(r#"{"alg":"HS256","kid":"k"}"#, "{}", sign);
        assert!(matches!(
            verify(&token, &verifying).unwrap_err(),
            JoseError::Algorithm { .. }
        ));
    }
}

#[test]
fn a_key_signs_with_its_own_algorithm_only() {
    let (key, verifying) = keys();
    for alg in ["ES384", "RS256", "PS256"] {
        let token = es256(&key, &json!({"alg": alg, "kid": "k"}), &json!({}));
        assert!(
            matches!(
                verify(&token, &verifying).unwrap_err(),
                JoseError::KeyAlgorithm(_)
            ),
            "{alg}"
        );
    }
}

#[test]
fn a_token_brings_neither_keys_nor_extensions() {
    let (key, verifying) = keys();
    for (name, value) in [
        ("jwk", json!(key.jwk())),
        ("jku", json!("https://attacker.example/jwks")),
        ("x5u", json!("https://attacker.example/cert")),
        ("x5c", json!(["MIIB"])),
        ("x5t#S256", json!("AAAA")),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("Alg", json!("none")),
    ] {
        let mut header = good();
        header[name] = value;
        let error = verify(&es256(&key, &header, &json!({})), &verifying).unwrap_err();
        assert!(
            matches!(&error, JoseError::HeaderMember { name: found, .. } if found == name),
            "{name}: {error}"
        );
    }
}

#[test]
fn duplicate_members_are_refused_at_every_level() {
    let (key, verifying) = keys();
    let sign = |input: &[u8]| key.sign(input).unwrap().to_vec();
    for header in [
        r#"{"alg":"ES256","kid":"k","alg":"ES256"}"#,
        r#"{"alg":"ES256","kid":"k","\u0061lg":"none"}"#,
    ] {
        let error = verify(&compact(header, "{}", sign), &verifying).unwrap_err();
        assert!(
            matches!(error, JoseError::Json { part: "header", .. }),
            "{header}"
        );
    }
    for payload in [
        r#"{"a":1,"a":1}"#,
        r#"{"act":{"sub":"x","sub":"y"}}"#,
        r#"{"a":[{"b":1,"b":2}]}"#,
    ] {
        let read = verify(&compact(&good().to_string(), payload, sign), &verifying).unwrap();
        let error = claims(&read).unwrap_err();
        assert!(
            matches!(
                error,
                JoseError::Json {
                    part: "payload",
                    ..
                }
            ),
            "{payload}"
        );
    }
}

#[test]
fn es512_passes() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(66);
    let material = Material::Ec {
        curve: Curve::P521,
        x: x.to_vec(),
        y: y.to_vec(),
    };
    let key = VerifyingKey::new(Jwk {
        material,
        kid: None,
        algorithm: None,
        usage: None,
    })
    .unwrap();
    let sign = |input: &[u8]| {
        pair.sign(&SystemRandom::new(), input)
            .unwrap()
            .as_ref()
            .to_vec()
    };
    assert!(verify(&compact(r#"{"alg":"ES512","kid":"k"}"#, "{}", sign), &key).is_ok());
    assert!(verify(&compact(r#"{"alg":"ES256","kid":"k"}"#, "{}", sign), &key).is_err());
}
