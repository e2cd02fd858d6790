//! Every class under every key at every verifier: only the diagonal passes.

use bailiwick_core::{Code, Fault};
use serde_json::json;

use super::{CLIENT, world};
use crate::dpop;
use crate::fixture::{At, ISSUER, NOW, RESOURCE, es256, now, svid_claims, task_claims};
use crate::keys::SigningKey;
use crate::system::SystemRng;
use crate::token::jwt_svid::JwtSvid;
use crate::token::task::TaskToken;

fn client_assertion(key: &SigningKey) -> String {
    let claims = json!({ "iss": CLIENT, "sub": CLIENT, "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": "one" });
    es256(key, &json!({ "alg": "ES256", "kid": key.kid() }), &claims)
}

#[test]
fn trap_02_token_class_matrix() {
    let world = world();
    let holder = SigningKey::generate().unwrap();
    let request = dpop::Request {
        method: "POST",
        url: RESOURCE,
        access_token: None,
    };
    let sign = |key: &SigningKey| {
        [
            (
                "task token",
                TaskToken::issue(key, &task_claims(key))
                    .unwrap()
                    .expose()
                    .clone(),
            ),
            (
                "JWT-SVID",
                JwtSvid::issue(key, &svid_claims(&[RESOURCE, "b"]))
                    .unwrap()
                    .expose()
                    .clone(),
            ),
            (
                "client assertion",
                JwtSvid::issue(key, &svid_claims(&[ISSUER]))
                    .unwrap()
                    .expose()
                    .clone(),
            ),
            ("client's own assertion", client_assertion(key)),
            (
                "DPoP proof",
                dpop::prove(key, &request, None, &At { wall: NOW, boot: 0 }, &SystemRng).unwrap(),
            ),
        ]
    };
    let mut passed = Vec::new();
    for (signer, key) in [
        ("task key", &world.task),
        ("svid key", &world.svid),
        ("client's key", &world.client),
        ("holder's key", &holder),
    ] {
        for (class, token) in sign(key) {
            let verdicts = [
                (
                    "task token",
                    world.tasks.verify(&token, RESOURCE, now()).is_ok(),
                ),
                (
                    "JWT-SVID",
                    world.svids.verify(&token, RESOURCE, now()).is_ok(),
                ),
                (
                    "client assertion",
                    world.assertions.verify(&token, ISSUER, now()).is_ok(),
                ),
                (
                    "client's own assertion",
                    world.clients.verify(&token, ISSUER, now()).is_ok(),
                ),
                (
                    "DPoP proof",
                    dpop::Proof::verify(&token, &request, now()).is_ok(),
                ),
            ];
            for (verifier, accepted) in verdicts {
                if accepted {
                    passed.push(format!("{class} by {signer} at {verifier}"));
                }
            }
        }
    }
    // A proof brings its own key, so whose it is makes no difference.
    assert_eq!(
        passed,
        [
            "task token by task key at task token",
            "DPoP proof by task key at DPoP proof",
            "JWT-SVID by svid key at JWT-SVID",
            "client assertion by svid key at client assertion",
            "DPoP proof by svid key at DPoP proof",
            "client's own assertion by client's key at client's own assertion",
            "DPoP proof by client's key at DPoP proof",
            "DPoP proof by holder's key at DPoP proof",
        ]
    );
    let error = world
        .tasks
        .verify(&sign(&world.task)[1].1, RESOURCE, now())
        .unwrap_err();
    assert_eq!(error.code(), Code::TokenClass, "{error}");
}
