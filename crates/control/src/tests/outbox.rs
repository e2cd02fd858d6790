//! `outbox_crash`: a node that stops at any step of carrying an event to the log. It gets there at least once, with the same content, and readers
//! see it once.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bailiwick_audit::read::Directory;
use bailiwick_audit::record::Recording;
use bailiwick_audit::seal::Kek;
use bailiwick_audit::{Class, Log, Options, Recorder};
use bailiwick_core::event::{Event, EventType, Sealed, SealedClass};
use bailiwick_core::{Id, Secret};
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::note::NoteSigner;
use bailiwick_crypto::seal::Seal;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use bailiwick_store::{Journal, Store};
use tokio::sync::Notify;

use crate::outbox::Outbox;

/// Where the node stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The row is committed, nothing is recorded.
    BeforeRecord,
    /// It is recorded and durable, the row is still there.
    BeforeDelete,
    /// The row is gone, nobody was told.
    AfterDelete,
}

/// A recorder that stops the node.
struct Failing {
    log: Arc<Log>,
    step: Step,
    reached: Arc<Notify>,
    recorded: Arc<Mutex<Vec<Event>>>,
}

impl Recorder for Failing {
    fn record(&self, event: Event, class: Class) -> Recording {
        let (log, step, reached) = (self.log.clone(), self.step, self.reached.clone());
        let recorded = self.recorded.clone();
        Box::pin(async move {
            if step == Step::BeforeRecord {
                reached.notify_one();
                std::future::pending::<()>().await;
            }
            let receipt = log.record(event.clone(), class).await?;
            recorded.lock().unwrap().push(event);
            if step == Step::BeforeDelete {
                reached.notify_one();
                std::future::pending::<()>().await;
            }
            Ok(receipt)
        })
    }
}

fn open_log(dir: &Path) -> Arc<Log> {
    let key = Ed25519Key::from_seed(&Secret::new([5; 32])).unwrap();
    let signer = NoteSigner::new("example.org/node-1", key).unwrap();
    let kek = Kek {
        id: 1,
        key: Secret::new([7; 32]),
    };
    let options = Options::new(
        dir.join("audit"),
        "node-1".into(),
        signer,
        kek,
        Arc::new(SystemClock),
        Arc::new(SystemRng),
    );
    let log = Log::open(Options {
        segment_size: 2 << 20,
        min_free: 0,
        ..options
    });
    Arc::new(log.unwrap())
}

fn granting(value: &[u8]) -> Event {
    let id = Id::new(&SystemClock, &SystemRng);
    Event {
        sealed: vec![Sealed {
            path: "/request",
            class: SealedClass::Content,
            value: value.to_vec(),
            keep: true,
        }],
        ..Event::new(id, EventType::TaskOpened)
    }
}

async fn stops_at(step: Step) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    let seal = Arc::new(Seal::create(&dir.path().join("seal.key"), &SystemRng).unwrap());
    let open = || Store::open(&data, bailiwick_store::Options::default()).unwrap();
    let event = granting(b"words that are sealed");

    let store = open();
    let log = open_log(&data);
    let (reached, recorded) = (Arc::new(Notify::new()), Arc::default());
    let failing = Failing {
        log: log.clone(),
        step,
        reached: reached.clone(),
        recorded: Arc::clone(&recorded),
    };
    let outbox = Outbox::new(
        store.clone(),
        Arc::new(failing),
        seal.clone(),
        Arc::new(SystemRng),
    );
    let (journal, pushed) = (outbox.clone(), event.clone());
    store
        .write(move |tx| journal.push(tx, &pushed))
        .await
        .map_err(|error: bailiwick_store::StoreError| error)
        .unwrap();
    let carrying = outbox.clone();
    let running = tokio::spawn(async move { carrying.run(std::future::pending()).await });
    let granted = outbox.settled();
    if step == Step::AfterDelete {
        // The grant has its receipt, and is about to leave.
        granted.await.unwrap();
    } else {
        reached.notified().await;
        let waiting = tokio::time::timeout(Duration::from_millis(50), granted).await;
        assert!(waiting.is_err(), "{step:?}: granted before it is on record");
    }
    // The process is gone: nothing of it goes on, and nothing is written at its end.
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    drop((outbox, store));
    log.close();
    drop(log);

    let store = open();
    let log = open_log(&data);
    let outbox = Outbox::new(
        store.clone(),
        Arc::new(log.clone()),
        seal,
        Arc::new(SystemRng),
    );
    let carrying = outbox.clone();
    let running = tokio::spawn(async move { carrying.run(std::future::pending()).await });
    outbox.settled().await.unwrap();
    let left = store
        .read(|rows| rows.outbox_pending(10))
        .await
        .map_err(|error: bailiwick_store::StoreError| error)
        .unwrap();
    assert!(left.is_empty(), "{step:?}");
    running.abort();
    let on_record: Vec<_> = Directory::new(data.join("audit"))
        .entries(0)
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.index, entry.parse().unwrap().event))
        .filter(|(_, found)| found.id == event.id)
        .collect();
    let times = if step == Step::BeforeDelete { 2 } else { 1 };
    assert_eq!(on_record.len(), times, "{step:?}");
    let bare = Event {
        sealed: Vec::new(),
        ..event.clone()
    };
    let kek = Kek {
        id: 1,
        key: Secret::new([7; 32]),
    };
    for (index, found) in &on_record {
        assert_eq!(*found, bare, "{step:?}");
        let values = log
            .directory()
            .reveal(*index, std::slice::from_ref(&kek))
            .unwrap();
        assert_eq!(values[0].value.expose(), b"words that are sealed");
    }
    // Who recorded it the first time recorded the same.
    assert!(recorded.lock().unwrap().iter().all(|first| *first == event));
    // A reader finds the first of them.
    let found = log.directory().find(event.id).unwrap().unwrap();
    assert_eq!(found.index, on_record[0].0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outbox_crash() {
    for step in [Step::BeforeRecord, Step::BeforeDelete, Step::AfterDelete] {
        stops_at(step).await;
    }
}
