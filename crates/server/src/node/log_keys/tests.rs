//! A new key for a log, with a real store, outbox and log, and every place where a stop can come.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use bailiwick_audit::seal::Kek;
use bailiwick_audit::verify::verify;
use bailiwick_audit::{Options as LogOptions, Recorder};
use bailiwick_control::outbox::Outbox;
use bailiwick_core::Secret;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use bailiwick_store::Options as StoreOptions;
use tempfile::TempDir;

use super::*;

const ORIGIN: &str = "example.org/n";
const DAY: Duration = Duration::from_hours(24);

/// The machine's clock, moved on.
#[derive(Default)]
struct Later {
    micros: AtomicI64,
    /// Only the wall clock is.
    jumped: AtomicI64,
}

impl Later {
    fn moved(by: &AtomicI64) -> Duration {
        Duration::from_micros(by.load(Ordering::SeqCst).unsigned_abs())
    }

    fn add(by: &AtomicI64, time: Duration) {
        by.fetch_add(i64::try_from(time.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Later {
    fn wall(&self) -> Timestamp {
        let moved = Self::moved(&self.micros) + Self::moved(&self.jumped);
        SystemClock.wall().plus(moved)
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic() + Self::moved(&self.micros)
    }

    fn boot(&self) -> Option<String> {
        SystemClock.boot()
    }
}

/// A data directory and a clock.
struct Home {
    dir: TempDir,
    clock: Arc<Later>,
}

/// A running log with its keys.
struct Running {
    keys: LogKeys,
    log: Arc<Log>,
    outbox: Arc<Outbox>,
}

impl Home {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Arc::default(),
        }
    }

    fn audit(&self) -> std::path::PathBuf {
        self.dir.path().join("audit")
    }

    async fn open(&self) -> Running {
        let data = self.dir.path().join("data");
        let store = Store::open(&data, StoreOptions::default()).unwrap();
        let seal = Seal::open_or_create(&self.dir.path().join("seal.key"), &SystemRng).unwrap();
        let seal = Arc::new(seal);
        let now = self.clock.wall();
        let held = held(&store, &seal, ORIGIN, now, &SystemRng).await.unwrap();
        let kek = Kek {
            id: 1,
            key: Secret::new([1; 32]),
        };
        let log = Log::open(LogOptions {
            segment_size: 2 << 20,
            min_free: 0,
            publish_every: Duration::from_millis(5),
            older_signers: held.older,
            former: held.former,
            ..LogOptions::new(
                self.audit(),
                "n".into(),
                held.newest,
                kek,
                self.clock.clone(),
                Arc::new(SystemRng),
            )
        });
        let log = Arc::new(log.unwrap());
        let recorder: Arc<dyn Recorder> = log.clone();
        let outbox = Outbox::new(store.clone(), recorder, seal.clone(), Arc::new(SystemRng));
        let keys = LogKeys::new(
            store.clone(),
            seal.clone(),
            outbox.clone(),
            log.clone(),
            (self.clock.clone(), Arc::new(SystemRng)),
        );
        Running { keys, log, outbox }
    }

    /// Whether the newest checkpoint verifies with a key.
    fn verifies(&self, vkey: &str) -> bool {
        let key = NoteVerifier::from_vkey(vkey).unwrap();
        match verify(&self.audit(), &[key]).exit_code() {
            0 => true,
            6 => false,
            other => panic!("{other}"),
        }
    }
}

impl Running {
    /// With the outbox carried on meanwhile.
    async fn carrying<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            () = self.outbox.run(std::future::pending()) => unreachable!(),
            done = work => done,
        }
    }

    async fn rotate(&self) -> Result<Former, Problem> {
        self.carrying(self.keys.rotate(&Actor::unix(0))).await
    }

    async fn look(&self) {
        self.carrying(self.keys.look()).await.unwrap();
    }

    /// The vkeys that `log.key_rotated` events name: before and after.
    fn on_record(&self) -> Vec<(String, String)> {
        // The outbox is cut off wherever these tests end it: an event may be there twice, with one id.
        let mut seen = std::collections::BTreeSet::new();
        let leaves = self
            .log
            .read(0)
            .map(|entry| entry.unwrap().parse().unwrap().event);
        leaves
            .filter(|event| event.kind == EventType::LogKeyRotated)
            .filter(|event| seen.insert(event.id.to_string()))
            .map(|event| event.change.unwrap())
            .map(|change| (change.before.unwrap(), change.after.unwrap()))
            .collect()
    }

    /// Private parts that the store has.
    async fn private(&self) -> usize {
        let rows = self.keys.rows().await.unwrap();
        rows.iter().filter(|row| signs(row)).count()
    }
}

fn close(running: Running) {
    running.log.close();
    drop(running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_signs_beside_the_old_one_for_a_week_and_then_alone() {
    let home = Home::new();
    let node = home.open().await;
    let old = node.log.vkey();
    let former = node.rotate().await.unwrap();
    let new = node.log.vkey();
    assert_eq!(former.vkey, old);
    assert_ne!(new, old);
    assert_eq!(node.on_record(), [(old.clone(), new.clone())]);
    assert_eq!(node.rotate().await.unwrap_err().code, Code::Conflict);
    close(node);
    for key in [&old, &new] {
        assert!(home.verifies(key), "{key}");
    }

    // A clock that is set ahead does not end the week.
    let node = home.open().await;
    Later::add(&home.clock.jumped, DAY * 30);
    node.look().await;
    assert_eq!(node.private().await, 2);
    home.clock.jumped.store(0, Ordering::SeqCst);
    Later::add(&home.clock.micros, DAY * 6);
    node.look().await;
    assert_eq!((node.private().await, node.log.signing().len()), (2, 2));
    Later::add(&home.clock.micros, DAY * 2);
    node.look().await;
    assert_eq!((node.private().await, node.log.signing().len()), (1, 1));
    assert_eq!(node.keys.former().await.unwrap(), None);
    close(node);
    assert!(home.verifies(&new) && !home.verifies(&old));

    // The log opens with what is left, and can get a third key.
    let node = home.open().await;
    assert_eq!(node.log.verifiers().len(), 2);
    node.rotate().await.unwrap();
    assert_eq!(node.on_record().len(), 2);
    close(node);
    assert!(home.verifies(&new));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_that_a_stop_interrupts_is_finished() {
    let home = Home::new();
    let node = home.open().await;
    let old = node.log.vkey();
    // The transaction is committed, and the node stops before the event is on record.
    let until = node.log.earliest().plus(OVERLAP);
    node.keys.replace(&Actor::unix(0), until).await.unwrap();
    assert_eq!(node.log.vkey(), old, "it signs before that is on record");
    close(node);
    assert!(home.verifies(&old));
    let node = home.open().await;
    assert_eq!(node.log.signing().len(), 2);
    node.look().await;
    let new = node.log.vkey();
    node.carrying(async { node.keys.journal.settled().await.unwrap() })
        .await;
    assert_eq!(node.on_record(), [(old.clone(), new.clone())]);
    close(node);
    assert!(home.verifies(&old) && home.verifies(&new));

    // It stops after the time is over and before the private part is destroyed.
    Later::add(&home.clock.micros, DAY * 8);
    let node = home.open().await;
    node.log.drop_older_keys();
    close(node);
    let node = home.open().await;
    assert_eq!(node.private().await, 2);
    node.look().await;
    assert_eq!(node.private().await, 1);
    close(node);
    assert!(home.verifies(&new));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_does_not_take_the_event_does_not_get_the_key() {
    let home = Home::new();
    let node = home.open().await;
    let old = node.log.vkey();
    let until = node.log.earliest().plus(OVERLAP);
    node.keys.replace(&Actor::unix(0), until).await.unwrap();
    // The log has stopped: the outbox keeps the event, and nothing signs with the key.
    node.log.close();
    let looked = node.carrying(node.keys.look()).await;
    assert_eq!(looked.unwrap_err().code, Code::AuditUnavailable);
    assert_eq!(node.log.vkey(), old);
    drop(node);
    let node = home.open().await;
    node.look().await;
    assert_ne!(node.log.vkey(), old);
    close(node);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_destroyed_key_is_in_no_file() {
    let home = Home::new();
    let node = home.open().await;
    let sealed = node.keys.rows().await.unwrap().remove(0).sealed_private;
    node.rotate().await.unwrap();
    Later::add(&home.clock.micros, DAY * 8);
    node.look().await;
    let data = home.dir.path().join("data");
    close(node);
    let holds = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(sealed.len()).any(|window| window == sealed)
    };
    for file in std::fs::read_dir(data).unwrap() {
        let file = file.unwrap().path();
        assert!(!file.is_file() || !holds(&file), "{}", file.display());
    }
}
