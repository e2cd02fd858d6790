//! What the log let go of goes from the index: the files of days before it, and who was seen on them.

use std::sync::atomic::{AtomicI64, Ordering};

use bailiwick_core::Timestamp;

use super::*;

/// 2023-11-14T22:13:20Z, in microseconds.
const THEN: i64 = 1_700_000_000_000_000;
const DAY: i64 = 24 * 3_600 * 1_000_000;

struct Moved(AtomicI64);

impl Clock for Moved {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        let moved = self.0.load(Ordering::SeqCst) - THEN;
        SystemClock.monotonic() + Duration::from_micros(moved.try_into().unwrap())
    }

    /// What passed while the log was closed counts.
    fn boot(&self) -> Option<String> {
        Some("the only one".into())
    }
}

impl Bench {
    /// Closes the log, lets time pass, and opens it again.
    async fn later(self, clock: &Arc<Moved>, days: i64) -> Self {
        self.log.close();
        let Self { dir, log } = self;
        drop(log);
        clock.0.fetch_add(days * DAY, Ordering::SeqCst);
        let clock: Arc<dyn Clock> = Arc::<Moved>::clone(clock);
        Self::open(dir, clock).await
    }

    /// Waits until it holds. Each event wakes the thread that prunes.
    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let end = SystemClock.monotonic() + Duration::from_mins(1);
        while !holds(self) {
            assert!(SystemClock.monotonic() < end, "not in a minute");
            self.record(1).await;
        }
    }

    /// Enough that what is before is behind the write-ahead log.
    async fn fill(&self) {
        for _ in 0..12 {
            let mut event = call(1);
            event.sealed[0].value = vec![b'v'; 200 << 10];
            self.log.record(event, Class::Grant).await.unwrap();
        }
    }
}

fn names(bench: &Bench) -> Vec<String> {
    let days = days(bench).into_iter();
    let mut names: Vec<String> = days
        .map(|day| day.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_that_the_log_let_go_of_leave_the_index() {
    let clock = Arc::new(Moved(AtomicI64::new(THEN)));
    let first: Arc<dyn Clock> = Arc::<Moved>::clone(&clock);
    let mut bench = Bench::open(tempfile::tempdir().unwrap(), first).await;
    bench.record(600).await;
    let old = bench.log.size();
    bench = bench.later(&clock, 2).await;
    bench.record(400).await;
    bench.fill().await;
    finish(&bench.indexer());
    assert_eq!(names(&bench), ["2023-11-14", "2023-11-16"]);
    // Announced a week ahead, and done when the week is over.
    bench = bench.later(&clock, 394).await;
    bench.record(300).await;
    bench.fill().await;
    let announced = |bench: &Bench| {
        let state = fs::read_to_string(bench.log.directory().path().join("state.json"));
        state.unwrap().contains("\"announced\":{")
    };
    // What is not behind the write-ahead log when it is looked at waits for another look.
    let minimum = |bench: &Bench| bench.log.directory().minimum().unwrap();
    for _ in 0..8 {
        bench
            .until(|bench| announced(bench) || minimum(bench) > old)
            .await;
        if minimum(&bench) > old {
            break;
        }
        bench = bench.later(&clock, 8).await;
        bench.until(|bench| !announced(bench)).await;
        bench = bench.later(&clock, 0).await;
    }
    // The first day is gone, of the second a part.
    let kept_from = minimum(&bench);
    assert!(kept_from > old);
    let indexer = bench.indexer();
    finish(&indexer);
    // The second day is not gone in part: its file stays as a whole.
    let left = names(&bench);
    assert_eq!(
        left.first().map(String::as_str),
        Some("2023-11-16"),
        "{left:?}"
    );
    assert_eq!(indexer.indexed(), bench.log.size());
    let of_old = |conditions: Conditions| {
        let found = indexer.search(conditions, None, 1_000).unwrap();
        assert_eq!(found.behind, None);
        found
            .events
            .into_iter()
            .filter(|entry| entry.index < kept_from)
            .count()
    };
    assert_eq!(of_old(Conditions::default()), 0);
    let bob = Conditions::default().and(Key::User, "usr_bob").unwrap();
    assert_eq!(of_old(bob), 0);
    // A rebuild finds the same.
    let kept = || {
        let mut answers = answers(&indexer.index().unwrap());
        for found in answers.values_mut() {
            found.retain(|leaf| *leaf >= kept_from);
        }
        answers
    };
    let before = kept();
    indexer.reindex().unwrap();
    finish(&indexer);
    assert_eq!(kept(), before);
    bench.log.close();
}
