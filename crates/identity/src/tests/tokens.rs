//! Task tokens: for the task's own instance, one resource, one key; refused with a reason otherwise.

use std::time::Duration;

use bailiwick_core::Code;
use bailiwick_core::event::EventType;
use bailiwick_core::id::TaskId;
use bailiwick_core::risk::Risk;
use bailiwick_core::task::{Task, TaskState};
use bailiwick_core::{Clock, Secret};
use bailiwick_crypto::keys::SigningKey;
use bailiwick_crypto::token::Verifier;
use bailiwick_crypto::token::task::TaskToken;

use super::bench_authority::{Bench, GATEWAY, ISSUER, found};
use crate::exchange::{TokenAsk, TokenRefusal};

async fn assertion(bench: &Bench, pid: u32) -> Secret<String> {
    bench
        .authority
        .jwt_svid(found(pid), vec![ISSUER.into()])
        .await
        .unwrap()
        .1
}

fn ask(assertion: &Secret<String>, task: TaskId) -> TokenAsk {
    TokenAsk {
        assertion: assertion.expose().clone(),
        task,
        resource: format!("{GATEWAY}/mcp/files"),
        jkt: SigningKey::generate().unwrap().thumbprint().clone(),
    }
}

fn refused(answer: Result<crate::exchange::Issued, TokenRefusal>) -> (&'static str, Code) {
    let refusal = answer.map(|issued| issued.scope).unwrap_err();
    (refusal.error, refusal.problem.code)
}

#[tokio::test]
async fn an_instance_gets_a_token_for_its_task() {
    let bench = Bench::new().await;
    let task = bench.task("coder", Risk::Low).await;
    let proof = assertion(&bench, 7).await;
    let ask = ask(&proof, task.id);
    let issued = bench.authority.issue_task_token(ask.clone()).await.unwrap();
    assert_eq!(issued.expires_in, 300);
    let keys = bench.authority.keyring().task_keys().clone();
    let verifier = Verifier::<TaskToken>::new(keys, ISSUER, "example.org".parse().unwrap());
    let token = verifier
        .verify(issued.token.expose(), &ask.resource, bench.clock.wall())
        .unwrap();
    assert_eq!(token.claims().cnf.jkt, ask.jkt);
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
    let answer = bench
        .authority
        .issue_task_token(super::tokens::ask(&other, task.id))
        .await;
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
    assert_eq!(
        bench
            .authority
            .issue_task_token(ask(&proof, task.id))
            .await
            .unwrap()
            .expires_in,
        60
    );
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
        refused(
            bench
                .authority
                .issue_task_token(ask(&elsewhere, task.id))
                .await
        )
        .0,
        "invalid_client"
    );
    let (_, shared) = bench
        .authority
        .jwt_svid(found(7), vec![ISSUER.into(), "orders".into()])
        .await
        .unwrap();
    assert_eq!(
        refused(
            bench
                .authority
                .issue_task_token(ask(&shared, task.id))
                .await
        )
        .0,
        "invalid_client"
    );
    let proof = assertion(&bench, 7).await;
    let foreign = Bench::new().await;
    let answer = foreign
        .authority
        .issue_task_token(ask(&proof, task.id))
        .await;
    assert_eq!(
        refused(answer).0,
        "invalid_client",
        "another node's assertion"
    );
    bench.later(Duration::from_mins(6));
    let answer = bench.authority.issue_task_token(ask(&proof, task.id)).await;
    assert_eq!(refused(answer), ("invalid_client", Code::TokenExpired));
}

#[tokio::test]
async fn wrong_tasks_and_resources_are_refused() {
    let bench = Bench::new().await;
    bench.agent("other", &["unix:uid=4242"]).await;
    let proof = assertion(&bench, 7).await;
    let theirs = bench.task("other", Risk::Low).await;
    let not_yours = ("invalid_grant", Code::NotFound);
    assert_eq!(
        refused(
            bench
                .authority
                .issue_task_token(ask(&proof, theirs.id))
                .await
        ),
        not_yours
    );
    assert_eq!(
        refused(
            bench
                .authority
                .issue_task_token(ask(&proof, TaskId::from_bits(1)))
                .await
        ),
        not_yours
    );
    let task = bench.task("coder", Risk::Low).await;
    for resource in [
        "http://evil.example/mcp/files",
        "http://127.0.0.1:8421/mcp/mail",
        "http://127.0.0.1:8421/mcp/",
    ] {
        let ask = TokenAsk {
            resource: resource.into(),
            ..ask(&proof, task.id)
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
    let answer = refused(bench.authority.issue_task_token(ask(&proof, task.id)).await);
    assert_eq!(answer, ("invalid_grant", Code::TaskEnded));
    for subject in ["user/user:local:alice", "server/files"] {
        let bench = Bench::new().await;
        let proof = assertion(&bench, 7).await;
        let task = bench.task("coder", Risk::Low).await;
        bench.fence(subject).await;
        let answer = refused(bench.authority.issue_task_token(ask(&proof, task.id)).await);
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
        let answer = bench
            .authority
            .issue_task_token(ask(&proof, TaskId::from_bits(1)))
            .await;
        assert_eq!(refused(answer).0, "invalid_grant");
    }
    assert_eq!(count(), 1);
    bench.later(Duration::from_mins(1));
    let answer = bench
        .authority
        .issue_task_token(ask(&proof, TaskId::from_bits(1)))
        .await;
    assert_eq!(refused(answer).0, "invalid_grant");
    assert_eq!(count(), 2);
}
