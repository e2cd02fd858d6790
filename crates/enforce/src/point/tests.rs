//! A point against a node whose every answer the test makes, on a clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bailiwick_core::change::{Change, ChangeBody};
use bailiwick_core::feed::{Applied, Ask, Content, Head, LEASE};
use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::{FenceId, RevocationId};
use bailiwick_core::{Clock, Code, Digest, Fault, Timestamp};
use bailiwick_crypto::head::{HeadError, HeadKey, public, seal};
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::system::SystemRng;
use serde::Serialize;

use super::{Follower, Refusal};
use crate::live::{Entered, Live};
use crate::replica::Replica;

/// Milliseconds.
#[derive(Default)]
struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn wall(&self) -> Timestamp {
        Timestamp::default()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}

struct Scene {
    clock: Arc<TestClock>,
    replica: Replica,
    follower: Follower,
    key: Ed25519Key,
}

impl Scene {
    fn new() -> Self {
        let clock = Arc::new(TestClock(AtomicU64::new(50_000)));
        let key = Ed25519Key::generate().unwrap();
        let keys = vec![HeadKey::parse(&public(&key)).unwrap()];
        Self {
            replica: Replica::leased(Arc::new(Live::default()), clock.clone()),
            follower: Follower::new("edge".parse().unwrap(), keys, &SystemRng),
            clock,
            key,
        }
    }

    /// One that is open at change 10 of epoch 1, as of now.
    fn open() -> Self {
        let mut scene = Self::new();
        let question = scene.ask();
        assert_eq!(question.applied, None);
        let head = scene.head(&question, 1, 10, Content::Snapshot { upto: 10 });
        scene.hear(&scene.sealed(head, &[policy(1)])).unwrap();
        scene.is_open();
        scene
    }

    fn ask(&mut self) -> Ask {
        let now = self.clock.monotonic();
        self.follower.ask(&self.replica, now, &SystemRng)
    }

    fn head(&self, ask: &Ask, epoch: u64, seq: u64, content: Content) -> Head {
        Head {
            epoch,
            seq,
            content,
            digest: Digest([0; 32]),
            issued_at: Timestamp::default(),
            node: "node-1".parse().unwrap(),
            point: "edge".parse().unwrap(),
            nonce: ask.nonce.clone(),
            keys: vec![public(&self.key)],
        }
    }

    fn sealed<T: Serialize>(&self, head: Head, lines: &[T]) -> Vec<u8> {
        let lines = lines
            .iter()
            .map(|line| serde_json::to_string(line).unwrap() + "\n");
        seal(&self.key, head, lines.collect::<String>().as_bytes()).unwrap()
    }

    /// The answer of a node whose newest change is `seq`, with these changes.
    fn changes(&self, ask: &Ask, seq: u64, changes: &[u64]) -> Vec<u8> {
        let lines: Vec<Change> = changes
            .iter()
            .map(|seq| Change {
                seq: *seq,
                body: policy(1),
                event: None,
            })
            .collect();
        self.sealed(self.head(ask, 1, seq, Content::Changes), &lines)
    }

    fn hear(&mut self, answer: &[u8]) -> Result<(), Refusal> {
        self.follower.hear(answer, &self.replica)
    }

    fn pass(&self, ms: u64) {
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
    }

    fn is_open(&self) {
        self.replica.view(|_| ()).unwrap();
    }

    fn is_closed(&self, code: Code) {
        assert_eq!(self.replica.view(|_| ()).unwrap_err().code(), code);
    }

    /// Something that runs.
    fn running(&self) -> Entered {
        self.replica.live().enter(vec![(Subject::TrustDomain, 0)])
    }
}

fn policy(byte: u8) -> ChangeBody {
    ChangeBody::Policy(Digest([byte; 32]))
}

#[test]
fn a_lease_counts_from_the_question() {
    let mut scene = Scene::open();
    let question = scene.ask();
    // The answer was on its way for nearly all of the lease.
    scene.pass(1_900);
    let answer = scene.changes(&question, 10, &[]);
    scene.hear(&answer).unwrap();
    scene.pass(99);
    scene.is_open();
    scene.pass(1);
    scene.is_closed(Code::LeaseExpired);
    // One that took longer than the lease gives none.
    let question = scene.ask();
    scene.pass(2_000);
    let answer = scene.changes(&question, 10, &[]);
    scene.hear(&answer).unwrap();
    scene.is_closed(Code::LeaseExpired);
}

#[test]
fn nothing_late_repeated_foreign_or_altered_prolongs_a_lease() {
    let mut scene = Scene::open();
    let earlier = scene.ask();
    let late = scene.changes(&earlier, 10, &[]);
    let question = scene.ask();
    let answer = scene.changes(&question, 10, &[]);
    let elsewhere = Head {
        point: "other".parse().unwrap(),
        ..scene.head(&question, 1, 10, Content::Changes)
    };
    let elsewhere = scene.sealed::<Change>(elsewhere, &[]);
    let forged = seal(
        &Ed25519Key::generate().unwrap(),
        scene.head(&question, 1, 10, Content::Changes),
        b"",
    )
    .unwrap();
    let longer = [&answer[..], b"{}\n"].concat();
    let keyless = Head {
        keys: Vec::new(),
        ..scene.head(&question, 1, 10, Content::Changes)
    };
    let keyless = scene.sealed::<Change>(keyless, &[]);
    scene.pass(1_500);
    assert!(matches!(scene.hear(&late), Err(Refusal::Unasked)));
    assert!(matches!(scene.hear(&elsewhere), Err(Refusal::Unasked)));
    assert!(matches!(
        scene.hear(&forged),
        Err(Refusal::Head(HeadError::Signature))
    ));
    assert!(matches!(
        scene.hear(&longer),
        Err(Refusal::Head(HeadError::Content))
    ));
    // The question is still open: what is not an answer to it does not use it up.
    scene.hear(&answer).unwrap();
    assert!(matches!(scene.hear(&answer), Err(Refusal::Unasked)));
    assert!(matches!(scene.hear(&keyless), Err(Refusal::Unasked)));
    let question = scene.ask();
    let keyless = Head {
        keys: Vec::new(),
        ..scene.head(&question, 1, 10, Content::Changes)
    };
    let keyless = scene.sealed::<Change>(keyless, &[]);
    scene.pass(400);
    assert!(matches!(scene.hear(&keyless), Err(Refusal::Keys)));
    // 2 s after the one question that was answered well.
    scene.pass(100);
    scene.is_closed(Code::LeaseExpired);
}

#[test]
fn without_news_everything_is_denied_and_cut_until_it_has_caught_up() {
    let mut scene = Scene::open();
    let running = scene.running();
    scene.pass(1_999);
    scene.is_open();
    assert!(!scene.replica.lapse() && running.was_cut().is_none());
    scene.pass(1);
    scene.is_closed(Code::LeaseExpired);
    assert!(scene.replica.lapse());
    assert!(running.was_cut().is_some());
    // An answer that does not bring everything there is opens nothing.
    let question = scene.ask();
    assert_eq!(question.applied, Some(Applied { epoch: 1, seq: 10 }));
    let answer = scene.changes(&question, 14, &[11, 12]);
    scene.hear(&answer).unwrap();
    scene.is_closed(Code::LeaseExpired);
    let question = scene.ask();
    assert_eq!(question.applied, Some(Applied { epoch: 1, seq: 12 }));
    let answer = scene.changes(&question, 14, &[13, 14]);
    scene.hear(&answer).unwrap();
    scene.is_open();
}

/// A machine that was asleep learns of the end of its lease when it runs again; what it was doing then goes before anything new.
#[test]
fn what_ran_under_a_lease_that_ended_unseen_is_cut_before_the_next() {
    let mut scene = Scene::open();
    let running = scene.running();
    scene.pass(60_000);
    let question = scene.ask();
    let answer = scene.changes(&question, 10, &[]);
    scene.hear(&answer).unwrap();
    scene.is_open();
    assert!(running.was_cut().is_some());
    assert!(scene.running().was_cut().is_none());
}

#[test]
fn a_fence_cuts_before_it_is_acknowledged() {
    let mut scene = Scene::open();
    let (running, other) = (
        scene.running(),
        scene
            .replica
            .live()
            .enter(vec![(Subject::Key("k".repeat(43)), 0)]),
    );
    let fence = Fence {
        id: FenceId::from_bits(1),
        subject: Subject::TrustDomain,
        seq: 11,
        lifted_seq: None,
        revocation: RevocationId::from_bits(2),
        reason: "INC-4".to_owned(),
        actor: "system".to_owned(),
        set_at: Timestamp::default(),
    };
    let question = scene.ask();
    let change = Change {
        seq: 11,
        body: ChangeBody::Fence(fence),
        event: None,
    };
    let answer = scene.sealed(scene.head(&question, 1, 11, Content::Changes), &[change]);
    scene.hear(&answer).unwrap();
    assert!(running.was_cut().is_some() && other.was_cut().is_none());
    assert_eq!(scene.ask().applied, Some(Applied { epoch: 1, seq: 11 }));
}

#[test]
fn a_gap_a_repetition_and_what_cannot_be_read_close_it_until_everything_is_read_anew() {
    for wrong in [&[12][..], &[10, 11], &[11, 11], &[11, 13]] {
        let mut scene = Scene::open();
        let running = scene.running();
        let question = scene.ask();
        let answer = scene.changes(&question, 13, wrong);
        let taken = scene.hear(&answer);
        if wrong == [10, 11] {
            // The snapshot held it already: that is how snapshot and tail meet.
            taken.unwrap();
            continue;
        }
        assert!(matches!(taken, Err(Refusal::Step)), "{wrong:?}");
        assert!(running.was_cut().is_some(), "{wrong:?}");
        scene.is_closed(Code::ReplicaBehind);
        let question = scene.ask();
        assert_eq!(question.applied, None, "{wrong:?}");
        let head = scene.head(&question, 1, 13, Content::Snapshot { upto: 13 });
        scene.hear(&scene.sealed(head, &[policy(1)])).unwrap();
        scene.is_open();
    }
    let mut scene = Scene::open();
    let question = scene.ask();
    let unknown = serde_json::json!({"seq": 11, "body": {"kind": "a_newer_kind", "value": 1}});
    let answer = scene.sealed(scene.head(&question, 1, 11, Content::Changes), &[unknown]);
    assert!(matches!(scene.hear(&answer), Err(Refusal::Content(_))));
    scene.pass(2_000);
    scene.is_closed(Code::LeaseExpired);
}

#[test]
fn a_new_epoch_closes_it_and_an_older_one_stays_closed() {
    let mut scene = Scene::open();
    let running = scene.running();
    // Changes of another epoch do not continue this one.
    let question = scene.ask();
    let head = scene.head(&question, 2, 11, Content::Changes);
    let change = Change {
        seq: 11,
        body: policy(2),
        event: None,
    };
    assert!(matches!(
        scene.hear(&scene.sealed(head, &[change])),
        Err(Refusal::Step)
    ));
    scene.is_closed(Code::ReplicaBehind);
    assert!(running.was_cut().is_some());
    // A lower place of a higher epoch is no step back.
    let question = scene.ask();
    let head = scene.head(&question, 2, 4, Content::Snapshot { upto: 4 });
    scene.hear(&scene.sealed(head, &[policy(2)])).unwrap();
    scene.is_open();
    for (epoch, seq) in [(1, 90), (2, 3)] {
        let question = scene.ask();
        let head = scene.head(&question, epoch, seq, Content::Snapshot { upto: seq });
        let taken = scene.hear(&scene.sealed(head, &[policy(1)]));
        assert!(matches!(taken, Err(Refusal::Regressed { .. })), "{taken:?}");
        scene.is_closed(Code::ReplicaBehind);
    }
}

#[test]
fn keys_are_handed_on_by_heads_alone() {
    let mut scene = Scene::open();
    let next = Ed25519Key::generate().unwrap();
    let question = scene.ask();
    let head = Head {
        keys: vec![public(&scene.key), public(&next)],
        ..scene.head(&question, 1, 10, Content::Changes)
    };
    scene.hear(&scene.sealed::<Change>(head, &[])).unwrap();
    let former = std::mem::replace(&mut scene.key, next);
    let question = scene.ask();
    let answer = scene.changes(&question, 10, &[]);
    scene.hear(&answer).unwrap();
    // That head named the new key alone: the former one is over.
    scene.key = former;
    let question = scene.ask();
    let answer = scene.changes(&question, 10, &[]);
    assert!(matches!(
        scene.hear(&answer),
        Err(Refusal::Head(HeadError::Signature))
    ));
    assert_eq!(LEASE, Duration::from_secs(2));
}
