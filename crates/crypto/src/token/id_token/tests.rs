//! An ID token says who signed in to the one login that asked, and nothing to anybody else.

use serde_json::{Value, json};

use super::IdToken;
use crate::fixture::{
    ISSUER, NOW, RESOURCE, SVID_ISSUER, es256, now, task_claims, trust_domain, with,
};
use crate::keys::SigningKey;
use crate::token::jwt_svid::JwtSvid;
use crate::token::task::TaskToken;
use crate::token::{KeySet, LoginKeys, SvidKeys, TaskKeys, Verifier};

const PROVIDER: &str = "https://login.example/realm";
const US: &str = "bailiwick";

fn good() -> Value {
    json!({ "iss": PROVIDER, "sub": "248289761001", "aud": US, "nonce": "n-0S6_WzA2Mj", "iat": NOW, "exp": NOW + 300, "email": "a@b.example" })
}

fn verifier(key: &SigningKey) -> Verifier<IdToken> {
    let keys = KeySet::<LoginKeys>::new([key.jwk().clone()]).unwrap();
    Verifier::new(keys, PROVIDER, trust_domain())
}

fn accepts(key: &SigningKey, claims: &Value) -> bool {
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": key.kid() });
    verifier(key)
        .verify(&es256(key, &header, claims), US, now())
        .is_ok()
}

#[test]
fn a_login_is_answered_by_a_token_for_us_alone_from_this_provider_now() {
    let key = SigningKey::generate().unwrap();
    assert!(accepts(&key, &good()));
    assert!(accepts(&key, &with(&good(), "aud", json!([US]))));
    assert!(accepts(&key, &with(&good(), "azp", json!(US))));
    for (claim, value) in [
        ("iss", json!("https://login.example/realm/")),
        ("iss", json!("https://login.example")),
        ("iss", Value::Null),
        ("aud", json!("another")),
        ("aud", json!([US, "another"])),
        ("aud", json!([])),
        ("aud", Value::Null),
        ("azp", json!("another")),
        ("sub", json!("")),
        ("sub", Value::Null),
        ("nonce", json!("")),
        ("nonce", Value::Null),
        ("exp", json!(NOW)),
        ("exp", Value::Null),
        ("iat", json!(NOW + 60)),
        ("iat", Value::Null),
        ("nbf", json!(NOW + 60)),
    ] {
        assert!(
            !accepts(&key, &with(&good(), claim, value.clone())),
            "{claim} {value}"
        );
    }
}

#[test]
fn it_answers_the_login_that_was_started_with_its_nonce() {
    let key = SigningKey::generate().unwrap();
    let token = es256(&key, &json!({ "alg": "ES256", "kid": key.kid() }), &good());
    let verified = verifier(&key).verify(&token, US, now()).unwrap();
    assert!(verified.claims().answers("n-0S6_WzA2Mj"));
    assert!(!verified.claims().answers("n-of-another-session"));
    assert!(!verified.claims().answers(""));
}

#[test]
fn it_passes_no_other_verifier_and_no_other_token_passes_its_own() {
    let key = SigningKey::generate().unwrap();
    let token = es256(
        &key,
        &json!({ "alg": "ES256", "typ": "JWT", "kid": key.kid() }),
        &good(),
    );
    let tasks = KeySet::<TaskKeys>::new([key.jwk().clone()]).unwrap();
    let svids = KeySet::<SvidKeys>::new([key.jwk().clone()]).unwrap();
    let tasks = Verifier::<TaskToken>::new(tasks, PROVIDER, trust_domain());
    let svids = Verifier::<JwtSvid>::new(svids, PROVIDER, trust_domain());
    assert!(tasks.verify(&token, US, now()).is_err());
    assert!(svids.verify(&token, US, now()).is_err());
    let ours = TaskToken::issue(&key, &task_claims(&key)).unwrap();
    for issuer in [ISSUER, SVID_ISSUER, PROVIDER] {
        let keys = KeySet::<LoginKeys>::new([key.jwk().clone()]).unwrap();
        let logins = Verifier::<IdToken>::new(keys, issuer, trust_domain());
        assert!(logins.verify(ours.expose(), RESOURCE, now()).is_err());
    }
    for alg in ["none", "HS256", "ES384"] {
        let forged = es256(&key, &json!({ "alg": alg, "kid": key.kid() }), &good());
        assert!(verifier(&key).verify(&forged, US, now()).is_err(), "{alg}");
    }
}

#[test]
fn keys_of_a_provider_that_we_cannot_use_are_left_out() {
    let key = SigningKey::generate().unwrap();
    let own = key.jwk().to_json();
    let document = |keys: Value| json!({ "keys": keys }).to_string();
    let mut unnamed = own.clone();
    unnamed.remove("kid");
    let others = json!([
        own,
        { "kty": "RSA", "use": "enc", "kid": "e", "n": "AQAB", "e": "AQAB" },
        { "kty": "EC", "crv": "secp256k1", "kid": "k", "x": "AA", "y": "AA" },
        unnamed,
    ]);
    let keys = KeySet::<LoginKeys>::from_foreign_jwks(document(others).as_bytes()).unwrap();
    assert!(keys.key(key.kid()).is_some() && keys.key("e").is_none() && keys.key("k").is_none());
    let mut private = own.clone();
    private.insert("d".to_owned(), json!("AAAA"));
    for unfit in [json!([private]), json!([own, own]), json!(["x"]), json!({})] {
        assert!(
            KeySet::<LoginKeys>::from_foreign_jwks(document(unfit.clone()).as_bytes()).is_err(),
            "{unfit}"
        );
    }
}
