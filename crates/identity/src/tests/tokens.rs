//! Task tokens: for the task's own instance, one resource, one key; refused with a reason otherwise.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::Code;
use bailiwick_core::event::EventType;
use bailiwick_core::id::TaskId;
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::Wish;
use bailiwick_core::task::{Task, TaskState};
use bailiwick_core::{Clock, Secret};
use bailiwick_crypto::keys::SigningKey;
use bailiwick_crypto::token::Verifier;
use bailiwick_crypto::token::task::{Confirmation, TaskToken};

use super::bench_authority::{Bench, GATEWAY, ISSUER, found};
use crate::exchange::{Client, Issued, TokenAsk, TokenRefusal};

async fn assertion(bench: &Bench, pid: u32) -> Secret<String> {
    bench
        .authority
        .jwt_svid(found(pid), vec![ISSUER.into()])
        .await
        .unwrap()
        .1
}

fn ask(client: Client, task: TaskId) -> TokenAsk {
    TokenAsk {
        client,
        task,
        resource: format!("{GATEWAY}/mcp/files"),
        cnf: Some(Confirmation::Key(
            SigningKey::generate().unwrap().thumbprint().clone(),
        )),
        until: None,
        wish: Wish::Whole,
        may_act: None,
        from: None,
    }
}

/// As the token endpoint does it: the client first, then the token.
async fn issue(
    bench: &Bench,
    assertion: &Secret<String>,
    task: TaskId,
) -> Result<Issued, TokenRefusal> {
    let client = bench.authority.client(assertion.expose()).await?;
    bench.authority.issue_task_token(ask(client, task)).await
}

fn refused(answer: Result<Issued, TokenRefusal>) -> (&'static str, Code) {
    let refusal = answer.map(|issued| issued.scope).unwrap_err();
    (refusal.error, refusal.problem.code)
}

#[tokio::test]
async fn a_token_of_a_certificate_ends_with_it() {
    let bench = Bench::new().await;
    let task = bench.task("coder", Risk::Low).await;
    let proof = assertion(&bench, 7).await;
    let client = bench.authority.client(proof.expose()).await.unwrap();
    let certificate = SigningKey::generate().unwrap().thumbprint().clone();
    let mut ask = TokenAsk {
        cnf: Some(Confirmation::Certificate(certificate.clone())),
        until: Some(bench.clock.wall().plus(Duration::from_secs(2))),
        ..ask(client, task.id)
    };
    let issued = bench.authority.issue_task_token(ask.clone()).await.unwrap();
    assert_eq!((issued.expires_in, issued.proven), (2, false));
    let rows = bench.store.read(move |rows| rows.tokens_of_task(task.id));
    let row = rows.await.unwrap().remove(0);
    assert_eq!(row.x5t.as_deref(), Some(certificate.as_str()));
    assert_eq!(row.jkt, None);
    ask.until = Some(bench.clock.wall());
    let late = bench.authority.issue_task_token(ask).await;
    assert_eq!(refused(late), ("invalid_grant", Code::TokenExpired));
}

#[tokio::test]
async fn an_instance_gets_a_token_for_its_task() {
    let bench = Bench::new().await;
    let task = bench.task("coder", Risk::Low).await;
    let proof = assertion(&bench, 7).await;
    let client = bench.authority.client(proof.expose()).await.unwrap();
    let ask = ask(client, task.id);
    let issued = bench.authority.issue_task_token(ask.clone()).await.unwrap();
    assert_eq!(issued.expires_in, 300);
    let keys = bench.authority.keyring().task_keys().clone();
    let verifier = Verifier::<TaskToken>::new(keys, ISSUER, "example.org".parse().unwrap());
    let token = verifier
        .verify(issued.token.expose(), &ask.resource, bench.clock.wall())
        .unwrap();
    assert_eq!(token.claims().cnf, ask.cnf);
    assert_eq!(token.claims().task().unwrap().task_id, task.id);
    let id = task.id;
    let bound = bench
        .store
        .read(move |rows| rows.task(id))
        .await
        .unwrap()
        .unwrap();
    assert!(
        bound.instance.is_some(),
        "the first live instance of the agent has it now"
    );
    let other = assertion(&bench, 8).await;
    let answer = issue(&bench, &other, task.id).await;
    assert_eq!(
        refused(answer),
        ("invalid_grant", Code::NotFound),
        "another instance does not"
    );
}

#[tokio::test]
async fn high_risk_tokens_live_a_minute() {
    let bench = Bench::new().await;
    let task = bench.task("coder", Risk::High).await;
    let proof = assertion(&bench, 7).await;
    assert_eq!(issue(&bench, &proof, task.id).await.unwrap().expires_in, 60);
}

#[tokio::test]
async fn wrong_assertions_are_refused() {
    let bench = Bench::new().await;
    let task = bench.task("coder", Risk::Low).await;
    let (_, elsewhere) = bench
        .authority
        .jwt_svid(found(7), vec!["orders".into()])
        .await
        .unwrap();
    assert_eq!(
        refused(issue(&bench, &elsewhere, task.id).await).0,
        "invalid_client"
    );
    let (_, shared) = bench
        .authority
        .jwt_svid(found(7), vec![ISSUER.into(), "orders".into()])
        .await
        .unwrap();
    assert_eq!(
        refused(issue(&bench, &shared, task.id).await).0,
        "invalid_client"
    );
    let proof = assertion(&bench, 7).await;
    let foreign = Bench::new().await;
    let answer = issue(&foreign, &proof, task.id).await;
    assert_eq!(
        refused(answer).0,
        "invalid_client",
        "another node's assertion"
    );
    bench.later(Duration::from_mins(6));
    let answer = issue(&bench, &proof, task.id).await;
    assert_eq!(refused(answer), ("invalid_client", Code::TokenExpired));
}

#[tokio::test]
async fn wrong_tasks_and_resources_are_refused() {
    let bench = Bench::new().await;
    bench.agent("other", &["unix:uid=4242"]).await;
    let proof = assertion(&bench, 7).await;
    let theirs = bench.task("other", Risk::Low).await;
    let not_yours = ("invalid_grant", Code::NotFound);
    assert_eq!(refused(issue(&bench, &proof, theirs.id).await), not_yours);
    assert_eq!(
        refused(issue(&bench, &proof, TaskId::from_bits(1)).await),
        not_yours
    );
    let task = bench.task("coder", Risk::Low).await;
    let client = bench.authority.client(proof.expose()).await.unwrap();
    for resource in [
        "http://evil.example/mcp/files",
        "http://127.0.0.1:8421/mcp/mail",
        "http://127.0.0.1:8421/mcp/",
    ] {
        let ask = TokenAsk {
            resource: resource.into(),
            ..ask(client.clone(), task.id)
        };
        let answer = refused(bench.authority.issue_task_token(ask).await);
        assert_eq!(
            answer,
            ("invalid_target", Code::ResourceUnknown),
            "{resource}"
        );
    }
}

#[tokio::test]
async fn no_token_for_an_ended_task_or_under_a_fence() {
    let bench = Bench::new().await;
    let proof = assertion(&bench, 7).await;
    let task = bench.task("coder", Risk::Low).await;
    let ended = task.clone();
    bench
        .store
        .write(move |tx| {
            tx.put_task(&Task {
                state: TaskState::Completed,
                version: 2,
                ..ended.clone()
            })
        })
        .await
        .unwrap();
    let answer = refused(issue(&bench, &proof, task.id).await);
    assert_eq!(answer, ("invalid_grant", Code::TaskEnded));
    for subject in ["user/user:local:alice", "server/files"] {
        let bench = Bench::new().await;
        let proof = assertion(&bench, 7).await;
        let task = bench.task("coder", Risk::Low).await;
        bench.fence(subject).await;
        let answer = refused(issue(&bench, &proof, task.id).await);
        assert_eq!(answer, ("invalid_grant", Code::Revoked), "{subject}");
    }
}

#[tokio::test]
async fn refusals_are_on_record_once_a_minute() {
    let bench = Bench::new().await;
    let proof = assertion(&bench, 7).await;
    let count = || {
        let events = bench.journal.events.lock().unwrap();
        events
            .iter()
            .filter(|event| event.kind == EventType::TokenRefused)
            .count()
    };
    for _ in 0..3 {
        let answer = issue(&bench, &proof, TaskId::from_bits(1)).await;
        assert_eq!(refused(answer).0, "invalid_grant");
    }
    assert_eq!(count(), 1);
    bench.later(Duration::from_mins(1));
    let answer = issue(&bench, &proof, TaskId::from_bits(1)).await;
    assert_eq!(refused(answer).0, "invalid_grant");
    assert_eq!(count(), 2);
}

/// Rounds of a race; a thousand where the run is optimised.
const ROUNDS: u64 = if cfg!(debug_assertions) { 100 } else { 1_000 };

/// Whichever comes first in the store is right: a token from before the fence knows nothing of it and is killed by it; after it there is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fence_races_issue() {
    let bench = Arc::new(Bench::new().await);
    let proof = assertion(&bench, 7).await;
    let client = bench.authority.client(proof.expose()).await.unwrap();
    for round in 0..ROUNDS {
        let task = bench.task("coder", Risk::Low).await;
        let subject = format!("task/{}", task.id);
        let (racer, wanted) = (Arc::clone(&bench), ask(client.clone(), task.id));
        let issue = async move { racer.authority.issue_task_token(wanted).await };
        let racer = Arc::clone(&bench);
        let fence = async move { racer.fence(&subject).await };
        // Started in turns: on few processors the first one would nearly always win.
        let (issue, fence) = if round % 2 == 0 {
            let fence = tokio::spawn(fence);
            (tokio::spawn(issue), fence)
        } else {
            (tokio::spawn(issue), tokio::spawn(fence))
        };
        let (answer, fence) = (issue.await.unwrap(), fence.await.unwrap());
        match answer {
            Ok(token) => {
                let subject = bench.authority.subject(token.token.expose()).unwrap();
                assert!(subject.seq() < fence.seq, "round {round}");
            }
            Err(refusal) => assert_eq!(refusal.problem.code, Code::Revoked, "round {round}"),
        }
        let late = ask(client.clone(), task.id);
        let late = bench.authority.issue_task_token(late).await;
        assert_eq!(refused(late), ("invalid_grant", Code::Revoked), "{round}");
    }
}
