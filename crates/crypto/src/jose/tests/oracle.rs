//! jsonwebtoken as an independent reader of what we sign, and signer of what we read.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::KeyPair;
use jsonwebtoken::{
    Algorithm as Theirs, DecodingKey, EncodingKey, Header, Validation, decode, encode,
};
use serde_json::{Map, Value, json};

use super::{sign, verify};
use crate::jose::claims;
use crate::jwk::{Jwk, Material};
use crate::keys::{SigningKey, VerifyingKey};

#[test]
fn jsonwebtoken_reads_what_we_sign() {
    let key = SigningKey::generate().unwrap();
    let token = sign(
        &key,
        Some("at+jwt"),
        &json!({"sub": "a", "exp": 4_000_000_000_u64}),
    )
    .unwrap();
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(json!(key.jwk())).unwrap();
    let decoded = decode::<Map<String, Value>>(
        &token,
        &DecodingKey::from_jwk(&jwk).unwrap(),
        &Validation::new(Theirs::ES256),
    )
    .unwrap();
    assert_eq!(decoded.claims["sub"], "a");
    assert_eq!(decoded.header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(decoded.header.kid.as_deref(), Some(key.kid()));
    assert_eq!(
        jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256)
            .unwrap(),
        key.kid()
    );

    let other = SigningKey::generate().unwrap();
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(json!(other.jwk())).unwrap();
    assert!(
        decode::<Value>(
            &token,
            &DecodingKey::from_jwk(&jwk).unwrap(),
            &Validation::new(Theirs::ES256)
        )
        .is_err()
    );
}

#[test]
fn we_read_what_jsonwebtoken_signs() {
    let ours = SigningKey::generate().unwrap();
    let header = |algorithm| Header {
        kid: Some("k".into()),
        ..Header::new(algorithm)
    };
    let token = encode(
        &header(Theirs::ES256),
        &json!({"a": 1}),
        &EncodingKey::from_ec_der(ours.pkcs8().expose()),
    )
    .unwrap();
    let payload = verify(&token, &ours.verifying_key().unwrap()).unwrap();
    assert_eq!(claims(&payload).unwrap()["a"], 1);

    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
    let public = pair.public_key();
    let material = Material::Rsa {
        n: public.modulus().big_endian_without_leading_zero().to_vec(),
        e: public.exponent().big_endian_without_leading_zero().to_vec(),
    };
    let key = VerifyingKey::new(Jwk {
        material,
        kid: None,
        algorithm: None,
        usage: None,
    })
    .unwrap();
    let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pkcs8.as_ref())
    );
    let encoding = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
    for algorithm in [Theirs::RS256, Theirs::PS256] {
        let token = encode(&header(algorithm), &json!({"a": 1}), &encoding).unwrap();
        assert!(verify(&token, &key).is_ok(), "{algorithm:?}");
    }
    // A class that does not use RS384 refuses it although the key could verify it.
    let token = encode(&header(Theirs::RS384), &json!({"a": 1}), &encoding).unwrap();
    assert!(verify(&token, &key).is_err());
}
