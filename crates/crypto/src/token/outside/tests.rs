//! Tokens of outside issuers: what is taken, and each attack on it.

use serde_json::{Value, json};

use super::OutsideVerifier;
use crate::fixture::{NOW, compact, es256, now, with};
use crate::jwk::Algorithm;
use crate::keys::SigningKey;
use crate::token::{KeySet, OutsideKeys, TokenError};

const ISSUER: &str = "https://issuer.example";
const US: &str = "https://bailiwick.example";

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "repo:octo/app:environment:prod", "aud": US, "iat": NOW, "nbf": NOW, "exp": NOW + 300})
}

fn verifier() -> OutsideVerifier {
    OutsideVerifier::new(ISSUER, US, vec![Algorithm::Es256])
}

fn keys(key: &SigningKey) -> KeySet<OutsideKeys> {
    let document = json!({"keys": [key.jwk()]}).to_string();
    KeySet::of_outside_issuer(document.as_bytes()).unwrap()
}

fn header(key: &SigningKey) -> Value {
    json!({"alg": "ES256", "typ": "JWT", "kid": key.kid(), "x5t": "aHVoIQ"})
}

#[test]
fn a_good_token_says_who_it_is() {
    let key = SigningKey::generate().unwrap();
    for aud in [json!(US), json!([US])] {
        let token = es256(&key, &header(&key), &with(&claims(), "aud", aud));
        let claims = verifier().verify(&token, &keys(&key), now()).unwrap();
        assert_eq!(claims.subject, "repo:octo/app:environment:prod");
        assert_eq!(claims.expires.as_secs(), NOW + 300);
        assert_eq!(verifier().kid(&token).unwrap(), key.kid());
    }
}

#[test]
fn other_audiences_issuers_and_times_are_refused() {
    let key = SigningKey::generate().unwrap();
    for (name, value) in [
        ("aud", json!("https://other.example")),
        ("aud", json!([US, "https://other.example"])),
        ("aud", json!([])),
        ("aud", Value::Null),
        ("iss", json!("https://issuer.example/")),
        ("iss", json!("https://other.example")),
        ("iss", Value::Null),
        ("exp", json!(NOW)),
        ("exp", json!(NOW + 86_401)),
        ("exp", Value::Null),
        ("exp", json!("soon")),
        ("iat", json!(NOW + 6)),
        ("iat", Value::Null),
        ("nbf", json!(NOW + 6)),
        ("sub", Value::Null),
        ("sub", json!("")),
        ("sub", json!("a".repeat(513))),
        ("sub", json!(["repo:octo/app:environment:prod"])),
    ] {
        let altered = with(&claims(), name, value.clone());
        let token = es256(&key, &header(&key), &altered);
        let refused = verifier().verify(&token, &keys(&key), now());
        assert!(refused.is_err(), "{name} {value}");
    }
}

#[test]
fn the_token_does_not_choose_how_it_is_verified() {
    let (key, other) = (
        SigningKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
    );
    let keys = keys(&key);
    for alg in ["none", "HS256", "RS256", "ES384", "es256"] {
        let mut header = header(&key);
        header["alg"] = json!(alg);
        let signed = es256(&key, &header, &claims());
        let bare = compact(&header.to_string(), &claims().to_string(), |_| vec![]);
        for token in [signed, bare] {
            assert!(verifier().verify(&token, &keys, now()).is_err(), "{alg}");
        }
    }
    // An algorithm that the class knows and this issuer does not use.
    let strict = OutsideVerifier::new(ISSUER, US, vec![Algorithm::Rs256]);
    let token = es256(&key, &header(&key), &claims());
    assert!(matches!(
        strict.kid(&token),
        Err(TokenError::Algorithm { .. })
    ));
    // Another key under the same id; a key that is not there; keys brought along.
    let forged = es256(&other, &header(&key), &claims());
    assert!(matches!(
        verifier().verify(&forged, &keys, now()),
        Err(TokenError::Jose(_))
    ));
    let unknown = es256(&other, &header(&other), &claims());
    assert!(matches!(
        verifier().verify(&unknown, &keys, now()),
        Err(TokenError::UnknownKey { .. })
    ));
    for (name, value) in [
        ("jwk", json!(key.jwk())),
        ("jku", json!("https://attacker.example/jwks")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
        ("typ", json!("dpop+jwt")),
    ] {
        let mut header = header(&key);
        header[name] = value;
        let token = es256(&key, &header, &claims());
        assert!(verifier().kid(&token).is_err(), "{name}");
    }
}

#[test]
fn keys_of_others_that_we_cannot_use_are_passed_over() {
    let key = SigningKey::generate().unwrap();
    let mut encrypting = json!(key.jwk());
    encrypting["use"] = json!("enc");
    encrypting["kid"] = json!("enc-1");
    let document = json!({"keys": [
        {"kty": "oct", "kid": "hmac", "k": "c2VjcmV0"},
        {"kty": "EC", "crv": "secp256k1", "kid": "k1", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "kid": "off", "x": "AA", "y": "AA"},
        encrypting,
        key.jwk(),
    ]});
    let keys = KeySet::<OutsideKeys>::of_outside_issuer(document.to_string().as_bytes()).unwrap();
    assert!(keys.key(key.kid()).is_some());
    for kid in ["hmac", "k1", "off", "enc-1"] {
        assert!(keys.key(kid).is_none(), "{kid}");
    }
    let twice = json!({"keys": [key.jwk(), key.jwk()]}).to_string();
    assert!(KeySet::<OutsideKeys>::of_outside_issuer(twice.as_bytes()).is_err());
    for document in ["[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
        let read = KeySet::<OutsideKeys>::of_outside_issuer(document.as_bytes());
        assert!(read.is_err(), "{document}");
    }
}
