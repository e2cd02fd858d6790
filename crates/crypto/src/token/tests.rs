//! Each class passes its own verifier only, and every lax reading of a claim is refused.

mod trap_02_token_class_matrix;
mod trap_03_lax_claims;

use serde_json::{Value, json};

use super::jwt_svid::{Audiences, ClientAssertion, JwtSvid};
use super::private_key_jwt::PrivateKeyJwt;
use super::task::{Actor, MAX_ACTORS, MayAct, Profile, TaskClaims, TaskSubject, TaskToken};
use super::{ClientKeys, KeySet, KeySetError, SvidKeys, TaskKeys, TokenError, Verifier};
use crate::fixture::{
    self, ISSUER, NOW, RESOURCE, SVID_ISSUER, es256, now, svid_claims, task_claims, trust_domain,
    with,
};
use crate::jose::JoseError;
use crate::keys::SigningKey;

struct World {
    task: SigningKey,
    svid: SigningKey,
    tasks: Verifier<TaskToken>,
    svids: Verifier<JwtSvid>,
    assertions: Verifier<ClientAssertion>,
    client: SigningKey,
    clients: Verifier<PrivateKeyJwt>,
}

fn world() -> World {
    let (task, svid, client) = (
        SigningKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
    );
    let client_keys = KeySet::<ClientKeys>::new([client.jwk().clone()]).unwrap();
    let task_keys = KeySet::<TaskKeys>::new([task.jwk().clone()]).unwrap();
    let svid_keys = KeySet::<SvidKeys>::new([svid.jwk().clone()]).unwrap();
    World {
        tasks: Verifier::new(task_keys, ISSUER, trust_domain()),
        svids: Verifier::new(svid_keys.clone(), SVID_ISSUER, trust_domain()),
        assertions: Verifier::new(svid_keys, SVID_ISSUER, trust_domain()),
        clients: Verifier::new(client_keys, CLIENT, trust_domain()),
        client,
        task,
        svid,
    }
}

const CLIENT: &str = "desk";

#[test]
fn every_class_is_read_back() {
    let world = world();
    let claims = task_claims(&world.task);
    let token = TaskToken::issue(&world.task, &claims).unwrap();
    let verified = world.tasks.verify(token.expose(), RESOURCE, now()).unwrap();
    assert_eq!(verified.claims(), &claims);
    assert_eq!(
        (verified.kid(), verified.expires().as_secs()),
        (world.task.kid(), NOW + 300)
    );

    let token = JwtSvid::issue(&world.svid, &svid_claims(&["a", "b"])).unwrap();
    assert_eq!(
        world
            .svids
            .verify(token.expose(), "b", now())
            .unwrap()
            .claims(),
        &svid_claims(&["a", "b"])
    );
    let token = JwtSvid::issue(&world.svid, &svid_claims(&[ISSUER])).unwrap();
    assert_eq!(
        world
            .assertions
            .verify(token.expose(), ISSUER, now())
            .unwrap()
            .into_claims()
            .sub,
        fixture::instance()
    );
}

#[test]
fn a_token_without_a_key_is_a_clients_own_and_goes_no_further() {
    let world = world();
    let unbound = TaskClaims {
        cnf: None,
        client_id: CLIENT.to_owned(),
        ..task_claims(&world.task)
    };
    let token = TaskToken::issue(&world.task, &unbound).unwrap();
    let verified = world.tasks.verify(token.expose(), RESOURCE, now()).unwrap();
    assert_eq!(verified.claims().key(), None);
    let mut handed_on = unbound.clone();
    handed_on.act.act = Some(Box::new(unbound.act.clone()));
    let mut exchanged = unbound.clone();
    exchanged.bailiwick.parents = vec![unbound.jti];
    let may_act = Some(MayAct {
        sub: fixture::instance(),
    });
    for claims in [
        task_claims(&world.task),
        handed_on,
        exchanged,
        TaskClaims { may_act, ..unbound },
    ] {
        let claims = TaskClaims {
            cnf: None,
            ..claims
        };
        let error = TaskToken::issue(&world.task, &claims).unwrap_err();
        assert!(
            matches!(error, TokenError::Claim { claim: "cnf", .. }),
            "{error}"
        );
    }
}

#[test]
fn a_chain_is_whole_or_refused() {
    let world = world();
    let mut claims = task_claims(&world.task);
    for _ in 1..MAX_ACTORS {
        claims.act = Actor {
            act: Some(Box::new(claims.act.clone())),
            ..claims.act
        };
    }
    let token = TaskToken::issue(&world.task, &claims).unwrap();
    let verified = world.tasks.verify(token.expose(), RESOURCE, now()).unwrap();
    assert_eq!(verified.claims().act.chain().count(), MAX_ACTORS);

    let refuse = |change: &dyn Fn(&mut TaskClaims)| {
        let mut claims = task_claims(&world.task);
        change(&mut claims);
        let header = json!({"alg": "ES256", "kid": world.task.kid(), "typ": "at+jwt"});
        world
            .tasks
            .verify(
                &es256(&world.task, &header, &json!(claims)),
                RESOURCE,
                now(),
            )
            .unwrap_err()
    };
    let claim = |error: TokenError| match error {
        TokenError::Claim { claim, .. } => claim,
        other => panic!("{other}"),
    };
    let deep = claims.act.clone();
    let error = refuse(&|claims| {
        claims.act = Actor {
            act: Some(Box::new(deep.clone())),
            ..deep.clone()
        }
    });
    assert!(
        matches!(
            error,
            TokenError::Jose(JoseError::Json { .. }) | TokenError::Claim { claim: "act", .. }
        ),
        "{error}"
    );
    let foreign: bailiwick_core::spiffe_id::SpiffeId =
        "spiffe://other.org/agent/a".parse().unwrap();
    assert_eq!(
        claim(refuse(&|claims| claims.act.sub = foreign.clone())),
        "act"
    );
    assert_eq!(
        claim(refuse(
            &|claims| claims.act.iss = "https://other.example".into()
        )),
        "act"
    );
    let inner = Actor {
        sub: foreign.clone(),
        iss: ISSUER.into(),
        sub_profile: Profile::AiAgent,
        act: None,
    };
    assert_eq!(
        claim(refuse(
            &|claims| claims.act.act = Some(Box::new(inner.clone()))
        )),
        "act"
    );
    assert_eq!(
        claim(refuse(&|claims| claims.may_act = Some(MayAct {
            sub: foreign.clone()
        }))),
        "may_act"
    );
    assert_eq!(
        claim(refuse(
            &|claims| claims.sub = TaskSubject::Agent(foreign.clone())
        )),
        "sub"
    );
    assert_eq!(claim(refuse(&|claims| claims.bailiwick.v = 2)), "bailiwick");
    assert_eq!(
        claim(refuse(&|claims| claims.authorization_details.clear())),
        "authorization_details"
    );
}

#[test]
fn what_could_not_be_verified_is_not_issued() {
    let world = world();
    let mut claims = task_claims(&world.task);
    claims.scope = "x".repeat(6 << 10);
    assert!(matches!(
        TaskToken::issue(&world.task, &claims).unwrap_err(),
        TokenError::TooLong { .. }
    ));
    let mut claims = task_claims(&world.task);
    claims.exp = claims.iat;
    assert!(matches!(
        TaskToken::issue(&world.task, &claims).unwrap_err(),
        TokenError::Claim { claim: "exp", .. }
    ));
    let mut claims = svid_claims(&["a"]);
    claims.sub = trust_domain().id();
    assert!(matches!(
        JwtSvid::issue(&world.svid, &claims).unwrap_err(),
        TokenError::Claim { claim: "sub", .. }
    ));
}

#[test]
fn an_assertion_is_for_the_issuer_alone_and_short() {
    let world = world();
    let header = json!({"alg": "ES256", "kid": world.svid.kid()});
    let verify = |claims: &Value| {
        world
            .assertions
            .verify(&es256(&world.svid, &header, claims), ISSUER, now())
    };
    assert!(verify(&json!(svid_claims(&[ISSUER]))).is_ok());
    assert!(matches!(
        verify(&json!(svid_claims(&[ISSUER, "b"]))).unwrap_err(),
        TokenError::Audience { .. }
    ));
    let mut long = svid_claims(&[ISSUER]);
    long.exp = NOW + 301;
    assert!(matches!(
        verify(&json!(long)).unwrap_err(),
        TokenError::Claim { claim: "exp", .. }
    ));
    assert!(
        verify(&with(
            &svid_claims(&[ISSUER]),
            "sub",
            json!("spiffe://other.org/agent/a")
        ))
        .is_err()
    );
    assert!(verify(&with(&svid_claims(&[ISSUER]), "aud", json!([]))).is_err());
    // Unknown claims of a JWT-SVID are ignored.
    assert!(verify(&with(&svid_claims(&[ISSUER]), "jti", json!("x"))).is_ok());
    assert!(Audiences::new(vec!["a".into(); 9]).is_err());
    assert!(Audiences::new(vec![String::new()]).is_err());
}

#[test]
fn keys_are_found_by_class_and_kid() {
    let (one, two) = (
        SigningKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
    );
    let set = KeySet::<TaskKeys>::new([one.jwk().clone(), two.jwk().clone()]).unwrap();
    assert!(set.key(one.kid()).is_some() && set.key("other").is_none());
    let again = KeySet::<TaskKeys>::from_jwks(set.to_jwks().to_string().as_bytes()).unwrap();
    assert_eq!(again.to_jwks(), set.to_jwks());

    let world = world();
    let token = TaskToken::issue(&one, &task_claims(&one)).unwrap();
    assert!(matches!(
        world
            .tasks
            .verify(token.expose(), RESOURCE, now())
            .unwrap_err(),
        TokenError::UnknownKey { .. }
    ));

    let same = KeySet::<TaskKeys>::new([one.jwk().clone(), one.jwk().clone()]).unwrap_err();
    assert_eq!(
        same,
        KeySetError::SameKid {
            kid: one.kid().into()
        }
    );
    let mut nameless = one.jwk().clone();
    nameless.kid = None;
    assert_eq!(
        KeySet::<TaskKeys>::new([nameless]).unwrap_err(),
        KeySetError::NoKid
    );
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"keys":[1]}"#,
        r#"{"keys":[{"kty":"oct","k":"AA","kid":"a"}]}"#,
        r#"{"keys":[],"keys":[]}"#,
    ] {
        assert!(
            KeySet::<TaskKeys>::from_jwks(bad.as_bytes()).is_err(),
            "{bad}"
        );
    }
}
