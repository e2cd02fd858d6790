//! Two nodes on one database: what each may count on.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bailiwick_core::Clock as _;
use bailiwick_core::approval::ApprovalState;
use bailiwick_crypto::system::SystemClock;
use tokio::task::JoinSet;

use super::Bench;
use crate::conformance::fixture::{
    Witness, approval, at, digest, fence, id, instance, read, task, write,
};
use crate::{Observer, Store, StoreError};

/// A generous bound for what takes milliseconds.
const SOON: Duration = Duration::from_mins(1);

/// Waits until `store` has heard of `head`.
async fn hears(store: &Store, head: u64) {
    let waiting = async {
        while store.head() < head {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(SOON, waiting)
        .await
        .unwrap_or_else(|_| panic!("{head} was not heard of, only {}", store.head()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_of_eight_writers_on_two_nodes_has_no_gap() {
    const WRITES: u64 = 25;
    let bench = Bench::start();
    let stores = [bench.open("one"), bench.open("two")];
    let witnesses = stores.each_ref().map(Witness::of);
    let mut writers = JoinSet::new();
    for writer in 0..8_u64 {
        let store = stores[usize::try_from(writer % 2).unwrap()].clone();
        writers.spawn(async move {
            for round in 0..WRITES {
                let bits = u128::from(writer * WRITES + round + 1);
                let fails = round % 5 == 4;
                let wrote = write(&store, move |tx| {
                    let before = tx.head();
                    tx.put_task(&task(bits))?;
                    assert_eq!(tx.head(), before + 1);
                    if fails {
                        return Err(StoreError::Overloaded(0, "on purpose"));
                    }
                    Ok(tx.head())
                })
                .await;
                assert_eq!(wrote.is_err(), fails, "{wrote:?}");
                if let Ok(seq) = wrote {
                    // Whoever wrote has it told before it goes on, with everything before it.
                    assert!(store.head() >= seq);
                }
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    let committed = 8 * WRITES * 4 / 5;
    let feed = read(&stores[0], |db| db.changes(0, usize::MAX)).await;
    let sequences: Vec<u64> = feed.iter().map(|change| change.seq).collect();
    assert_eq!(sequences, (1..=committed).collect::<Vec<_>>());
    for (store, witness) in stores.iter().zip(&witnesses) {
        hears(store, committed).await;
        assert_eq!(witness.changes(), feed, "a node was told another feed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reservations_on_two_nodes_against_a_budget_of_a_hundred() {
    const BUDGET: u64 = 100;
    let bench = Bench::start();
    let stores = [bench.open("one"), bench.open("two")];
    let granted = Arc::new(AtomicU64::new(0));
    let mut calls = JoinSet::new();
    for call in 0..1_000_usize {
        let (store, granted) = (stores[call % 2].clone(), Arc::clone(&granted));
        calls.spawn(async move {
            let reserved = write(&store, |tx| {
                let used: u64 = tx
                    .meta("used")?
                    .map_or(0, |used| used.parse().unwrap_or(u64::MAX));
                if used >= BUDGET {
                    return Ok(false);
                }
                tx.put_meta("used", &(used + 1).to_string())?;
                Ok(true)
            });
            if reserved.await.unwrap() {
                granted.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap();
    }
    assert_eq!(granted.load(Ordering::Relaxed), BUDGET);
    let used = read(&stores[1], |db| db.meta("used")).await;
    assert_eq!(used, Some(BUDGET.to_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_is_used_once_and_a_proof_is_shown_once() {
    let bench = Bench::start();
    let stores = [bench.open("one"), bench.open("two")];
    write(&stores[0], |tx| {
        tx.put_task(&task(1))?;
        let mut approved = approval(1, 1, 1);
        approved.state = ApprovalState::Approved;
        tx.put_approval(&approved)
    })
    .await
    .unwrap();
    let mut tries = JoinSet::new();
    for call in 0..40_usize {
        let store = stores[call % 2].clone();
        tries.spawn(async move {
            let used = write(&store, |tx| {
                let mut live = tx
                    .live_approval_of_call(digest(1))?
                    .filter(|live| live.state == ApprovalState::Approved)
                    .ok_or(StoreError::Overloaded(0, "used"))?;
                live.state = ApprovalState::Consumed;
                live.version += 1;
                tx.put_approval(&live)
            });
            let used = used.await.is_ok();
            let spent = write(&store, |tx| tx.spend(digest(9), at(100))).await;
            if let Err(error) = &spent {
                assert!(matches!(error, StoreError::AlreadyExists { .. }), "{error}");
            }
            (used, spent.is_ok())
        });
    }
    let (mut used, mut spent) = (0, 0);
    while let Some(tried) = tries.join_next().await {
        let (has_used, has_spent) = tried.unwrap();
        used += usize::from(has_used);
        spent += usize::from(has_spent);
    }
    assert_eq!((used, spent), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fence_of_one_node_is_told_on_the_other() {
    let bench = Bench::start();
    let (one, two) = (bench.open("one"), bench.open("two"));
    let witness = Witness::of(&two);
    write(&one, |tx| tx.put_fence(&fence(1, "agent/coder", 1)))
        .await
        .unwrap();
    hears(&two, 1).await;
    assert_eq!(witness.changes().len(), 1);
    // And a snapshot there has it at once, told or not.
    write(&one, |tx| tx.put_fence(&fence(2, "agent/helper", 2)))
        .await
        .unwrap();
    assert_eq!(read(&two, |db| db.fences()).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_one_node_is_not_the_others() {
    let bench = Bench::start();
    let (one, two) = (bench.open("one"), bench.open("two"));
    // The same process id on both machines.
    for (store, bits) in [(&one, 1), (&two, 2)] {
        write(store, move |tx| {
            tx.put_instance(&instance(bits, 10, 0))?;
            tx.outbox_push(id(bits), b"sealed")
        })
        .await
        .unwrap();
    }
    for (store, bits) in [(&one, 1_u128), (&two, 2)] {
        let here = read(store, |db| db.instance_of_process(10, 77)).await;
        assert_eq!(here.map(|instance| instance.id), Some(id(bits)));
        let waiting = read(store, |db| db.outbox_pending(9)).await;
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].event, id(bits));
        assert_eq!(read(store, |db| db.outbox_len()).await, 1);
        assert_eq!(read(store, |db| db.live_instances()).await.len(), 2);
    }
}

/// Keeps until when everything was told.
#[derive(Default)]
struct Age(std::sync::Mutex<Duration>);

impl Age {
    fn told(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    async fn grows_beyond(&self, then: Duration) {
        let grows = async {
            while self.told() <= then {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(SOON, grows).await.unwrap();
    }
}

impl Observer for Age {
    fn committed(&self, _: &[bailiwick_core::change::Change]) {}

    fn told_until(&self, asked: Duration) {
        *self.0.lock().unwrap() = asked;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_has_an_age_that_grows_when_the_database_is_gone() {
    let mut bench = Bench::start();
    let store = bench.open("one");
    let age = Arc::new(Age::default());
    store.observe(age.clone());
    age.grows_beyond(Duration::ZERO).await;
    bench.server.kill();
    // Nothing answers from here on, so what was asked before is the last that counts.
    let last = age.told();
    let refused = write(&store, |tx| tx.put_meta("a", "b")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    assert!(age.told() <= last + Duration::from_secs(1));
    bench.server.run();
    age.grows_beyond(last).await;
    // The follower has a connection again; the writer opens its own.
    write(&store, |tx| tx.put_meta("a", "b")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_lost_the_database_to_another_knows_nothing_from_then_on() {
    let bench = Bench::start();
    let store = bench.open("one");
    let age = Arc::new(Age::default());
    store.observe(age.clone());
    age.grows_beyond(Duration::ZERO).await;
    // Another process waits for the claim, and has it the moment that the connection it lasts with is gone: as after a pause or a partition.
    let mut other = bench
        .server
        .client("bailiwick", &bench.server.password(), "bailiwick")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = other.stdin.take().unwrap();
    let claim =
        "SELECT pg_advisory_lock(hashtextextended('bailiwick node one', 0)); SELECT 'mine';";
    writeln!(input, "{claim}").unwrap();
    let holder = "FROM pg_locks WHERE locktype = 'advisory' AND granted";
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    while bench.sql(waits) == "0" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bench.sql(&format!(
        "SELECT DISTINCT pg_terminate_backend(pid) FROM (SELECT DISTINCT pid {holder}) AS held"
    ));
    let mut said = [0; 4];
    let mut output = other.stdout.take().unwrap();
    while said != *b"mine" {
        let mut byte = [0; 1];
        output.read_exact(&mut byte).unwrap();
        said.rotate_left(1);
        said[3] = byte[0];
    }
    let lost = SystemClock.monotonic();
    // The follower goes on asking, and what it hears counts no more.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(age.told() <= lost, "{:?} of {lost:?}", age.told());
    let refused = write(&store, |tx| tx.put_meta("a", "b")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    drop(input);
    other.wait().unwrap();
    age.grows_beyond(lost).await;
    write(&store, |tx| tx.put_meta("a", "b")).await.unwrap();
}
