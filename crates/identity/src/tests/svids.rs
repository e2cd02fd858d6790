//! SVIDs: only for processes that match, never under a fence, only once it is on record.

use std::sync::atomic::Ordering;

use bailiwick_core::event::EventType;
use bailiwick_core::instance::InstanceState;
use bailiwick_core::{Clock, Code, Fault};
use bailiwick_crypto::svid::VerifiedSvid;

use super::bench_authority::{Bench, found};

#[tokio::test]
async fn a_matching_process_gets_an_svid_that_chains_to_the_bundle() {
    let bench = Bench::new().await;
    let (attested, svid) = bench.authority.x509_svid(found(7)).await.unwrap();
    let keyring = bench.authority.keyring();
    let verified =
        VerifiedSvid::verify(&[svid.chain()], keyring.bundle(), bench.clock.wall()).unwrap();
    assert_eq!(*verified.id(), attested.id);
    assert!(
        attested
            .id
            .as_str()
            .starts_with("spiffe://example.org/agent/coder/inst_")
    );
    let (again, _) = bench.authority.x509_svid(found(7)).await.unwrap();
    assert_eq!(
        again.instance.id, attested.instance.id,
        "one process, one instance"
    );
    let (other, _) = bench.authority.x509_svid(found(8)).await.unwrap();
    assert_ne!(other.instance.id, attested.instance.id);
    let kinds: Vec<EventType> = bench
        .journal
        .events
        .lock()
        .unwrap()
        .iter()
        .map(|event| event.kind)
        .collect();
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| **kind == EventType::InstanceAttested)
            .count(),
        2
    );
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| **kind == EventType::SvidIssued)
            .count(),
        3
    );
}

#[tokio::test]
async fn a_process_that_matches_nothing_is_told_what_is_missing() {
    let bench = Bench::new().await;
    let mut stranger = found(7);
    stranger
        .selectors
        .retain(|selector| !selector.to_string().starts_with("unix:path"));
    let error = bench.authority.x509_svid(stranger).await.unwrap_err();
    assert_eq!(error.code(), Code::NoIdentity);
    assert!(
        error.help().contains("unix:path=/usr/bin/coder"),
        "{}",
        error.help()
    );
}

#[tokio::test]
async fn the_most_exact_registration_wins() {
    let bench = Bench::new().await;
    bench.agent("anyone", &["unix:uid=1000"]).await;
    bench
        .agent("exact", &["unix:uid=1000", "unix:path=/usr/bin/coder"])
        .await;
    let (attested, _) = bench.authority.x509_svid(found(7)).await.unwrap();
    assert_eq!(attested.agent.name.as_str(), "exact");
}

#[tokio::test]
async fn no_identity_under_a_fence() {
    for subject in ["agent/coder", "owner/team-dev", "trust_domain/"] {
        let bench = Bench::new().await;
        bench.authority.x509_svid(found(7)).await.unwrap();
        bench.fence(subject).await;
        for pid in [7, 8] {
            let error = bench.authority.x509_svid(found(pid)).await.unwrap_err();
            assert_eq!(error.code(), Code::Revoked, "{subject} {pid}");
        }
    }
}

#[tokio::test]
async fn an_ended_instance_is_never_used_again() {
    let bench = Bench::new().await;
    let (first, _) = bench.authority.x509_svid(found(7)).await.unwrap();
    assert!(
        bench
            .authority
            .instance_exited(first.instance.id)
            .await
            .unwrap()
    );
    assert!(
        !bench
            .authority
            .instance_exited(first.instance.id)
            .await
            .unwrap(),
        "only once"
    );
    let (second, _) = bench.authority.x509_svid(found(7)).await.unwrap();
    assert_ne!(second.instance.id, first.instance.id);
    let id = first.instance.id;
    let row = bench
        .store
        .read(move |rows| rows.instance(id))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.state, InstanceState::Ended);
}

#[tokio::test]
async fn nothing_is_issued_that_is_not_on_record() {
    let bench = Bench::new().await;
    bench.journal.broken.store(true, Ordering::SeqCst);
    assert_eq!(
        bench
            .authority
            .x509_svid(found(7))
            .await
            .unwrap_err()
            .code(),
        Code::AuditUnavailable
    );
    let jwt = bench
        .authority
        .jwt_svid(found(7), vec!["a".into()])
        .await
        .unwrap_err();
    assert_eq!(jwt.code(), Code::AuditUnavailable);
}

#[tokio::test]
async fn jwt_svids_are_for_their_audience() {
    let bench = Bench::new().await;
    let (attested, token) = bench
        .authority
        .jwt_svid(found(7), vec!["orders".into()])
        .await
        .unwrap();
    let verified = bench
        .authority
        .validate_jwt_svid(token.expose(), "orders")
        .unwrap();
    assert_eq!(verified.claims().sub, attested.id);
    assert!(
        bench
            .authority
            .validate_jwt_svid(token.expose(), "other")
            .is_err()
    );
    assert_eq!(
        bench
            .authority
            .jwt_svid(found(7), Vec::new())
            .await
            .unwrap_err()
            .code(),
        Code::InvalidInput
    );
}
