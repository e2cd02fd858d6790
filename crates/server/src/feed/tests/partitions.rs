//! Points and their node over a network that loses, delays, doubles and reorders, is cut in two, and is held and let go in one burst; with
//! clocks that drift, processes that stand still and a node that is started anew. The points' code and the node's book are the product's;
//! time and network are this file's, so that each course is the same in every run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bailiwick_core::change::{Change, ChangeBody};
use bailiwick_core::feed::{Ask, Content, Head, LEASE};
use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::{FenceId, RevocationId};
use bailiwick_core::name::PointName;
use bailiwick_core::{Clock, Digest, Rng, Timestamp};
use bailiwick_crypto::head::{HeadKey, public, seal};
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_enforce::live::Entered;
use bailiwick_enforce::point::Follower;
use bailiwick_enforce::{Live, Replica};

use super::registration;
use crate::feed::registry::{Registry, Stands};
use crate::feed::tail;

/// Milliseconds of one course; in the last of them nothing goes wrong any more.
const COURSE: u64 = 24_000;
const CALM: u64 = 6_000;
const POINTS: usize = 3;
/// Fences are set until the calm.
const FENCE_EVERY: u64 = 700;

/// The same numbers in every run.
struct Dice(std::cell::Cell<u64>);

impl Dice {
    fn below(&self, bound: u64) -> u64 {
        let mut x = self.0.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0.set(x);
        (x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn one_in(&self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// Counts up: nonces differ, and that is all that is asked of them here.
struct Counter(AtomicU64);

impl Rng for Counter {
    fn fill(&self, buffer: &mut [u8]) {
        let next = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        buffer.fill(0);
        for (place, byte) in buffer.iter_mut().zip(next) {
            *place = byte;
        }
    }
}

/// A clock of its own: it began anywhere, and goes up to 1 % too slow or too fast. What it says the time of day is jumps about.
struct Drifting {
    now: Arc<AtomicU64>,
    began: u64,
    per_mille: u64,
}

impl Clock for Drifting {
    fn wall(&self) -> Timestamp {
        let ms = i64::try_from(self.now.load(Ordering::SeqCst)).unwrap();
        Timestamp::from_secs((ms * 7_919) % 2_000_000_000)
    }

    fn monotonic(&self) -> Duration {
        let passed = self.now.load(Ordering::SeqCst) * self.per_mille;
        Duration::from_millis(self.began) + Duration::from_micros(passed)
    }
}

struct PointHere {
    name: PointName,
    clock: Arc<Drifting>,
    replica: Replica,
    follower: Follower,
    /// When it asks again if nothing comes.
    asks_at: u64,
    /// It stands still until then.
    still: u64,
    /// Something that runs for as long as it is not cut.
    runs: Option<Entered>,
    /// Fences that somebody was told it is closed to.
    told: Vec<u64>,
}

enum Letter {
    Question(usize, Ask),
    Answer(usize, Vec<u8>),
}

struct Course {
    now: Arc<AtomicU64>,
    dice: Dice,
    rng: Counter,
    key: Ed25519Key,
    registry: Registry,
    points: Vec<PointHere>,
    /// Each fence, and when it was durable.
    fences: Vec<(Change, u64)>,
    letters: BTreeMap<(u64, u64), Letter>,
    sent: u64,
    /// Until when letters of a point are lost, or held back.
    cut: [u64; POINTS],
    held: [u64; POINTS],
    opened: u64,
    lapsed: u64,
}

impl Course {
    fn new(seed: u64) -> Self {
        let now = Arc::new(AtomicU64::new(0));
        let dice = Dice(std::cell::Cell::new(
            seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        ));
        let rng = Counter(AtomicU64::new(0));
        let key = Ed25519Key::generate().unwrap();
        let keys = vec![HeadKey::parse(&public(&key)).unwrap()];
        let names: Vec<PointName> = (0..POINTS)
            .map(|at| format!("point-{at}").parse().unwrap())
            .collect();
        let points = names.iter().map(|name| {
            let clock = Arc::new(Drifting {
                now: Arc::clone(&now),
                began: dice.below(1_000_000),
                per_mille: 990 + dice.below(21),
            });
            PointHere {
                name: name.clone(),
                replica: Replica::leased(Arc::new(Live::default()), clock.clone()),
                follower: Follower::new(name.clone(), keys.clone(), &rng),
                clock,
                asks_at: dice.below(250),
                still: 0,
                runs: None,
                told: Vec::new(),
            }
        });
        let points = points.collect();
        Self {
            registry: registry(&names, 0),
            points,
            now,
            dice,
            rng,
            key,
            fences: Vec::new(),
            letters: BTreeMap::new(),
            sent: 0,
            cut: [0; POINTS],
            held: [0; POINTS],
            opened: 0,
            lapsed: 0,
        }
    }

    fn ms(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    fn calm(&self) -> bool {
        self.ms() + CALM > COURSE
    }

    /// Puts a letter on its way, unless it is lost; perhaps twice, perhaps late.
    fn send(&mut self, point: usize, letter: impl Fn() -> Letter) {
        let now = self.ms();
        if self.cut[point] > now {
            return;
        }
        let copies = match (self.calm(), self.dice.below(12)) {
            (false, 0) => 0,
            (false, 1) => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let late = match (self.calm(), self.dice.below(10)) {
                (false, 0) => self.dice.below(8_000),
                _ => 1 + self.dice.below(40),
            };
            // What is held comes in one burst when it is let go.
            let arrives = (now + late).max(self.held[point]);
            self.sent += 1;
            self.letters.insert((arrives, self.sent), letter());
        }
    }

    fn step(&mut self) {
        self.now.fetch_add(1, Ordering::SeqCst);
        let now = self.ms();
        if !self.calm() {
            self.misfortune(now);
            if now.is_multiple_of(FENCE_EVERY) {
                self.fence(now);
            }
        }
        while let Some(next) = self.letters.first_entry() {
            if next.key().0 > now {
                break;
            }
            match next.remove() {
                Letter::Question(point, ask) => self.answer(point, &ask),
                Letter::Answer(point, answer) => {
                    let here = &mut self.points[point];
                    if here.still > now {
                        // It reads it when it runs again.
                        let again = here.still;
                        self.sent += 1;
                        self.letters
                            .insert((again, self.sent), Letter::Answer(point, answer));
                    } else if here.follower.hear(&answer, &here.replica).is_ok() {
                        here.asks_at = now;
                    }
                }
            }
        }
        for point in 0..POINTS {
            if self.points[point].still <= now {
                self.runs(point, now);
            }
            self.look(point, now);
        }
    }

    fn misfortune(&mut self, now: u64) {
        let point = usize::try_from(self.dice.below(POINTS as u64)).unwrap();
        let long = 200 + self.dice.below(5_000);
        match self.dice.below(9_000) {
            0..5 => self.cut[point] = now + long,
            5..9 => self.held[point] = now + long,
            9..12 => self.points[point].still = now + long,
            12..14 => {
                let names: Vec<_> = self.points.iter().map(|here| here.name.clone()).collect();
                self.registry = registry(&names, now);
            }
            _ => {}
        }
    }

    fn fence(&mut self, now: u64) {
        let seq = self.fences.len() as u64 + 1;
        let fence = Fence {
            id: FenceId::from_bits(u128::from(seq)),
            subject: subject(seq),
            seq,
            lifted_seq: None,
            revocation: RevocationId::from_bits(1),
            reason: String::new(),
            actor: "system".to_owned(),
            set_at: Timestamp::default(),
        };
        let body = ChangeBody::Fence(fence);
        self.fences.push((
            Change {
                seq,
                body,
                event: None,
            },
            now,
        ));
    }

    /// The node takes a question, and answers it; sometimes with less than everything.
    fn answer(&mut self, point: usize, ask: &Ask) {
        let (now, name) = (self.ms(), self.points[point].name.clone());
        let applied = ask.applied.map(|applied| applied.seq);
        let turn = self
            .registry
            .heard(&name, &ask.session, applied, Duration::from_millis(now));
        drop(turn.unwrap());
        let newest = self.fences.len() as u64;
        let changes = self.fences.iter().map(|(change, _)| change);
        let missing = changes.filter(|change| Some(change.seq) > applied);
        let less = usize::from(self.dice.one_in(4));
        let some = usize::try_from(newest - applied.unwrap_or(0))
            .unwrap()
            .saturating_sub(less);
        let (content, lines) = if applied.is_some() {
            (Content::Changes, tail::lines(missing.take(some)))
        } else {
            let upto = some as u64;
            let bodies = missing.take(some).map(|change| &change.body);
            (Content::Snapshot { upto }, tail::lines(bodies))
        };
        let head = Head {
            epoch: 1,
            seq: newest,
            content,
            digest: Digest([0; 32]),
            issued_at: Timestamp::default(),
            node: "node-1".parse().unwrap(),
            point: name,
            nonce: ask.nonce.clone(),
            keys: vec![public(&self.key)],
        };
        let answer = seal(&self.key, head, &lines.unwrap()).unwrap();
        self.send(point, || Letter::Answer(point, answer.clone()));
    }

    /// What a point does by itself: it looks at its lease, keeps something running while it may, and asks.
    fn runs(&mut self, point: usize, now: u64) {
        let here = &mut self.points[point];
        if here.replica.lapse() {
            self.lapsed += 1;
        }
        here.runs.take_if(|runs| runs.was_cut().is_some());
        if here.runs.is_none() {
            // As every call does: entered first, then looked at.
            let runs = here.replica.live().enter(vec![(Subject::TrustDomain, 0)]);
            if here.replica.view(|_| ()).is_ok() {
                here.runs = Some(runs);
                self.opened += 1;
            }
        }
        if here.asks_at <= now {
            here.asks_at = now + 300;
            let ask = here
                .follower
                .ask(&here.replica, here.clock.monotonic(), &self.rng);
            self.send(point, || Letter::Question(point, ask.clone()));
        }
    }

    /// What must hold at every moment.
    fn look(&mut self, point: usize, now: u64) {
        // 2 s on the slowest clock.
        let lease = u64::try_from(LEASE.as_millis()).unwrap() * 1_000 / 990 + 1;
        let here = &mut self.points[point];
        let open = here
            .replica
            .view(|state| {
                let known = |seq| state.fences().any_dead([&(subject(seq), 0)]).is_some();
                let fences = 1..=self.fences.len() as u64;
                fences.filter(|seq| !known(*seq)).collect::<Vec<u64>>()
            })
            .ok();
        for seq in open.iter().flatten() {
            let durable = self.fences[usize::try_from(seq - 1).unwrap()].1;
            assert!(
                now < durable + lease,
                "{} decides at {now} without fence {seq} of {durable}",
                here.name
            );
            assert!(
                !here.told.contains(seq),
                "{} decides without fence {seq}, to which it was said to be closed",
                here.name
            );
        }
        // What runs is cut together with the lease, as soon as the process runs at all.
        if open.is_none() && here.still <= now {
            let cut = here
                .runs
                .as_ref()
                .is_none_or(|runs| runs.was_cut().is_some());
            assert!(cut, "{} is closed and something runs", here.name);
        }
        for (index, (_, durable)) in self.fences.iter().enumerate() {
            let seq = index as u64 + 1;
            let (durable, at) = (Duration::from_millis(*durable), Duration::from_millis(now));
            if !here.told.contains(&seq)
                && matches!(
                    self.registry.stands(&here.name, seq, durable, at),
                    Stands::Closed(_)
                )
            {
                here.told.push(seq);
            }
        }
    }
}

fn subject(seq: u64) -> Subject {
    Subject::Owner(format!("owner-{seq}").parse().unwrap())
}

fn registry(names: &[PointName], now: u64) -> Registry {
    let known = names.iter().zip(1..).map(|(name, byte)| {
        let registration = bailiwick_core::point::Registration {
            name: name.clone(),
            ..registration()
        };
        (registration, Digest([byte; 32]))
    });
    Registry::new(known.collect(), Duration::from_millis(now))
}

#[test]
fn no_partition_delay_or_burst_lets_a_call_pass_too_late() {
    let (mut opened, mut lapsed) = (0, 0);
    for seed in 1..=16 {
        let mut course = Course::new(seed);
        while course.ms() < COURSE {
            course.step();
        }
        // When everything is well again, every point decides, and knows every fence.
        for here in &course.points {
            let known = here.replica.view(|state| state.fences().len());
            assert_eq!(known, Ok(course.fences.len()), "{} of {seed}", here.name);
        }
        opened += course.opened;
        lapsed += course.lapsed;
    }
    // It did go wrong, often, and was well again.
    assert!(lapsed > 20 && opened > 60, "{lapsed} {opened}");
}

/// Trap 10 of the identity design: what is held for ten seconds and then let go at once prolongs nothing.
#[test]
fn trap_10_delayed_heads() {
    let mut course = Course::new(99);
    // Nothing goes wrong by itself.
    let calm = COURSE - CALM;
    course.now.store(calm, Ordering::SeqCst);
    for here in &mut course.points {
        here.asks_at += calm;
    }
    let run = |course: &mut Course, ms: u64| {
        for _ in 0..ms {
            course.step();
        }
    };
    run(&mut course, 1_000);
    assert!(course.points.iter().all(|here| here.runs.is_some()));
    let now = course.ms();
    course.held = [now + 10_000; POINTS];
    course.fence(now);
    let durable = course.ms();
    run(&mut course, 2_500);
    for here in &course.points {
        assert!(here.replica.view(|_| ()).is_err());
        assert!(here.told.contains(&1));
    }
    // Everything that was held comes at once; `look` sees to it that nothing passes without the fence.
    run(&mut course, 9_000);
    assert!(course.ms() > durable + 10_000);
    for here in &course.points {
        assert_eq!(here.replica.view(|state| state.fences().len()), Ok(1));
        assert!(here.runs.is_some());
    }
}
