//! A real log and real witnesses over HTTP: what is cosigned, what is missing, and a log that is not what it was.

use std::path::Path;

use bailiwick_audit::disk::SystemDisk;
use bailiwick_audit::witness::Witness;
use bailiwick_audit::{Class, Options, Recorder};
use bailiwick_core::event::{Event, EventType};
use bailiwick_core::{Id, Secret};
use bailiwick_crypto::cosignature::{CosignatureSigner, CosignatureVerifier};
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::note::{NoteSigner, NoteVerifier};
use bailiwick_crypto::system::{SystemClock, SystemRng};
use tokio::net::TcpListener;

use super::*;

const ORIGIN: &str = "example.org/node-1";

fn key(seed: u8) -> Ed25519Key {
    Ed25519Key::from_seed(&Secret::new([seed; 32])).unwrap()
}

fn log_key() -> NoteVerifier {
    NoteSigner::new(ORIGIN, key(7)).unwrap().verifier().unwrap()
}

/// A log that is not closed before the end of the test.
fn open(dir: &Path) -> Arc<Log> {
    let kek = bailiwick_audit::seal::Kek {
        id: 1,
        key: Secret::new([9; 32]),
    };
    let options = Options {
        segment_size: 2 << 20,
        min_free: 1 << 20,
        publish_every: Duration::from_millis(5),
        ..Options::new(
            dir.to_owned(),
            "node-1".into(),
            NoteSigner::new(ORIGIN, key(7)).unwrap(),
            kek,
            Arc::new(SystemClock),
            Arc::new(SystemRng),
        )
    };
    Arc::new(Log::open(options).unwrap())
}

async fn record(log: &Log, count: usize) {
    for _ in 0..count {
        let event = Event::new(Id::new(&SystemClock, &SystemRng), EventType::ToolIntent);
        log.record(event, Class::Grant).await.unwrap();
    }
    let size = log.size();
    log.published()
        .wait_for(|published| *published >= size)
        .await
        .unwrap();
}

/// A witness of the log with state in `dir`, listening until the test ends.
async fn witness(dir: &Path, seed: u8) -> WitnessAt {
    let signer = CosignatureSigner::new(&format!("witness.example/{seed}"), key(seed)).unwrap();
    let vkey = signer.verifier().unwrap();
    let dir = dir.join(format!("witness-{seed}"));
    let witness = Witness::open(
        &dir,
        signer,
        vec![log_key()],
        Arc::new(SystemDisk),
        Arc::new(SystemClock),
    )
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(crate::witness::serve(
        Arc::new(witness),
        listener,
        std::future::pending(),
    ));
    WitnessAt { vkey, url }
}

/// A witness that is not there.
async fn absent(seed: u8) -> WitnessAt {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let signer = CosignatureSigner::new(&format!("witness.example/{seed}"), key(seed)).unwrap();
    WitnessAt {
        vkey: signer.verifier().unwrap(),
        url: format!("http://{}", listener.local_addr().unwrap()),
    }
}

fn client(log: &Arc<Log>, witnesses: &[WitnessAt], quorum: usize) -> Witnesses {
    client_under(Arc::new(SystemClock), log, witnesses, quorum)
}

fn client_under(
    clock: Arc<dyn Clock>,
    log: &Arc<Log>,
    witnesses: &[WitnessAt],
    quorum: usize,
) -> Witnesses {
    bailiwick_crypto::tls::install_default_provider();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    Witnesses::new(witnesses, quorum, Arc::clone(log), &http, clock)
}

/// So much later than it is.
struct Later(Duration);

impl Clock for Later {
    fn wall(&self) -> Timestamp {
        SystemClock.wall().plus(self.0)
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic() + self.0
    }
}

fn trusted(witnesses: &[WitnessAt]) -> Vec<CosignatureVerifier> {
    witnesses.iter().map(|one| one.vkey.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_are_cosigned_served_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir.path().join("audit"));
    let at = [witness(dir.path(), 1).await, witness(dir.path(), 2).await];
    let witnesses = client(&log, &at, 2);
    assert_eq!(witnesses.standing().state, State::Unwitnessed);
    for more in [1, 300, 5] {
        record(&log, more).await;
        assert_eq!(witnesses.round().await.unwrap(), None);
        let standing = witnesses.standing();
        assert_eq!(
            (standing.state, standing.size),
            (State::Witnessed, Some(log.size())),
            "{standing:?}"
        );
        let served = witnesses.dressed(log.directory().checkpoint().unwrap().unwrap());
        let kept = log.directory().witnessed().unwrap().unwrap();
        assert_eq!(served, kept);
        let cosigned = Cosigned::verify(&kept, &[log_key()], &trusted(&at)).unwrap();
        assert_eq!(
            (cosigned.by.len(), cosigned.checkpoint.size),
            (2, log.size())
        );
    }
    // A round without growth renews the cosignatures.
    assert_eq!(witnesses.round().await.unwrap(), None);
    // Another run knows what this one kept, and need not know what the witnesses hold.
    let again = client(&log, &at, 2);
    assert_eq!(again.standing().size, Some(log.size()));
    record(&log, 2).await;
    assert_eq!(again.round().await.unwrap(), None);
    assert_eq!(again.standing().size, Some(log.size()));
    let mut registry = Registry::default();
    again.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(
        text.contains(
            "bailiwick_witness_answers_total{witness=\"witness.example/1\",outcome=\"cosigned\"} 1"
        ),
        "{text}"
    );
}

/// `replayed_checkpoint`: what was cosigned long ago vouches for less, however often it is shown again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_nobody_cosigned_of_late_is_stale() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir.path().join("audit"));
    let there = witness(dir.path(), 1).await;
    record(&log, 3).await;
    let first = client(&log, std::slice::from_ref(&there), 1);
    assert_eq!(first.round().await.unwrap(), None);
    let witnessed = log.size();
    let gone = [WitnessAt {
        url: absent(1).await.url,
        ..there
    }];
    record(&log, 2).await;
    for (later, state) in [
        (
            STALE.saturating_sub(Duration::from_mins(1)),
            State::Witnessed,
        ),
        (STALE + Duration::from_mins(1), State::Stale),
    ] {
        let afterwards = client_under(Arc::new(Later(later)), &log, &gone, 1);
        assert_eq!(afterwards.standing().state, state);
        // Nobody answers, so nothing gets fresher, and the size stays what was vouched for.
        assert_eq!(afterwards.round().await.unwrap(), None);
        let standing = afterwards.standing();
        assert_eq!((standing.state, standing.size), (state, Some(witnessed)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quorum_bears_missing_and_false_witnesses() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir.path().join("audit"));
    record(&log, 1).await;
    let good = witness(dir.path(), 1).await;
    // It answers, but under another key than the one that is trusted.
    let other = witness(dir.path(), 2).await;
    let false_one = WitnessAt {
        vkey: absent(3).await.vkey,
        url: other.url,
    };
    let at = [good, absent(4).await, false_one];
    let two = client(&log, &at, 2);
    assert_eq!(two.round().await.unwrap(), None);
    let standing = two.standing();
    assert_eq!((standing.state, standing.size), (State::Unwitnessed, None));
    assert_eq!(log.directory().witnessed().unwrap(), None);
    let errors: Vec<bool> = standing
        .witnesses
        .iter()
        .map(|one| one.error.is_some())
        .collect();
    assert_eq!(errors, [false, true, true], "{standing:?}");

    let one = client(&log, &at, 1);
    assert_eq!(one.round().await.unwrap(), None);
    assert_eq!(one.standing().state, State::Witnessed);
    let none = client(&log, &[], 0);
    assert_eq!(none.standing().state, State::None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_not_what_it_was_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let at = [witness(dir.path(), 1).await];
    let first = open(&dir.path().join("first"));
    record(&first, 10).await;
    assert_eq!(client(&first, &at, 1).round().await.unwrap(), None);

    // Restored from an older copy, or started anew under the same key.
    let shorter = open(&dir.path().join("shorter"));
    record(&shorter, 3).await;
    let found = client(&shorter, &at, 1).round().await.unwrap();
    assert_eq!(found, Some(Contradiction::RolledBack));
    let stop = CancellationToken::new();
    let ended = Arc::new(client(&shorter, &at, 1)).run(stop).await;
    assert_eq!(ended, ROLLED_BACK);

    // Grown beyond it with other events.
    let split = open(&dir.path().join("split"));
    record(&split, 20).await;
    let witnesses = Arc::new(client(&split, &at, 1));
    assert_eq!(witnesses.round().await.unwrap(), Some(Contradiction::Split));
    assert_eq!(witnesses.standing().state, State::Unwitnessed);
    assert_eq!(split.directory().witnessed().unwrap(), None);
    let ended = witnesses.run(CancellationToken::new()).await;
    assert_eq!(ended, SPLIT);
}

/// A server that answers every request in one way, as a witness that is broken or worse.
async fn saying(answer: &'static str) -> WitnessAt {
    use axum::response::Response;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(move || async move {
        let (status, rest) = answer.split_once(' ').unwrap();
        Response::builder()
            .status(status.parse::<u16>().unwrap())
            .header("content-type", "text/x.tlog.size")
            .body(rest.to_owned())
            .unwrap()
    });
    tokio::spawn(crate::http::listen::tcp(
        listener,
        bailiwick_enforce::accept::Acceptor::new(None),
        app,
        tokio_util::task::TaskTracker::new(),
        CancellationToken::new(),
    ));
    WitnessAt {
        vkey: absent(1).await.vkey,
        url,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lying_witness_cannot_stop_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir.path().join("audit"));
    record(&log, 3).await;
    for answer in [
        "409 999999\n",
        "409 0\n",
        "409 2\n",
        "409 -1\n",
        "409 18446744073709551616\n",
        "422 no\n",
        "200 \n",
        "200 — witness.example/1 AAAA\n",
        "500 no\n",
        "302 no\n",
    ] {
        let witnesses = client(&log, &[saying(answer).await], 1);
        assert_eq!(witnesses.round().await.unwrap(), None, "{answer}");
        let standing = witnesses.standing();
        assert_eq!(standing.state, State::Unwitnessed, "{answer}");
        assert!(standing.witnesses[0].error.is_some(), "{answer}");
    }
}
