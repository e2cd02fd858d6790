//! What jsonwebtoken and others let pass by default (RFC 8725 §3.8 to §3.12).

use bailiwick_core::{Code, Fault};
use serde_json::{Value, json};

use super::{World, world};
use crate::fixture::{ISSUER, NOW, RESOURCE, SVID_ISSUER, es256, now, task_claims, with};
use crate::jose::JoseError;
use crate::token::task::TaskToken;
use crate::token::{KeySet, TokenError, Verifier};

fn header(world: &World, typ: Value) -> Value {
    with(
        &json!({"alg": "ES256", "kid": world.task.kid()}),
        "typ",
        typ,
    )
}

fn verify(world: &World, header: &Value, claims: &Value) -> Result<(), TokenError> {
    let token = es256(&world.task, header, claims);
    world.tasks.verify(&token, RESOURCE, now()).map(drop)
}

/// The error for good claims with one member replaced, or taken out where the value is null.
fn refused(world: &World, name: &str, value: Value) -> TokenError {
    let claims = with(&task_claims(&world.task), name, value);
    verify(world, &header(world, json!("at+jwt")), &claims).unwrap_err()
}

#[test]
fn typ_and_crit() {
    let world = world();
    let claims = json!(task_claims(&world.task));
    for good in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        verify(&world, &header(&world, json!(good)), &claims).unwrap();
    }
    for typ in [Value::Null, json!("JWT"), json!("dpop+jwt")] {
        let error = verify(&world, &header(&world, typ.clone()), &claims).unwrap_err();
        assert!(
            matches!(error, TokenError::Jose(JoseError::Typ { .. })),
            "{typ}: {error}"
        );
    }
    let crit = with(&header(&world, json!("at+jwt")), "crit", json!(["exp"]));
    let error = verify(&world, &crit, &claims).unwrap_err();
    assert!(
        matches!(error, TokenError::Jose(JoseError::HeaderMember { .. })),
        "{error}"
    );
}

#[test]
fn times() {
    let world = world();
    let refused = |name, value| refused(&world, name, value);
    assert_eq!(
        refused("exp", json!(NOW)).code(),
        Code::TokenExpired,
        "in the very second"
    );
    assert_eq!(
        refused("exp", json!(NOW - 1)).code(),
        Code::TokenExpired,
        "expired 1 s"
    );
    for value in [
        Value::Null,
        json!("4000000000"),
        json!(4e9),
        json!(u64::MAX),
    ] {
        assert!(matches!(
            refused("exp", value),
            TokenError::Time { claim: "exp", .. }
        ));
    }
    assert!(matches!(
        refused("nbf", json!(NOW + 6)),
        TokenError::Ahead { claim: "nbf", .. }
    ));
    assert!(matches!(
        refused("iat", json!(NOW + 6)),
        TokenError::Ahead { claim: "iat", .. }
    ));
    assert!(matches!(
        refused("iat", Value::Null),
        TokenError::Time { claim: "iat", .. }
    ));
    let ahead = with(&task_claims(&world.task), "iat", json!(NOW + 5));
    verify(&world, &header(&world, json!("at+jwt")), &ahead).unwrap();
}

#[test]
fn audience_and_issuer() {
    let world = world();
    let refused = |name, value| refused(&world, name, value);
    for value in [
        Value::Null,
        json!("https://gateway.example/mcp/github/"),
        json!("https://GATEWAY.example/mcp/github"),
    ] {
        assert!(matches!(refused("aud", value), TokenError::Audience { .. }));
    }
    assert!(
        matches!(refused("aud", json!([RESOURCE])), TokenError::Claims { .. }),
        "one resource is a string"
    );
    for value in [
        Value::Null,
        json!("https://console.example/"),
        json!(SVID_ISSUER),
        json!([ISSUER]),
    ] {
        assert!(matches!(refused("iss", value), TokenError::Issuer { .. }));
    }
    let good = TaskToken::issue(&world.task, &task_claims(&world.task)).unwrap();
    let other = "https://gateway.example/mcp/other";
    let error = world.tasks.verify(good.expose(), other, now()).unwrap_err();
    assert!(matches!(error, TokenError::Audience { .. }));

    let keys = KeySet::new([world.task.jwk().clone()]).unwrap();
    let elsewhere = Verifier::<TaskToken>::new(keys, ISSUER, "other.org".parse().unwrap());
    let error = elsewhere
        .verify(good.expose(), RESOURCE, now())
        .unwrap_err();
    assert!(
        matches!(error, TokenError::Claim { claim: "act", .. }),
        "another trust domain: {error}"
    );
}

#[test]
fn the_set_of_claims_is_complete_and_closed() {
    let world = world();
    let refused = |name, value| refused(&world, name, value);
    for claim in [
        "sub",
        "jti",
        "act",
        "client_id",
        "scope",
        "authorization_details",
        "bailiwick",
    ] {
        assert!(
            matches!(refused(claim, Value::Null), TokenError::Claims { .. }),
            "no {claim}"
        );
    }
    assert!(
        matches!(
            refused("cnf", Value::Null),
            TokenError::Claim { claim: "cnf", .. }
        ),
        "an agent's token without a key"
    );
    assert!(matches!(
        refused("extra", json!(1)),
        TokenError::Claims { .. }
    ));
    assert!(matches!(
        refused("sub", json!("alice")),
        TokenError::Claims { .. }
    ));
    assert!(matches!(
        refused("cnf", json!({"jkt": "short"})),
        TokenError::Claims { .. }
    ));
    let print = world.task.thumbprint();
    for bad in [
        json!({}),
        json!({"x5t#S256": "short"}),
        json!({"x5t": print}),
        json!({"jkt": print, "x5t#S256": print}),
    ] {
        let found = refused("cnf", bad.clone());
        assert!(matches!(found, TokenError::Claims { .. }), "{bad}");
    }
    let bound = with(&task_claims(&world.task), "cnf", json!({"x5t#S256": print}));
    verify(&world, &header(&world, json!("at+jwt")), &bound).unwrap();
}
