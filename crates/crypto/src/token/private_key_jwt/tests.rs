//! What a client's own assertion has to say, and every way in which it does not.

use serde_json::{Value, json};

use super::{ClientClaims, ClientKeysError, MAX_JTI, PrivateKeyJwt};
use crate::fixture::{ISSUER, NOW, SVID_ISSUER, es256, now, trust_domain};
use crate::jose::JoseError;
use crate::keys::SigningKey;
use crate::token::{ClientKeys, KeySet, TokenError, Verified, Verifier};

const CLIENT: &str = "desk";

fn keys(keys: &[&SigningKey]) -> KeySet<ClientKeys> {
    let keys: Vec<Value> = keys
        .iter()
        .map(|key| Value::Object(key.jwk().to_json()))
        .collect();
    KeySet::of_client(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn claims() -> Value {
    json!({ "iss": CLIENT, "sub": CLIENT, "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": "one" })
}

/// The usual assertion with one claim replaced, or taken out where the value is null.
fn changed(key: &SigningKey, name: &str, value: Value) -> String {
    let claims = crate::fixture::with(&claims(), name, value);
    es256(key, &json!({ "alg": "ES256", "kid": key.kid() }), &claims)
}

fn verify(
    keys: KeySet<ClientKeys>,
    assertion: &str,
) -> Result<Verified<PrivateKeyJwt>, TokenError> {
    Verifier::<PrivateKeyJwt>::new(keys, CLIENT, trust_domain()).verify(assertion, ISSUER, now())
}

#[test]
fn a_client_is_known_by_its_own_key() {
    let (key, next) = (
        SigningKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
    );
    for header in [
        json!({ "alg": "ES256", "kid": key.kid() }),
        json!({ "alg": "ES256", "kid": key.kid(), "typ": "JWT" }),
        json!({ "alg": "ES256" }),
    ] {
        let assertion = es256(&key, &header, &claims());
        assert_eq!(PrivateKeyJwt::claimed_by(&assertion).unwrap(), CLIENT);
        let read: ClientClaims = verify(keys(&[&key]), &assertion).unwrap().into_claims();
        assert_eq!((read.sub.as_str(), read.jti.as_str()), (CLIENT, "one"));
    }
    let nameless = es256(&next, &json!({ "alg": "ES256" }), &claims());
    assert!(matches!(
        verify(keys(&[&key]), &nameless),
        Err(TokenError::Jose(JoseError::Signature))
    ));
    // Of two keys, one has to be named.
    assert!(matches!(
        verify(keys(&[&key, &next]), &nameless),
        Err(TokenError::UnknownKey { .. })
    ));
}

#[test]
fn hostile_assertions_are_refused() {
    let key = SigningKey::generate().unwrap();
    let own = || keys(&[&key]);
    let refused = |name: &str, value: Value| {
        let assertion = changed(&key, name, value.clone());
        match verify(own(), &assertion) {
            Err(error) => error,
            Ok(_) => panic!("{name} = {value} passed"),
        }
    };
    for aud in [
        json!(format!("{ISSUER}/oauth/token")),
        json!(format!("{ISSUER}/")),
        json!(SVID_ISSUER),
        json!([ISSUER, "https://other.example"]),
        json!([]),
        Value::Null,
    ] {
        let error = refused("aud", aud);
        assert!(
            matches!(
                error,
                TokenError::Audience { .. } | TokenError::Claims { .. }
            ),
            "{error}"
        );
    }
    for iss in [json!("ide"), json!(ISSUER), Value::Null] {
        assert!(matches!(refused("iss", iss), TokenError::Issuer { .. }));
    }
    let claim = |name: &str, value: Value| match refused(name, value) {
        TokenError::Claim { claim, .. } => claim,
        error => panic!("{error}"),
    };
    assert_eq!(claim("sub", json!("ide")), "sub");
    assert_eq!(claim("jti", json!("")), "jti");
    assert_eq!(claim("jti", json!("j".repeat(MAX_JTI + 1))), "jti");
    assert_eq!(claim("exp", json!(NOW + 301)), "exp");
    assert_eq!(claim("iat", json!(NOW - 300)), "exp");
    for missing in ["sub", "jti"] {
        let error = refused(missing, Value::Null);
        assert!(matches!(error, TokenError::Claims { .. }), "{error}");
    }
    for (name, value) in [
        ("exp", json!(NOW)),
        ("exp", json!(NOW - 1)),
        ("exp", Value::Null),
        ("exp", json!(1.5)),
        ("iat", json!(NOW + 6)),
        ("iat", Value::Null),
        ("nbf", json!(NOW + 6)),
    ] {
        let error = refused(name, value);
        assert!(
            matches!(
                error,
                TokenError::Expired { .. } | TokenError::Time { .. } | TokenError::Ahead { .. }
            ),
            "{error}"
        );
    }
}

#[test]
fn an_assertion_chooses_neither_key_nor_algorithm() {
    let (key, thief) = (
        SigningKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
    );
    let own = || keys(&[&key]);
    for header in [
        json!({ "alg": "none", "kid": key.kid() }),
        json!({ "alg": "HS256", "kid": key.kid() }),
        json!({ "alg": "ES384", "kid": key.kid() }),
        json!({ "alg": "RS256", "kid": key.kid() }),
        json!({ "alg": "ES256", "kid": key.kid(), "jwk": thief.jwk().to_json() }),
        json!({ "alg": "ES256", "kid": key.kid(), "jku": "https://thief.example/keys" }),
        json!({ "alg": "ES256", "kid": key.kid(), "x5c": [] }),
        json!({ "alg": "ES256", "kid": key.kid(), "crit": ["exp"] }),
        json!({ "alg": "ES256", "kid": key.kid(), "typ": "at+jwt" }),
        json!({ "alg": "ES256", "kid": thief.kid() }),
        json!({ "alg": "ES256", "kid": "" }),
    ] {
        for signer in [&key, &thief] {
            let assertion = es256(signer, &header, &claims());
            assert!(verify(own(), &assertion).is_err(), "{header}");
        }
    }
    let by_thief = es256(
        &thief,
        &json!({ "alg": "ES256", "kid": key.kid() }),
        &claims(),
    );
    assert!(matches!(
        verify(own(), &by_thief),
        Err(TokenError::Jose(JoseError::Signature))
    ));
}

#[test]
fn keys_of_a_client_are_public_and_few() {
    let key = SigningKey::generate().unwrap();
    let public = Value::Object(key.jwk().to_json());
    let of = |keys: Value| KeySet::of_client(json!({ "keys": keys }).to_string().as_bytes());
    let with = |name: &str, value: Value| crate::fixture::with(&public, name, value);
    assert!(of(json!([public])).is_ok());
    assert_eq!(of(json!([])).unwrap_err(), ClientKeysError::Number);
    let many: Vec<Value> = (0..9)
        .map(|number| with("kid", json!(number.to_string())))
        .collect();
    assert_eq!(of(json!(many)).unwrap_err(), ClientKeysError::Number);
    for flawed in [
        with("d", json!("c2VjcmV0")),
        with("kid", Value::Null),
        with("alg", json!("HS256")),
        with("use", json!("enc")),
        with("x", json!("AAAA")),
        json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "k" }),
    ] {
        let refused = of(json!([flawed]));
        assert!(
            matches!(refused, Err(ClientKeysError::Set(_))),
            "{flawed}: {refused:?}"
        );
    }
    assert!(matches!(
        of(json!([public, public])),
        Err(ClientKeysError::Set(_))
    ));
    let ed25519 = json!([{ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }]);
    assert_eq!(of(ed25519).unwrap_err(), ClientKeysError::Algorithm);
}
