//! Attestation over HTTP by join token: one use, one winner, nothing under a fence, and an end that time sets.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bailiwick_core::event::EventType;
use bailiwick_core::id::JoinTokenId;
use bailiwick_core::instance::{Attestor, InstanceState, Place};
use bailiwick_core::join_token::JoinToken;
use bailiwick_core::{Clock, Code, Fault, Secret};
use bailiwick_crypto::csr::CertificateRequest;
use bailiwick_crypto::hash::sha256;
use bailiwick_crypto::system::SystemRng;

use super::bench_authority::Bench;
use crate::error::IdentityError;
use crate::remote::{Evidence, Joined};

pub(super) const TOKEN: &str =
    "bwj_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

pub(super) fn request() -> CertificateRequest {
    CertificateRequest::from_pem(include_str!("request.pem")).unwrap()
}

/// A bench with an agent that joins by token, and a token of ten minutes for it.
async fn bench() -> Bench {
    let bench = Bench::new().await;
    bench.agent("builder", &["join:agent=builder"]).await;
    token(&bench, "builder").await;
    bench
}

pub(super) async fn token(bench: &Bench, agent: &str) -> JoinTokenId {
    let now = bench.clock.wall();
    let token = JoinToken {
        id: JoinTokenId::new(&*bench.clock, &SystemRng),
        agent: agent.parse().unwrap(),
        made_by: "uid:0".into(),
        made_at: now,
        expires_at: now.plus(Duration::from_mins(10)),
        used: None,
    };
    let id = token.id;
    let put = bench
        .store
        .write(move |tx| tx.put_join_token(&token, sha256(&[TOKEN.as_bytes()])));
    put.await.unwrap();
    id
}

async fn join(bench: &Bench, token: &str) -> Result<Joined, IdentityError> {
    let evidence = Evidence::JoinToken(Secret::new(token.to_owned()));
    bench
        .authority
        .join(evidence, &request(), Some(vec!["orders".into()]))
        .await
}

fn kinds(bench: &Bench) -> Vec<EventType> {
    let events = bench.journal.events.lock().unwrap();
    events.iter().map(|event| event.kind).collect()
}

#[tokio::test]
async fn a_join_token_makes_one_instance_for_the_key_of_the_request() {
    let bench = bench().await;
    let joined = join(&bench, TOKEN).await.unwrap();
    let instance = &joined.attested.instance;
    assert_eq!(joined.attested.agent.name.as_str(), "builder");
    let Place::Remote(remote) = &instance.place else {
        panic!("{instance:?}");
    };
    assert_eq!(remote.attestor, Attestor::JoinToken);
    assert_eq!(remote.until, joined.svid.not_after());
    let verified = bench
        .authority
        .validate_jwt_svid(joined.jwt_svid.as_ref().unwrap().expose(), "orders")
        .unwrap();
    assert_eq!(verified.claims().sub, joined.attested.id);
    assert_eq!(
        kinds(&bench),
        [
            EventType::InstanceAttested,
            EventType::SvidIssued,
            EventType::SvidIssued
        ]
    );
    {
        let events = bench.journal.events.lock().unwrap();
        let change = events.first().unwrap().change.clone().unwrap();
        assert_eq!(change.kind, "join_token");
        assert_eq!(change.id, remote.subject);
        assert!(!format!("{events:?}").contains(TOKEN));
    }
    let again = join(&bench, TOKEN).await.unwrap_err();
    assert_eq!(again.code(), Code::TokenInvalid);
    assert!(again.to_string().contains("was used at"), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_use_a_join_token_at_once_one_wins() {
    let bench = Arc::new(bench().await);
    let tries: Vec<_> = (0..32)
        .map(|_| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { join(&bench, TOKEN).await.is_ok() })
        })
        .collect();
    let mut won = 0;
    for tried in tries {
        won += usize::from(tried.await.unwrap());
    }
    assert_eq!(won, 1);
    let live = bench
        .store
        .read(|rows| rows.live_instances())
        .await
        .unwrap();
    assert_eq!(live.len(), 1);
    let attested = kinds(&bench)
        .into_iter()
        .filter(|kind| *kind == EventType::InstanceAttested);
    assert_eq!(attested.count(), 1);
}

#[tokio::test]
async fn tokens_that_are_none_ended_or_for_nobody_give_nothing() {
    let bench = bench().await;
    for unknown in ["", "bwj_", &TOKEN.replace('0', "1"), &"bwj_".repeat(100)] {
        let error = join(&bench, unknown).await.unwrap_err();
        assert_eq!(error.code(), Code::TokenInvalid, "{unknown}");
    }
    // The token names its agent: what would match beside it does not.
    bench.agent("thief", &["join:agent=builder"]).await;
    let joined = join(&bench, TOKEN).await.unwrap();
    assert_eq!(joined.attested.agent.name.as_str(), "builder");

    let late = self::bench().await;
    late.later(Duration::from_mins(10));
    let error = join(&late, TOKEN).await.unwrap_err();
    assert_eq!(error.code(), Code::TokenExpired);

    // An agent that is known by its program is not joined by a token alone, even if one was made.
    let other = Bench::new().await;
    token(&other, "coder").await;
    let error = join(&other, TOKEN).await.unwrap_err();
    assert_eq!(error.code(), Code::NoIdentity);
    assert_eq!(kinds(&other), []);
}

#[tokio::test]
async fn under_a_fence_nobody_joins_and_the_token_is_not_used_up() {
    let bench = bench().await;
    let fence = bench.fence("agent/builder").await;
    let error = join(&bench, TOKEN).await.unwrap_err();
    assert_eq!(error.code(), Code::Revoked);
    bench.lift(fence).await;
    join(&bench, TOKEN).await.unwrap();
}

#[tokio::test]
async fn nobody_joins_who_is_not_on_record() {
    let bench = bench().await;
    bench.journal.broken.store(true, Ordering::SeqCst);
    let error = join(&bench, TOKEN).await.unwrap_err();
    assert_eq!(error.code(), Code::AuditUnavailable);
}

#[tokio::test]
async fn an_instance_elsewhere_ends_with_its_svid() {
    let bench = bench().await;
    let joined = join(&bench, TOKEN).await.unwrap();
    let id = joined.attested.instance.id;
    assert!(bench.authority.end_lapsed().await.unwrap().is_empty());
    bench.later(Duration::from_hours(1));
    let row = bench.store.read(move |rows| rows.instance(id)).await;
    let row = row.unwrap().unwrap();
    assert_eq!(row.state, InstanceState::Live, "not swept yet");
    assert!(
        !row.is_live(bench.clock.wall()),
        "and of no use all the same"
    );
    assert_eq!(bench.authority.end_lapsed().await.unwrap(), [id]);
    assert!(bench.authority.end_lapsed().await.unwrap().is_empty());
    assert_eq!(kinds(&bench).last(), Some(&EventType::InstanceExited));
}
