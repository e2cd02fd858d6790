//! The SQLite engine: conformance, group commit, full disks, and what it refuses to open.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use bailiwick_core::change::Change;
use bailiwick_core::{Code, Fault};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::conformance::each;
use crate::conformance::fixture::{Witness, agent, id, read, task, write};
use crate::{MAX_PAGE, MAX_QUEUED_WRITES, Observer, OpenError, Options, Store, StoreError};

/// One test per function of the suite.
macro_rules! on_files {
    ($($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let (store, _keep) = fresh();
            crate::conformance::$name(&store).await;
        }
    )*};
}
each! { on_files }

fn fresh() -> (Store, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (open(&dir).unwrap(), dir)
}

fn open(dir: &TempDir) -> Result<Store, OpenError> {
    Store::open(&dir.path().join("data"), Options::default())
}

fn raw(dir: &TempDir) -> Connection {
    Connection::open(dir.path().join("data/store.db")).unwrap()
}

/// Keeps the writer busy inside a write until told to go on.
struct Busy {
    go_on: mpsc::SyncSender<()>,
    write: tokio::task::JoinHandle<Result<(), StoreError>>,
}

impl Busy {
    async fn start(store: &Store) -> Self {
        let (started, mut starts) = tokio::sync::mpsc::channel(1);
        let (go_on, wait) = mpsc::sync_channel(1);
        let wait = std::sync::Mutex::new(wait);
        let store = store.clone();
        let write = tokio::spawn(async move {
            write(&store, move |_| {
                started.blocking_send(()).unwrap();
                wait.lock().unwrap().recv().unwrap();
                Ok(())
            })
            .await
        });
        starts.recv().await.unwrap();
        Self { go_on, write }
    }

    async fn end(self) {
        self.go_on.send(()).unwrap();
        self.write.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn one_commit_holds_many_writes_and_a_failing_one_undoes_only_itself() {
    let (store, _dir) = fresh();
    let witness = Witness::of(&store);
    let busy = Busy::start(&store).await;
    let (first, failed, panicked, last, ()) = tokio::join!(
        write(&store, |tx| tx.put_task(&task(1))),
        write(&store, |tx| tx
            .put_task(&task(2))
            .and_then(|()| tx.put_task(&task(2)))),
        write(&store, |tx| -> Result<(), StoreError> {
            tx.put_task(&task(3))?;
            panic!("on purpose")
        }),
        // Sees what the first one of the same commit wrote, and nothing of those that failed.
        write(&store, |tx| {
            tx.put_task(&task(4))?;
            Ok(tx
                .open_tasks()?
                .into_iter()
                .map(|task| task.id.bits())
                .collect::<Vec<_>>())
        }),
        busy.end(),
    );
    assert_eq!(first, Ok(()));
    assert!(matches!(failed, Err(StoreError::VersionConflict { .. })));
    assert!(matches!(panicked, Err(StoreError::Defect(_))));
    assert_eq!(last, Ok(vec![1, 4]));
    let commits = witness.commits();
    assert_eq!(commits.len(), 1, "the writes did not share a commit");
    assert_eq!(
        commits[0]
            .iter()
            .map(|change| change.seq)
            .collect::<Vec<_>>(),
        [1, 2]
    );
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let (store, _dir) = fresh();
    let busy = Busy::start(&store).await;
    let mut context = Context::from_waker(Waker::noop());
    let mut queued: Vec<_> = (0..MAX_QUEUED_WRITES)
        .map(|_| Box::pin(write(&store, |_| Ok(()))))
        .collect();
    assert!(
        queued
            .iter_mut()
            .all(|write| write.as_mut().poll(&mut context).is_pending())
    );
    let Poll::Ready(Err(refused)) = pin!(write(&store, |_| Ok(()))).poll(&mut context) else {
        panic!("one more than the bound was queued");
    };
    assert_eq!(refused.code(), Code::Overloaded);
    busy.end().await;
    for write in queued {
        write.await.unwrap();
    }
}

#[tokio::test]
async fn a_write_goes_on_when_its_caller_leaves() {
    let (store, _dir) = fresh();
    let busy = Busy::start(&store).await;
    let mut context = Context::from_waker(Waker::noop());
    {
        let left = pin!(write(&store, |tx| tx.put_task(&task(1))));
        assert!(left.poll(&mut context).is_pending());
    }
    busy.end().await;
    assert_eq!(write(&store, |tx| Ok(tx.open_tasks()?.len())).await, Ok(1));
}

#[tokio::test]
async fn a_commit_that_fails_fails_all_its_writes_and_nothing_is_observed() {
    let (store, dir) = fresh();
    // A deferred constraint is the one way to make COMMIT itself fail at will.
    raw(&dir)
        .execute_batch(
            "CREATE TABLE dangling (key TEXT REFERENCES meta (key) DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER poison AFTER INSERT ON meta WHEN new.key = 'poison'
             BEGIN INSERT INTO dangling VALUES ('nowhere'); END;",
        )
        .unwrap();
    let witness = Witness::of(&store);
    let busy = Busy::start(&store).await;
    let (innocent, poison, ()) = tokio::join!(
        write(&store, |tx| tx.put_task(&task(1))),
        write(&store, |tx| tx.put_meta("poison", "")),
        busy.end()
    );
    for outcome in [innocent, poison] {
        assert_eq!(outcome.unwrap_err().code(), Code::StoreUnavailable);
    }
    assert_eq!((store.head(), witness.commits().len()), (0, 0));
    assert_eq!(read(&store, |db| db.open_tasks()).await, []);

    write(&store, |tx| tx.put_task(&task(1))).await.unwrap();
    assert_eq!(witness.changes()[0].seq, 1);
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_space() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(
        &dir.path().join("data"),
        Options {
            max_pages: Some(150),
        },
    )
    .unwrap();
    let witness = Witness::of(&store);
    let mut events = 0_u128;
    let full = loop {
        events += 1;
        let pushed = write(&store, move |tx| {
            tx.put_task(&task(events))?;
            tx.outbox_push(id(events), &vec![0; 20_000])
        });
        match pushed.await {
            Ok(()) => assert!(events < 150, "the bound does not bind"),
            Err(error) => break error,
        }
    };
    assert_eq!(full.code(), Code::StoreUnavailable, "{full}");
    let head = u64::try_from(events - 1).unwrap();
    assert!(head > 5, "the disk was full from the start");
    assert_eq!(
        (store.head(), witness.changes().len()),
        (head, events as usize - 1)
    );
    assert_eq!(read(&store, move |db| db.task(id(events))).await, None);

    write(&store, |tx| tx.outbox_done(&[id(1), id(2)]))
        .await
        .unwrap();
    write(&store, move |tx| tx.put_task(&task(events)))
        .await
        .unwrap();
    assert_eq!(
        witness.changes().last().map(|change| change.seq),
        Some(head + 1)
    );
}

#[tokio::test]
async fn reopening_keeps_everything() {
    let (store, dir) = fresh();
    write(&store, |tx| {
        tx.put_task(&task(1))
            .and_then(|()| tx.put_agent(&agent("coder", 1)))
    })
    .await
    .unwrap();
    drop(store);
    let store = open(&dir).unwrap();
    assert_eq!(store.head(), 2);
    assert_eq!(read(&store, |db| db.task(id(1))).await, Some(task(1)));
    write(&store, |tx| tx.put_agent(&agent("coder", 2)))
        .await
        .unwrap();
    assert_eq!(read(&store, |db| db.changes(2, 9)).await[0].seq, 3);
}

#[tokio::test]
async fn the_lock_is_held_until_the_last_clone_is_gone() {
    let (store, dir) = fresh();
    let clone = store.clone();
    drop(store);
    let locked = open(&dir).unwrap_err();
    assert!(matches!(locked, OpenError::Locked { .. }), "{locked}");
    assert_eq!(locked.code(), Code::DataDir);
    assert!(locked.help().contains("stop the other process"));
    drop(clone);
    open(&dir).unwrap();
}

#[tokio::test]
async fn a_broken_observer_stops_neither_the_others_nor_the_store() {
    struct Broken;
    impl Observer for Broken {
        fn committed(&self, _: &[Change]) {
            panic!("on purpose")
        }
    }
    let (store, _dir) = fresh();
    store.observe(std::sync::Arc::new(Broken));
    let witness = Witness::of(&store);
    for bits in 1..=2 {
        write(&store, move |tx| tx.put_task(&task(bits)))
            .await
            .unwrap();
    }
    assert_eq!(witness.changes().len(), 2);
}

#[tokio::test]
async fn a_panicking_read_costs_no_connection() {
    let (store, _dir) = fresh();
    for _ in 0..10 {
        let outcome = store
            .read::<(), StoreError, _>(|_| panic!("on purpose"))
            .await;
        assert!(matches!(outcome, Err(StoreError::Defect(_))));
    }
    assert_eq!(read(&store, |db| db.outbox_len()).await, 0);
}

#[tokio::test]
async fn pages_have_a_bound() {
    let (store, _dir) = fresh();
    let more = u128::try_from(MAX_PAGE).unwrap() + 1;
    write(&store, move |tx| {
        (1..=more).try_for_each(|bits| tx.outbox_push(id(bits), b""))
    })
    .await
    .unwrap();
    assert_eq!(
        read(&store, |db| db.outbox_pending(usize::MAX)).await.len(),
        MAX_PAGE
    );
}

#[tokio::test]
async fn a_damaged_row_is_an_error_and_not_an_absence() {
    let (store, dir) = fresh();
    write(&store, |tx| tx.put_agent(&agent("coder", 1)))
        .await
        .unwrap();
    raw(&dir)
        .execute("UPDATE agent SET body = '{}'", [])
        .unwrap();
    let damaged = store
        .read::<_, StoreError, _>(|db| db.agents())
        .await
        .unwrap_err();
    assert!(
        matches!(damaged, StoreError::Damaged { kind: "agent", .. }),
        "{damaged}"
    );
}

#[tokio::test]
async fn instances_of_the_first_schema_are_still_there() {
    use bailiwick_core::instance::{Instance, Place};
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
    // As the first release wrote it.
    let body = r#"{"id":"inst_01h2xcejqtf2nbrexx3vqjhp41","agent":"coder","selectors":["unix:uid=1000"],"pid":10,"pid_start":77,
        "state":"live","born_seq":0,"attested_at":"2026-11-01T00:00:00Z"}"#;
    let old = raw(&dir);
    old.execute_batch(include_str!("../sql/migrations/0001_initial.sql"))
        .unwrap();
    old.execute(
        "INSERT INTO instance (id, agent, pid, pid_start, state, body)
         VALUES ('inst_01h2xcejqtf2nbrexx3vqjhp41', 'coder', 10, 77, 'live', ?1)",
        [body],
    )
    .unwrap();
    old.pragma_update(None, "application_id", 0x4241_494c)
        .unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    std::fs::set_permissions(data.join("store.db"), Permissions::from_mode(0o600)).unwrap();
    let store = open(&dir).unwrap();
    let known: Instance = read(&store, |db| db.instance_of_process(10, 77))
        .await
        .unwrap();
    let place = Place::Process {
        pid: 10,
        pid_start: 77,
    };
    assert_eq!(known.place, place);
    assert_eq!(read(&store, |db| db.live_instances()).await, [known]);
}

#[test]
fn a_newer_schema_is_refused_untouched() {
    let (store, dir) = fresh();
    drop(store);
    raw(&dir).pragma_update(None, "user_version", 99).unwrap();
    let newer = open(&dir).unwrap_err();
    assert!(
        matches!(
            newer,
            OpenError::Newer {
                found: 99,
                known: 10
            }
        ),
        "{newer}"
    );
    let version: i64 = raw(&dir)
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 99);
}

#[test]
fn a_foreign_database_is_refused_untouched() {
    let (store, dir) = fresh();
    drop(store);
    std::fs::remove_file(dir.path().join("data/store.db")).unwrap();
    raw(&dir).execute_batch("CREATE TABLE theirs (x)").unwrap();
    std::fs::set_permissions(
        dir.path().join("data/store.db"),
        Permissions::from_mode(0o600),
    )
    .unwrap();
    let foreign = open(&dir).unwrap_err();
    assert!(
        matches!(foreign, OpenError::Foreign { found: 0, .. }),
        "{foreign}"
    );
    let tables: i64 = raw(&dir)
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1);
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let (store, dir) = fresh();
    drop(store);
    std::fs::write(
        dir.path().join("data/store.db"),
        "not a database, but long enough to have a header".repeat(9),
    )
    .unwrap();
    let refused = open(&dir).unwrap_err();
    assert!(matches!(refused, OpenError::Database { .. }), "{refused}");
}

#[test]
fn what_others_could_read_is_refused() {
    let (store, dir) = fresh();
    let data = dir.path().join("data");
    for name in ["store.db", "store.db-wal", "store.db-shm", "LOCK"] {
        let mode = data.join(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    assert_eq!(data.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    drop(store);
    for (path, lax, tight) in [
        (data.clone(), 0o750, 0o700),
        (data.join("store.db"), 0o604, 0o600),
    ] {
        std::fs::set_permissions(&path, Permissions::from_mode(lax)).unwrap();
        let refused = open(&dir).unwrap_err();
        assert_eq!(
            refused.help(),
            format!("run: chmod {tight:03o} {}", path.display())
        );
        std::fs::set_permissions(&path, Permissions::from_mode(tight)).unwrap();
    }
    open(&dir).unwrap();
}
