//! OAuth clients: those that prove themselves with a key of their own, and those that may have tokens which are bound to none.

use std::time::Duration;

use bailiwick_core::client::OAuthClient;
use bailiwick_core::id::InstanceId;
use bailiwick_core::instance::{Instance, InstanceState, Place};
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::{Narrowing, Wish};
use bailiwick_core::task::Task;
use bailiwick_core::{Clock, Code, Effect};
use bailiwick_crypto::jose;
use bailiwick_crypto::keys::SigningKey;
use bailiwick_crypto::system::SystemRng;
use bailiwick_crypto::token::Verifier;
use bailiwick_crypto::token::task::{Confirmation, TaskToken};
use bailiwick_store::StoreError;
use serde_json::{Value, json};

use super::bench_authority::{Bench, GATEWAY, ISSUER, UNBOUND, found};
use crate::exchange::{Exchanged, Issued, TokenAsk, TokenRefusal};

async fn register(bench: &Bench, id: &str, keys: &[&SigningKey]) {
    let keys: Vec<Value> = keys
        .iter()
        .map(|key| Value::Object(key.jwk().to_json()))
        .collect();
    let client = OAuthClient {
        id: id.parse().unwrap(),
        agent: "coder".parse().unwrap(),
        redirect_uris: vec!["http://127.0.0.1/callback".parse().unwrap()],
        default_server: None,
        name: None,
        jwks: (!keys.is_empty()).then(|| json!({ "keys": keys })),
        created_at: bench.clock.wall(),
    };
    let put = bench.store.write(move |tx| tx.put_oauth_client(&client));
    put.await.unwrap();
}

/// What a client signs; `changed` stands over the usual claims.
fn assertion(bench: &Bench, key: &SigningKey, id: &str, changed: Value) -> String {
    let now = bench.clock.wall().as_secs();
    let mut claims =
        json!({ "iss": id, "sub": id, "aud": ISSUER, "iat": now, "exp": now + 60, "jti": "one" });
    let all = claims.as_object_mut().unwrap();
    match changed {
        Value::Object(changed) => all.extend(changed),
        other => panic!("{other} are no claims"),
    }
    jose::sign(key, Some("JWT"), &claims).unwrap()
}

async fn refused(bench: &Bench, assertion: &str) -> (&'static str, Code) {
    let refusal = bench.authority.registered_client(assertion).await;
    let refusal = refusal.unwrap_err();
    (refusal.error, refusal.problem.code)
}

#[tokio::test]
async fn a_registered_client_proves_itself_once_with_its_key() {
    let bench = Bench::new().await;
    let (own, others) = (
        SigningKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
    );
    register(&bench, "laptop", &[&own]).await;
    register(&bench, "phone", &[&others]).await;
    register(&bench, "plain", &[]).await;
    let good = assertion(&bench, &own, "laptop", json!({}));
    let client = bench.authority.registered_client(&good).await.unwrap();
    assert_eq!(client.as_str(), "laptop");

    let invalid = ("invalid_client", Code::TokenInvalid);
    assert_eq!(refused(&bench, &good).await, invalid, "the same again");
    let again = assertion(&bench, &own, "laptop", json!({ "nbf": 0 }));
    assert_eq!(refused(&bench, &again).await, invalid, "the same `jti`");
    let also = assertion(&bench, &others, "phone", json!({}));
    bench.authority.registered_client(&also).await.unwrap();

    let two = json!({ "jti": "two" });
    let stolen = assertion(&bench, &others, "laptop", two.clone());
    assert_eq!(refused(&bench, &stolen).await, invalid, "another's key");
    for changed in [
        json!({ "jti": "two", "aud": format!("{ISSUER}/oauth/token") }),
        json!({ "jti": "two", "aud": [ISSUER, "https://other.example"] }),
        json!({ "jti": "two", "iss": "phone" }),
        json!({ "jti": "two", "exp": bench.clock.wall().as_secs() + 301 }),
        json!({ "jti": "two", "iat": bench.clock.wall().as_secs() + 6 }),
        json!({ "jti": "" }),
    ] {
        let hostile = assertion(&bench, &own, "laptop", changed.clone());
        assert_eq!(refused(&bench, &hostile).await, invalid, "{changed}");
    }
    let over = json!({ "jti": "two", "exp": bench.clock.wall().as_secs() });
    let over = assertion(&bench, &own, "laptop", over);
    assert_eq!(
        refused(&bench, &over).await,
        ("invalid_client", Code::TokenExpired)
    );
    let unknown = ("invalid_client", Code::NotSignedIn);
    for stranger in ["nobody", "plain", "No Client"] {
        let shown = assertion(&bench, &own, stranger, two.clone());
        assert_eq!(refused(&bench, &shown).await, unknown, "{stranger}");
    }
    // A JWT-SVID is no such assertion, and this is no JWT-SVID.
    let svid = bench.authority.jwt_svid(found(7), vec![ISSUER.into()]);
    let (_, svid) = svid.await.unwrap();
    assert_eq!(refused(&bench, svid.expose()).await, unknown);
    let two = assertion(&bench, &own, "laptop", two);
    let taken = bench.authority.client(&two).await.unwrap_err();
    assert_eq!(taken.error, "invalid_client");
    bench.authority.registered_client(&two).await.unwrap();
}

#[tokio::test]
async fn an_assertion_from_before_the_node_started_is_not_taken() {
    let bench = Bench::new().await;
    let key = SigningKey::generate().unwrap();
    register(&bench, "laptop", &[&key]).await;
    let before = json!({ "iat": bench.clock.wall().as_secs() - 1 });
    let before = assertion(&bench, &key, "laptop", before);
    assert_eq!(
        refused(&bench, &before).await,
        ("invalid_client", Code::TokenInvalid),
        "the process before may have taken it"
    );
}

#[tokio::test]
async fn a_used_assertion_is_remembered_as_long_as_it_lives() {
    let bench = Bench::new().await;
    let key = SigningKey::generate().unwrap();
    register(&bench, "laptop", &[&key]).await;
    let now = bench.clock.wall().as_secs();
    let longest = json!({ "iat": now + 5, "exp": now + 305 });
    let longest = assertion(&bench, &key, "laptop", longest);
    bench.authority.registered_client(&longest).await.unwrap();
    bench.later(Duration::from_secs(304));
    assert_eq!(
        refused(&bench, &longest).await,
        ("invalid_client", Code::TokenInvalid)
    );
    bench.later(Duration::from_secs(1));
    assert_eq!(
        refused(&bench, &longest).await,
        ("invalid_client", Code::TokenExpired)
    );
}

/// A task that a user let a client have, and what the client asks with.
async fn let_in(bench: &Bench, client: &str, risk: Risk) -> (Task, TokenAsk) {
    let mut task = bench.task("coder", risk).await;
    let instance = Instance {
        id: InstanceId::new(&*bench.clock, &SystemRng),
        agent: task.agent.clone(),
        selectors: Vec::new(),
        place: Place::Process {
            pid: 0,
            pid_start: task.born_seq,
        },
        state: InstanceState::Live,
        born_seq: task.born_seq,
        attested_at: bench.clock.wall(),
        client: Some(client.parse().unwrap()),
    };
    task.instance = Some(instance.id);
    task.version += 1;
    let ask = TokenAsk {
        client: bench.authority.let_in(task.agent.clone(), instance.id),
        task: task.id,
        resource: format!("{GATEWAY}/mcp/files"),
        cnf: None,
        until: None,
        wish: Wish::Whole,
        may_act: None,
        from: None,
    };
    let row = task.clone();
    bench
        .store
        .write(move |tx| {
            tx.put_instance(&instance)?;
            tx.put_task(&row)?;
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    (task, ask)
}

fn refusal(answer: Result<Issued, TokenRefusal>) -> (&'static str, Code) {
    let refusal = answer.map(|issued| issued.scope).unwrap_err();
    (refusal.error, refusal.problem.code)
}

#[tokio::test]
async fn a_token_without_a_key_is_for_clients_that_are_named() {
    let bench = Bench::new().await;
    let (_, ask) = let_in(&bench, UNBOUND, Risk::Low).await;
    let issued = bench.authority.issue_task_token(ask.clone()).await.unwrap();
    assert!(!issued.proven);
    let keys = bench.authority.keyring().task_keys().clone();
    let read = Verifier::<TaskToken>::new(keys, ISSUER, "example.org".parse().unwrap())
        .verify(issued.token.expose(), &ask.resource, bench.clock.wall())
        .unwrap()
        .into_claims();
    assert_eq!((read.key(), read.client_id.as_str()), (None, UNBOUND));
    let jti = read.jti;
    let row = bench.store.read(move |rows| rows.token(jti)).await;
    assert_eq!(row.unwrap().unwrap().jkt, None);

    // With a key it is bound as ever.
    let key = SigningKey::generate().unwrap();
    let bound = TokenAsk {
        cnf: Some(Confirmation::Key(key.thumbprint().clone())),
        until: None,
        ..ask.clone()
    };
    let bound = bench.authority.issue_task_token(bound).await.unwrap();
    assert!(bound.proven);

    let unbound = ("invalid_dpop_proof", Code::TokenUnbound);
    let (_, other) = let_in(&bench, "laptop", Risk::Low).await;
    let answer = bench.authority.issue_task_token(other).await;
    assert_eq!(refusal(answer), unbound, "another client");
    // An agent that is called what a client is called.
    bench
        .agent(UNBOUND, &["unix:path=/usr/bin/coder", "unix:uid=1000"])
        .await;
    let svid = bench.authority.jwt_svid(found(7), vec![ISSUER.into()]);
    let (attested, assertion) = svid.await.unwrap();
    assert_eq!(attested.agent.name.as_str(), UNBOUND);
    let agent = TokenAsk {
        client: bench.authority.client(assertion.expose()).await.unwrap(),
        task: bench.task(UNBOUND, Risk::Low).await.id,
        ..ask.clone()
    };
    let answer = bench.authority.issue_task_token(agent).await;
    assert_eq!(refusal(answer), unbound, "an agent");

    // Nobody exchanges it, not even with a key that it never had.
    let subject = bench.authority.subject(issued.token.expose()).unwrap();
    for delegated in [false, true] {
        let exchange = TokenAsk {
            cnf: Some(Confirmation::Key(key.thumbprint().clone())),
            until: None,
            from: Some(Exchanged {
                subject: subject.clone(),
                delegated,
            }),
            ..ask.clone()
        };
        let answer = bench.authority.issue_task_token(exchange).await;
        assert_eq!(refusal(answer), ("invalid_request", Code::TokenUnbound));
    }
}

#[tokio::test]
async fn a_token_without_a_key_is_for_little_risk_and_escalates_nothing() {
    let bench = Bench::new().await;
    for risk in [Risk::High, Risk::Critical] {
        let (_, ask) = let_in(&bench, UNBOUND, risk).await;
        let answer = bench.authority.issue_task_token(ask).await;
        assert_eq!(refusal(answer), ("invalid_grant", Code::TokenUnbound));
    }
    let (task, ask) = let_in(&bench, UNBOUND, Risk::Medium).await;
    let mut grants = task.scope.grants().to_vec();
    grants[0].effects.insert(Effect::Escalate);
    let scope = task.scope.with_grants(grants).unwrap();
    let wider = Task {
        scope_digest: bailiwick_crypto::hash::scope_digest(&scope),
        scope,
        version: task.version + 1,
        ..task.clone()
    };
    let put = bench.store.write(move |tx| tx.put_task(&wider));
    put.await.unwrap();
    let issued = bench.authority.issue_task_token(ask.clone()).await.unwrap();
    assert_eq!(issued.scope, "files:read");
    assert_eq!(issued.narrowed_by, [Narrowing::Unbound]);
    let part = issued.details.grants.unwrap();
    assert_eq!(part, task.scope.grants());
    let key = SigningKey::generate().unwrap();
    let bound = TokenAsk {
        cnf: Some(Confirmation::Key(key.thumbprint().clone())),
        until: None,
        ..ask
    };
    let bound = bench.authority.issue_task_token(bound).await.unwrap();
    assert_eq!(bound.scope, "files:escalate files:read");
    assert_eq!(bound.narrowed_by, []);
}
