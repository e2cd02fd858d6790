//! A proof is good for one request, one key, one minute, once.

use bailiwick_core::{Code, Fault, Timestamp};
use serde_json::{Value, json};

use super::{DpopError, Guard, Proof, Replay, Request, prove, token_hash};
use crate::fixture::{At, NOW, RESOURCE, es256, now, with};
use crate::jose::JoseError;
use crate::jwk::{Jwk, JwkError};
use crate::keys::SigningKey;
use crate::system::SystemRng;

const CLOCK: At = At {
    wall: NOW,
    boot: 1_000,
};
const REQUEST: Request<'static> = Request {
    method: "POST",
    url: RESOURCE,
    access_token: Some("token"),
};

fn proof(key: &SigningKey, nonce: Option<&str>) -> String {
    prove(key, &REQUEST, nonce, &CLOCK, &SystemRng).unwrap()
}

#[test]
fn a_proof_fits_its_own_request_only() {
    let key = SigningKey::generate().unwrap();
    let made = proof(&key, Some("n"));
    let verified = Proof::verify(&made, &REQUEST, now()).unwrap();
    assert_eq!(
        (verified.jkt(), verified.nonce()),
        (key.thumbprint(), Some("n"))
    );

    let other = |request: Request<'_>| match Proof::verify(&made, &request, now()).unwrap_err() {
        DpopError::OtherRequest(member) => member,
        error => panic!("{error}"),
    };
    assert_eq!(
        other(Request {
            method: "GET",
            ..REQUEST
        }),
        "htm"
    );
    assert_eq!(
        other(Request {
            method: "post",
            ..REQUEST
        }),
        "htm"
    );
    assert_eq!(
        other(Request {
            url: "https://gateway.example/mcp/other",
            ..REQUEST
        }),
        "htu"
    );
    assert_eq!(
        other(Request {
            url: "https://gateway.example/mcp/github/",
            ..REQUEST
        }),
        "htu"
    );
    assert_eq!(
        other(Request {
            url: "http://gateway.example/mcp/github",
            ..REQUEST
        }),
        "htu"
    );
    assert_eq!(
        other(Request {
            access_token: Some("another"),
            ..REQUEST
        }),
        "ath"
    );

    // A proof made for the token endpoint, without `ath`, does not go with a token.
    let without = prove(
        &key,
        &Request {
            access_token: None,
            ..REQUEST
        },
        None,
        &CLOCK,
        &SystemRng,
    )
    .unwrap();
    assert!(matches!(
        Proof::verify(&without, &REQUEST, now()).unwrap_err(),
        DpopError::Member("ath")
    ));

    let late = Timestamp::from_secs(NOW + 301);
    assert!(matches!(
        Proof::verify(&made, &REQUEST, late).unwrap_err(),
        DpopError::Skew
    ));
    let early = Timestamp::from_secs(NOW - 301);
    assert!(matches!(
        Proof::verify(&made, &REQUEST, early).unwrap_err(),
        DpopError::Skew
    ));
}

#[test]
fn forged_and_malformed_proofs_are_refused() {
    let (key, other) = (
        SigningKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
    );
    let public = |key: &SigningKey| Jwk {
        kid: None,
        algorithm: None,
        usage: None,
        ..key.jwk().clone()
    };
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": public(&key)});
    let claims = json!({"jti": "j", "htm": "POST", "htu": RESOURCE, "iat": NOW, "ath": token_hash("token"), "nonce": "n"});
    let verify = |header: &Value, claims: &Value| {
        Proof::verify(&es256(&key, header, claims), &REQUEST, now())
    };
    assert!(verify(&header, &claims).is_ok());

    let stolen = with(&header, "jwk", json!(public(&other)));
    assert!(
        matches!(
            verify(&stolen, &claims).unwrap_err(),
            DpopError::Jose(JoseError::Signature)
        ),
        "another's key"
    );
    let mut private = json!(public(&key));
    private["d"] = json!("AAAA");
    let error = verify(&with(&header, "jwk", private), &claims).unwrap_err();
    assert!(
        matches!(
            error,
            DpopError::Jose(JoseError::Jwk(JwkError::Private("d")))
        ),
        "{error}"
    );
    for (name, value) in [
        ("jwk", Value::Null),
        ("jwk", json!("key")),
        ("jwk", json!({"kty": "oct", "k": "AAAA"})),
        ("typ", Value::Null),
        ("typ", json!("JWT")),
        ("typ", json!("at+jwt")),
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("ES384")),
        ("alg", json!("ES512")),
        ("jku", json!("https://attacker.example")),
        ("crit", json!(["nonce"])),
    ] {
        assert!(
            verify(&with(&header, name, value.clone()), &claims).is_err(),
            "{name} {value}"
        );
    }
    for (name, value) in [
        ("jti", Value::Null),
        ("jti", json!("")),
        ("jti", json!("j".repeat(257))),
        ("jti", json!(1)),
        ("htm", Value::Null),
        ("htu", Value::Null),
        ("htu", json!([RESOURCE])),
        ("iat", Value::Null),
        ("iat", json!(NOW.to_string())),
        ("ath", Value::Null),
        ("nonce", json!(1)),
    ] {
        assert!(
            verify(&header, &with(&claims, name, value.clone())).is_err(),
            "{name} {value}"
        );
    }
}

#[test]
fn trap_08_a_proof_is_accepted_once_and_under_a_fresh_nonce() {
    let key = SigningKey::generate().unwrap();
    let guard = Guard::new(&SystemRng);
    let at = |boot| At { boot, ..CLOCK };
    let nonce = guard.nonce(&at(1_000));
    let admit =
        |made: &str, boot| guard.admit(&Proof::verify(made, &REQUEST, now()).unwrap(), &at(boot));

    let made = proof(&key, Some(&nonce));
    admit(&made, 1_000).unwrap();
    assert!(matches!(
        admit(&made, 1_000).unwrap_err(),
        DpopError::Replayed
    ));
    admit(&proof(&key, Some(&nonce)), 1_000).unwrap();

    // 1,000 s is in the bucket 990..1,020; its nonce ends with the bucket 1,020..1,050, and so does the memory of the proof.
    let another = proof(&key, Some(&nonce));
    admit(&another, 1_049).unwrap();
    assert!(matches!(
        admit(&made, 1_049).unwrap_err(),
        DpopError::Replayed
    ));
    for boot in [1_050, 1_060, 1_110, 2_000] {
        assert!(
            matches!(admit(&made, boot).unwrap_err(), DpopError::Nonce),
            "{boot}"
        );
    }
    assert_eq!(
        admit(&proof(&key, None), 1_000).unwrap_err().code(),
        Code::DpopNonce
    );
    assert!(matches!(
        admit(&proof(&key, Some("")), 1_000).unwrap_err(),
        DpopError::Nonce
    ));
    assert!(
        matches!(
            admit(&proof(&key, Some(&guard.nonce(&at(1_080)))), 1_000).unwrap_err(),
            DpopError::Nonce
        ),
        "from the future"
    );

    // The same proof at another node: its nonces are not ours.
    let elsewhere = Guard::new(&SystemRng);
    let fresh = proof(&key, Some(&guard.nonce(&at(1_000))));
    let verified = Proof::verify(&fresh, &REQUEST, now()).unwrap();
    assert!(matches!(
        elsewhere.admit(&verified, &at(1_000)).unwrap_err(),
        DpopError::Nonce
    ));
    guard.admit(&verified, &at(1_000)).unwrap();
}

#[test]
fn a_guard_that_remembers_too_much_says_so() {
    let full = DpopError::from(Replay::Full);
    assert_eq!(full.code().http_status(), 503);
    assert!(matches!(
        DpopError::from(Replay::Known),
        DpopError::Replayed
    ));
}
