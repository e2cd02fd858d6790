//! Renewal of instances elsewhere: by the same key, once per challenge, while the instance lives and nothing stands against it.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::agent::Agent;
use bailiwick_core::event::EventType;
use bailiwick_core::instance::{Attestor, Place};
use bailiwick_core::selector::Selector;
use bailiwick_core::{Clock, Code, Fault, Problem};
use bailiwick_crypto::csr::{CertificateRequest, Requester};
use bailiwick_crypto::hash::sha256;
use bailiwick_crypto::keys::SigningKey;
use bailiwick_crypto::pop::{Challenges, renewal_message};
use bailiwick_crypto::system::SystemRng;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::bench_authority::Bench;
use super::join::{TOKEN, token};
use crate::error::IdentityError;
use crate::remote::renewal::{MAX_LIFE, Shown, read};
use crate::remote::{Evidence, Joined, Proven};

/// The key of a workload elsewhere, with the request that it sent first.
struct WorkloadKey(Requester, CertificateRequest);

impl WorkloadKey {
    fn new() -> Self {
        let requester = Requester::new(&SigningKey::generate().unwrap()).unwrap();
        let request = CertificateRequest::from_pem(&requester.request().unwrap()).unwrap();
        Self(requester, request)
    }

    fn request(&self) -> CertificateRequest {
        self.1.clone()
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).unwrap()
    }
}

/// An instance elsewhere with its key, and the node that it talks to.
struct Elsewhere {
    bench: Bench,
    challenges: Challenges,
    key: WorkloadKey,
    joined: Joined,
}

fn run(once: u8) -> Proven {
    Proven {
        attestor: Attestor::Oidc,
        subject: "https://ci.example job".into(),
        run: Some("/run_id=7".into()),
        selectors: vec![Selector::OidcSubject("job".into())],
        may_match: |_: &Agent| true,
        once: sha256(&[&[once]]),
        until: bailiwick_core::Timestamp::from_secs(4_000_000_000),
    }
}

impl Elsewhere {
    async fn joined() -> Self {
        let bench = Bench::new().await;
        bench.agent("builder", &["join:agent=builder"]).await;
        token(&bench, "builder").await;
        let evidence = Evidence::JoinToken(bailiwick_core::Secret::new(TOKEN.to_owned()));
        Self::by(bench, evidence).await
    }

    async fn of_a_job() -> Self {
        let bench = Bench::new().await;
        bench.agent("builder", &["oidc:sub=job"]).await;
        Self::by(bench, Evidence::Proven(run(0))).await
    }

    async fn by(bench: Bench, evidence: Evidence) -> Self {
        let key = WorkloadKey::new();
        let joined = bench.authority.join(evidence, &key.request(), None).await;
        Self {
            joined: joined.unwrap(),
            challenges: Challenges::new(&SystemRng),
            key,
            bench,
        }
    }

    fn challenge(&self) -> String {
        self.challenges
            .make(self.bench.clock.monotonic(), &SystemRng)
    }

    /// The proof as it should be.
    fn shown(&self) -> Shown {
        let challenge = self.challenge();
        let message = renewal_message(&challenge, &self.key.request());
        Shown {
            chain: self.joined.svid.chain_pem().to_owned(),
            signature: STANDARD.encode(self.key.sign(message.as_bytes())),
            challenge,
        }
    }

    fn read(
        &self,
        shown: &Shown,
        request: &CertificateRequest,
    ) -> Result<crate::remote::renewal::Held, Problem> {
        let keyring = self.bench.authority.keyring();
        let (now, elapsed) = (self.bench.clock.wall(), self.bench.clock.monotonic());
        read(
            keyring.bundle(),
            &self.challenges,
            shown,
            request,
            now,
            elapsed,
        )
    }

    async fn renew_with(
        &self,
        shown: &Shown,
        fresh: Option<Proven>,
    ) -> Result<Joined, IdentityError> {
        let request = self.key.request();
        let held = self
            .read(shown, &request)
            .map_err(IdentityError::Evidence)?;
        let audiences = Some(vec!["orders".into()]);
        self.bench
            .authority
            .renew(held, fresh, &request, audiences)
            .await
    }

    async fn renew(&self) -> Result<Joined, IdentityError> {
        self.renew_with(&self.shown(), None).await
    }
}

fn until(joined: &Joined) -> bailiwick_core::Timestamp {
    let Place::Remote(remote) = &joined.attested.instance.place else {
        panic!("{joined:?}");
    };
    remote.until
}

#[tokio::test]
async fn an_instance_elsewhere_goes_on_with_its_key_for_a_day() {
    let mut elsewhere = Elsewhere::joined().await;
    let first = elsewhere.joined.attested.clone();
    let began = first.instance.attested_at;
    let mut renewals = 0;
    // Half an hour each time, as a client does.
    loop {
        elsewhere.bench.later(Duration::from_mins(30));
        let Ok(next) = elsewhere.renew().await else {
            break;
        };
        renewals += 1;
        assert_eq!(next.attested.id, first.id);
        assert_eq!(next.attested.instance.born_seq, first.instance.born_seq);
        assert!(until(&next) <= began.plus(MAX_LIFE));
        assert_eq!(next.svid.not_after(), until(&next));
        let now = elsewhere.bench.clock.wall();
        let expected = now.plus(Duration::from_hours(1)).min(began.plus(MAX_LIFE));
        assert_eq!(until(&next), expected);
        let verified = elsewhere
            .bench
            .authority
            .validate_jwt_svid(next.jwt_svid.as_ref().unwrap().expose(), "orders")
            .unwrap();
        assert_eq!(verified.claims().sub, first.id);
        assert!(verified.claims().exp <= until(&next).as_secs());
        assert!(
            elsewhere
                .bench
                .authority
                .end_lapsed()
                .await
                .unwrap()
                .is_empty()
        );
        elsewhere.joined = next;
    }
    assert_eq!(renewals, 47);
    let ended = elsewhere.bench.authority.end_lapsed().await.unwrap();
    assert_eq!(ended, [first.instance.id]);
    let events = elsewhere.bench.journal.events.lock().unwrap();
    let issued = events
        .iter()
        .filter(|event| event.kind == EventType::SvidIssued);
    assert_eq!(issued.count(), 1 + 2 * renewals);
    let change = events[2].change.clone().unwrap();
    assert_eq!(change.before.unwrap(), "2027-01-15T09:00:00.000000Z");
    assert_eq!(change.after.unwrap(), "2027-01-15T09:30:00.000000Z");
}

#[tokio::test]
async fn nobody_renews_with_another_key_or_twice_with_one_proof() {
    let elsewhere = Elsewhere::joined().await;
    let good = elsewhere.shown();
    let other = WorkloadKey::new();
    let refused = |shown: &Shown, request: &CertificateRequest| {
        elsewhere.read(shown, request).map(|_| ()).unwrap_err().code
    };
    // The SVID is public: whoever has read it has no key of it.
    let theirs = renewal_message(&good.challenge, &other.request());
    let forged = Shown {
        signature: STANDARD.encode(other.sign(theirs.as_bytes())),
        ..good.clone()
    };
    assert_eq!(refused(&forged, &other.request()), Code::KeyMismatch);
    let mine = renewal_message(&good.challenge, &elsewhere.key.request());
    let forged = Shown {
        signature: STANDARD.encode(other.sign(mine.as_bytes())),
        ..good.clone()
    };
    let request = elsewhere.key.request();
    assert_eq!(refused(&forged, &request), Code::TokenInvalid);
    // What the key signed for another purpose, another challenge, another node.
    let attesting = bailiwick_crypto::pop::message(&good.challenge, &request);
    for signed in [
        attesting.as_str(),
        &renewal_message(&elsewhere.challenge(), &request),
        "",
    ] {
        let forged = Shown {
            signature: STANDARD.encode(elsewhere.key.sign(signed.as_bytes())),
            ..good.clone()
        };
        assert_eq!(refused(&forged, &request), Code::TokenInvalid, "{signed}");
    }
    let foreign = Elsewhere::joined().await;
    assert_eq!(refused(&foreign.shown(), &request), Code::TokenInvalid);
    let garbled = Shown {
        signature: "###".into(),
        ..good.clone()
    };
    assert_eq!(refused(&garbled, &request), Code::InvalidInput);
    let long = Shown {
        chain: "x".repeat(40 << 10),
        ..good.clone()
    };
    assert_eq!(refused(&long, &request), Code::TokenInvalid);

    // None of that used the challenge up; one use does, and another process sees that it did.
    elsewhere.renew_with(&good, None).await.unwrap();
    let again = elsewhere.renew_with(&good, None).await.unwrap_err();
    assert_eq!(again.code(), Code::TokenInvalid);
    assert!(again.to_string().contains("used before"), "{again}");

    let late = elsewhere.shown();
    elsewhere.bench.later(Duration::from_secs(61));
    assert_eq!(refused(&late, &request), Code::TokenInvalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_show_one_proof_at_once_one_is_renewed() {
    let elsewhere = Arc::new(Elsewhere::joined().await);
    let shown = Arc::new(elsewhere.shown());
    let tries: Vec<_> = (0..16)
        .map(|_| {
            let (elsewhere, shown) = (Arc::clone(&elsewhere), Arc::clone(&shown));
            tokio::spawn(async move { elsewhere.renew_with(&shown, None).await.is_ok() })
        })
        .collect();
    let mut won = 0;
    for tried in tries {
        won += usize::from(tried.await.unwrap());
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn an_end_a_fence_and_a_changed_registration_end_renewal() {
    let elsewhere = Elsewhere::joined().await;
    let id = elsewhere.joined.attested.instance.id;
    let fence = elsewhere.bench.fence("agent/builder").await;
    assert_eq!(elsewhere.renew().await.unwrap_err().code(), Code::Revoked);
    // A lifted fence leaves dead what was born before.
    elsewhere.bench.lift(fence).await;
    assert_eq!(elsewhere.renew().await.unwrap_err().code(), Code::Revoked);

    let elsewhere = Elsewhere::joined().await;
    elsewhere.bench.fence("trust_domain/").await;
    assert_eq!(elsewhere.renew().await.unwrap_err().code(), Code::Revoked);

    let elsewhere = Elsewhere::joined().await;
    elsewhere
        .bench
        .agent("builder", &["join:agent=other"])
        .await;
    assert_eq!(
        elsewhere.renew().await.unwrap_err().code(),
        Code::NoIdentity
    );
    elsewhere
        .bench
        .agent("builder", &["join:agent=builder"])
        .await;
    elsewhere.renew().await.unwrap();
    let ended = elsewhere.joined.attested.instance.id;
    assert!(
        elsewhere
            .bench
            .authority
            .instance_exited(ended)
            .await
            .unwrap()
    );
    assert_eq!(
        elsewhere.renew().await.unwrap_err().code(),
        Code::NoIdentity
    );

    // The SVID has ended, and with it the instance.
    let elsewhere = Elsewhere::joined().await;
    elsewhere.bench.later(Duration::from_secs(3_601));
    assert_eq!(
        elsewhere.renew().await.unwrap_err().code(),
        Code::TokenInvalid
    );
    assert_ne!(id, elsewhere.joined.attested.instance.id);
}

#[tokio::test]
async fn nobody_is_renewed_who_is_not_on_record() {
    let elsewhere = Elsewhere::joined().await;
    let broken = &elsewhere.bench.journal.broken;
    broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let error = elsewhere.renew().await.unwrap_err();
    assert_eq!(error.code(), Code::AuditUnavailable);
}

#[tokio::test]
async fn a_job_lives_longer_by_a_fresh_token_of_its_own_run_alone() {
    let elsewhere = Elsewhere::of_a_job().await;
    let first = until(&elsewhere.joined);
    elsewhere.bench.later(Duration::from_mins(30));

    // By its key alone it gets the next JWT-SVID, and no longer life.
    let same = elsewhere.renew().await.unwrap();
    assert_eq!(until(&same), first);
    assert!(same.jwt_svid.is_some());

    for (case, fresh, code) in [
        ("the same token", run(0), Code::TokenInvalid),
        (
            "another run",
            Proven {
                run: Some("/run_id=8".into()),
                ..run(1)
            },
            Code::TokenInvalid,
        ),
        (
            "no run",
            Proven {
                run: None,
                ..run(1)
            },
            Code::TokenInvalid,
        ),
        (
            "another subject",
            Proven {
                subject: "https://ci.example other".into(),
                ..run(1)
            },
            Code::TokenInvalid,
        ),
        (
            "another issuer",
            Proven {
                subject: "https://evil.example job".into(),
                ..run(1)
            },
            Code::TokenInvalid,
        ),
        (
            "a certificate",
            Proven {
                attestor: Attestor::X509pop,
                ..run(1)
            },
            Code::TokenInvalid,
        ),
        (
            "claims that do not fit any more",
            Proven {
                selectors: vec![Selector::OidcSubject("other".into())],
                ..run(1)
            },
            Code::NoIdentity,
        ),
    ] {
        let error = elsewhere.renew_with(&elsewhere.shown(), Some(fresh)).await;
        assert_eq!(error.unwrap_err().code(), code, "{case}");
    }
    // What was refused used nothing up.
    let longer = elsewhere.renew_with(&elsewhere.shown(), Some(run(1))).await;
    assert_eq!(until(&longer.unwrap()), first.plus(Duration::from_mins(30)));
    let again = elsewhere.renew_with(&elsewhere.shown(), Some(run(1))).await;
    assert_eq!(again.unwrap_err().code(), Code::TokenInvalid);

    // Who joined by token is not renewed by an issuer.
    let joined = Elsewhere::joined().await;
    let error = joined.renew_with(&joined.shown(), Some(run(2))).await;
    assert_eq!(error.unwrap_err().code(), Code::InvalidInput);
}

#[tokio::test]
async fn who_was_renewed_is_not_swept_away() {
    let elsewhere = Elsewhere::joined().await;
    let id = elsewhere.joined.attested.instance.id;
    elsewhere.bench.later(Duration::from_mins(59));
    elsewhere.renew().await.unwrap();
    // A sweep that found it due before it was renewed comes to end it now.
    elsewhere.bench.later(Duration::from_mins(1));
    let due = elsewhere.bench.clock.wall();
    let ended = elsewhere.bench.authority.instance_ended(id, Some(due));
    assert!(!ended.await.unwrap());
}
