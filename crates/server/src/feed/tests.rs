//! What points are told, and when a point counts as closed.

mod elsewhere;
mod model;
mod partitions;

use std::sync::Arc;
use std::time::Duration;

use bailiwick_control::points::Points;
use bailiwick_core::Digest;
use bailiwick_core::feed::{Applied, Ask, Content, Head, MAX_CHANGES};
use bailiwick_core::fence::Fence;
use bailiwick_core::id::{FenceId, RevocationId};
use bailiwick_core::name::PointName;
use bailiwick_core::point::Registration;
use bailiwick_core::receipt::{How, Point};
use bailiwick_core::rollout::Rollout;
use bailiwick_core::{Clock, Code, Timestamp};
use bailiwick_crypto::head::{HeadKey, open};
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::system::SystemClock;
use bailiwick_store::{Observer, Options, Store, StoreError};

use super::registry::{Registry, Stands};
use super::tail::MAX_KEPT;
use super::{Feed, Parts, Tail};

fn name() -> PointName {
    "edge".parse().unwrap()
}

fn registration() -> Registration {
    Registration {
        name: name(),
        made_by: "uid:0".to_owned(),
        made_at: Timestamp::default(),
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The registry of one point on a node that began at 100 s.
fn registry() -> Registry {
    let points = vec![(registration(), Digest([1; 32]))];
    Registry::new(points, ms(100_000))
}

fn closed(stands: &Stands) -> Option<(How, u64)> {
    match stands {
        Stands::Closed(Point {
            how, applied_ms, ..
        }) => Some((*how, *applied_ms)),
        Stands::Until(_) => None,
    }
}

#[test]
fn a_point_is_closed_when_it_says_so_or_when_no_lease_of_it_can_last() {
    let points = registry();
    let stands = |seq, durable, now| closed(&points.stands(&name(), seq, ms(durable), ms(now)));
    // It may hold a lease that the node before this one granted, for as long as one lasts.
    assert_eq!(stands(5, 100_100, 102_249), None);
    assert_eq!(stands(5, 100_100, 102_250), Some((How::Lapsed, 2_150)));
    // Silent since then, it is closed before anything is fenced.
    assert_eq!(stands(5, 300_000, 300_000), Some((How::Lapsed, 0)));
    drop(points.heard(&name(), "s", Some(4), ms(400_000)).unwrap());
    assert_eq!(stands(4, 399_990, 400_001), Some((How::Acked, 10)));
    assert_eq!(stands(5, 400_100, 402_249), None);
    // Counted from its last question, if that came before the fence.
    assert_eq!(stands(5, 400_100, 402_250), Some((How::Lapsed, 2_150)));
    // It asks, and still says no more than before: its leases need the fence now, those from before end in time.
    drop(points.heard(&name(), "s", Some(4), ms(401_000)).unwrap());
    assert_eq!(stands(5, 400_100, 402_349), None);
    assert_eq!(stands(5, 400_100, 402_350), Some((How::Lapsed, 2_250)));
    drop(points.heard(&name(), "s", Some(6), ms(401_500)).unwrap());
    assert_eq!(stands(5, 400_100, 401_600), Some((How::Acked, 1_400)));
    // Repeating it does not make it later, losing everything takes it back.
    drop(points.heard(&name(), "s", Some(6), ms(401_700)).unwrap());
    assert_eq!(stands(6, 400_100, 401_800), Some((How::Acked, 1_400)));
    drop(points.heard(&name(), "s", None, ms(401_800)).unwrap());
    assert_eq!(stands(6, 401_750, 401_900), None);
}

#[test]
fn one_process_is_a_point_and_it_asks_one_thing_at_a_time() {
    let points = registry();
    let first = points.heard(&name(), "one", Some(4), ms(100_000)).unwrap();
    let second = points.heard(&name(), "one", Some(4), ms(100_010)).unwrap();
    let third = points.heard(&name(), "one", Some(4), ms(100_020));
    assert_eq!(third.err().unwrap().code, Code::Overloaded);
    drop((first, second));
    let other = points.heard(&name(), "two", Some(9), ms(102_259));
    assert_eq!(other.err().unwrap().code, Code::Conflict);
    assert!(
        closed(&points.stands(&name(), 9, ms(102_100), ms(102_259))).is_none(),
        "what the other says counts for nothing"
    );
    drop(points.heard(&name(), "two", Some(3), ms(102_260)).unwrap());
    assert!(closed(&points.stands(&name(), 4, ms(102_260), ms(102_261))).is_none());
}

#[test]
fn who_leaves_is_refused_at_once_and_counted_until_its_lease_is_over() {
    let points = registry();
    drop(points.heard(&name(), "one", Some(4), ms(200_000)).unwrap());
    let left = points.leave(&name(), ms(200_250)).unwrap();
    assert_eq!(left, ms(2_000));
    assert_eq!(points.named(Digest([1; 32])), None);
    let refused = points.heard(&name(), "one", Some(9), ms(200_300));
    assert_eq!(refused.err().unwrap().code, Code::NotSignedIn);
    assert_eq!(points.names(), [name()]);
    points.forget(&name());
    assert!(points.names().is_empty());
    assert_eq!(points.leave(&name(), ms(200_250)), None);
}

/// A feed on a store of its own.
struct Bench {
    store: Store,
    feed: Feed,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("data"), Options::default()).unwrap();
        let tail = Arc::new(Tail::new());
        store.observe(Arc::clone(&tail) as Arc<dyn Observer>);
        let feed = Feed::new(Parts {
            store: store.clone(),
            tail,
            points: vec![(registration(), Digest([1; 32]))],
            key: Arc::new(Ed25519Key::generate().unwrap()),
            epoch: 1,
            node: "node-1".parse().unwrap(),
            clock: Arc::new(SystemClock),
        });
        Self {
            store,
            feed,
            _dir: dir,
        }
    }

    /// Commits so many changes, then perhaps a fence, at once.
    async fn commit(&self, more: usize, fence: bool) {
        let written = self.store.write(move |tx| {
            for _ in 0..more {
                tx.publish_token_keys("{\"keys\":[]}")?;
            }
            if fence {
                let seq = tx.head() + 1;
                tx.put_fence(&Fence {
                    id: FenceId::from_bits(u128::from(seq)),
                    subject: "agent/coder".parse().unwrap(),
                    seq,
                    lifted_seq: None,
                    revocation: RevocationId::from_bits(1),
                    reason: "INC-4".to_owned(),
                    actor: "system".to_owned(),
                    set_at: Timestamp::default(),
                })?;
            }
            Ok::<_, StoreError>(())
        });
        written.await.unwrap();
    }

    async fn asks(&self, seq: u64) -> (Head, Vec<serde_json::Value>) {
        self.ask(Some(at(seq))).await
    }

    async fn ask(&self, applied: Option<Applied>) -> (Head, Vec<serde_json::Value>) {
        let ask = Ask {
            session: "s".to_owned(),
            nonce: "n".to_owned(),
            applied,
        };
        let turn = self.feed.heard(&name(), &ask).unwrap();
        let answer = self.feed.answer(turn, ask).await.unwrap();
        let keys: Vec<HeadKey> = self
            .feed
            .keys()
            .iter()
            .map(|key| HeadKey::parse(key).unwrap())
            .collect();
        let (head, content) = open(&keys, &answer).unwrap();
        let lines = content.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        let lines = lines.map(|line| serde_json::from_slice(line).unwrap());
        (head, lines.collect())
    }
}

fn at(seq: u64) -> Applied {
    Applied { epoch: 1, seq }
}

#[tokio::test]
async fn a_snapshot_then_each_change_once_in_order() {
    let bench = Bench::new();
    bench.commit(3, true).await;
    let (head, lines) = bench.ask(None).await;
    assert_eq!((head.seq, head.content), (4, Content::Snapshot { upto: 4 }));
    assert!(
        lines.iter().any(|line| line["kind"] == "fence"),
        "{lines:?}"
    );
    let rollout = serde_json::to_value(Rollout::default()).unwrap();
    assert!(
        lines.iter().any(|line| line["value"] == rollout),
        "{lines:?}"
    );
    bench.commit(2, true).await;
    let (head, lines) = bench.asks(4).await;
    assert_eq!((head.seq, head.content), (7, Content::Changes));
    let seqs: Vec<u64> = lines
        .iter()
        .map(|line| line["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, [5, 6, 7]);
    // Nothing new: held, then said.
    let before = SystemClock.monotonic();
    let (head, lines) = bench.asks(7).await;
    assert_eq!((head.seq, lines.len()), (7, 0));
    assert!(SystemClock.monotonic().saturating_sub(before) >= ms(250));
    // Another epoch, whatever the place: everything anew.
    let (head, _) = bench.ask(Some(Applied { epoch: 9, seq: 7 })).await;
    assert!(matches!(head.content, Content::Snapshot { .. }));
}

#[tokio::test]
async fn who_is_far_behind_gets_everything_in_pieces_from_the_store() {
    let bench = Bench::new();
    let all = MAX_CHANGES + MAX_KEPT + 10;
    bench.commit(all, false).await;
    let mut applied = 0;
    let mut rounds = 0;
    while applied < all as u64 {
        let (head, lines) = bench.asks(applied).await;
        assert_eq!(head.seq, all as u64);
        assert!(!lines.is_empty() && lines.len() <= MAX_CHANGES);
        for line in lines {
            applied += 1;
            assert_eq!(line["seq"], applied);
        }
        rounds += 1;
    }
    assert!(rounds >= 2, "{rounds}");
}

#[tokio::test]
async fn a_store_that_is_older_than_what_was_seen_is_told() {
    let bench = Bench::new();
    bench.commit(3, false).await;
    let ask = Ask {
        session: "s".to_owned(),
        nonce: "n".to_owned(),
        applied: Some(at(4)),
    };
    let refused = bench.feed.heard(&name(), &ask);
    assert_eq!(refused.err().unwrap().code, Code::FeedRegressed);
}

#[tokio::test]
async fn whoever_asks_learns_of_a_fence_at_once_and_saying_so_is_waited_for() {
    let bench = Bench::new();
    bench.commit(3, false).await;
    let question = bench.asks(3);
    let fenced = async {
        bench.commit(0, true).await;
        let durable = SystemClock.monotonic();
        (bench.feed.closed(4, durable).await, durable)
    };
    let acked = async {
        let (head, lines) = question.await;
        assert_eq!((head.seq, lines.len()), (4, 1));
        bench.asks(4).await
    };
    let ((points, durable), _) = tokio::join!(fenced, acked);
    let point = points.first().unwrap();
    assert_eq!(point.id, "edge");
    // On a machine that stood still meanwhile its lease is over, which is as good.
    let passed = SystemClock.monotonic().saturating_sub(durable);
    assert!(point.how == How::Acked || passed >= ms(2_000), "{point:?}");
    // One that says nothing is waited for until it is closed by itself.
    bench.commit(0, true).await;
    let points = bench.feed.closed(5, SystemClock.monotonic()).await;
    assert_eq!(points.first().unwrap().how, How::Lapsed);
}
