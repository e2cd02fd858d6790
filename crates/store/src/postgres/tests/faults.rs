//! Connections that are cut at the worst moment, transactions that the server gives up, databases that have gone back in time.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bailiwick_core::{Code, Fault};

use super::Bench;
use super::postgres::url;
use crate::conformance::fixture::{Witness, agent, read, task, write};
use crate::{PostgresStore, StoreError};

/// What the proxy does with commits.
const PASS: usize = 0;
/// The server gets it, the client never hears.
const LOSE_ANSWER: usize = 1;
/// The server never gets it.
const LOSE_COMMIT: usize = 2;

/// A door to the server's socket that cuts a connection at its next commit, once it is told to.
struct Proxy {
    dir: tempfile::TempDir,
    mode: Arc<AtomicUsize>,
}

impl Proxy {
    fn before(server: PathBuf) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("px")
            .tempdir_in("/tmp")
            .unwrap();
        let listener = UnixListener::bind(dir.path().join(".s.PGSQL.5432")).unwrap();
        let mode = Arc::new(AtomicUsize::new(PASS));
        let shared = Arc::clone(&mode);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let server = UnixStream::connect(server.join(".s.PGSQL.5432"));
                let (Ok(client), Ok(server)) = (client, server) else {
                    return;
                };
                let mode = Arc::clone(&shared);
                let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
                std::thread::spawn(move || upstream(client, server, &mode));
            }
        });
        Self { dir, mode }
    }
}

fn upstream(mut client: UnixStream, mut server: UnixStream, mode: &AtomicUsize) {
    let mut buffer = vec![0; 65_536];
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        let bytes = &buffer[..read];
        // A simple query: that is how only the engine itself speaks.
        let commits =
            bytes.first() == Some(&b'Q') && bytes.windows(6).any(|word| word == b"COMMIT");
        let writes = commits && bytes.windows(6).any(|word| word == b"NOTIFY");
        let cut = if writes {
            mode.swap(PASS, Ordering::SeqCst)
        } else {
            PASS
        };
        if cut == LOSE_COMMIT {
            break;
        }
        if cut == LOSE_ANSWER {
            // First the client's side, so that no answer gets through; then the server still commits.
            let _ = client.shutdown(std::net::Shutdown::Both);
        }
        if server.write_all(bytes).is_err() || cut == LOSE_ANSWER {
            break;
        }
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
    // What was written is still read there, then it is the end.
    let _ = server.shutdown(std::net::Shutdown::Write);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_counts_once() {
    let bench = Bench::start();
    let proxy = Proxy::before(bench.server.dir());
    let at = PostgresStore {
        url: url(proxy.dir.path(), "bailiwick", "bailiwick"),
        ..bench.at("one", "bailiwick")
    };
    let store = bench.open_at("one", &at).unwrap();
    let witness = Witness::of(&store);
    let mut version = 0;
    for cut in [LOSE_ANSWER, LOSE_COMMIT, LOSE_ANSWER, PASS, LOSE_COMMIT] {
        version += 1;
        let runs = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&runs);
        proxy.mode.store(cut, Ordering::SeqCst);
        let wrote = write(&store, move |tx| {
            counter.fetch_add(1, Ordering::SeqCst);
            tx.put_agent(&agent("coder", version))
        });
        wrote.await.unwrap();
        // Run again only where it is known that nothing was kept.
        let expected = if cut == LOSE_COMMIT { 2 } else { 1 };
        assert_eq!(runs.load(Ordering::SeqCst), expected, "cut {cut}");
        assert_eq!(store.head(), version);
    }
    let told: Vec<u64> = witness.changes().iter().map(|change| change.seq).collect();
    assert_eq!(told, (1..=version).collect::<Vec<_>>());
    assert_eq!(
        read(&store, |db| db.agents()).await,
        [agent("coder", version)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_gives_up_is_run_again_and_not_for_ever() {
    let bench = Bench::start();
    let store = bench.open("one");
    // Fails as a conflict would, as often as the sequence says: sequences are not rolled back.
    bench.sql(
        "CREATE SEQUENCE tries;
         CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF new.key = 'never' OR (new.key = 'third' AND nextval('bailiwick.tries') < 3) THEN
                 RAISE EXCEPTION 'on purpose' USING ERRCODE = 'serialization_failure';
             END IF;
             RETURN new; END $$;
         CREATE TRIGGER conflict BEFORE INSERT ON meta FOR EACH ROW EXECUTE FUNCTION conflict();
         GRANT USAGE ON SEQUENCE tries TO bailiwick",
    );
    write(&store, |tx| tx.put_meta("third", "1")).await.unwrap();
    assert_eq!(bench.sql("SELECT last_value FROM tries"), "3");
    let never = write(&store, |tx| {
        // Even where the closure makes nothing of it.
        let _ = tx.put_meta("never", "1");
        tx.put_task(&task(1))
    });
    let never = never.await.unwrap_err();
    assert_eq!(never.code(), Code::StoreUnavailable, "{never}");
    assert_eq!(read(&store, |db| db.open_tasks()).await, []);
    assert_eq!(store.head(), 0);
    write(&store, |tx| tx.put_task(&task(1))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_ended_between_writes_is_opened_again() {
    let bench = Bench::start();
    let store = bench.open("one");
    for version in 1..=3 {
        read(&store, |db| db.agents()).await;
        bench.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE application_name = 'bailiwick'",
        );
        write(&store, move |tx| tx.put_agent(&agent("coder", version)))
            .await
            .unwrap();
        assert_eq!(read(&store, |db| db.agents()).await[0].version, version);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_has_gone_back_is_not_written_to() {
    let bench = Bench::start();
    let store = bench.open("one");
    for bits in 1..=2 {
        write(&store, move |tx| tx.put_task(&task(bits)))
            .await
            .unwrap();
    }
    bench.sql("DELETE FROM change WHERE seq = 2; DELETE FROM task");
    let refused = write(&store, |tx| tx.put_task(&task(3))).await.unwrap_err();
    assert!(refused.to_string().contains("older copy"), "{refused}");
    assert_eq!(bench.sql("SELECT count(*) FROM task"), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_holds_the_lock_and_says_nothing_loses_it() {
    let bench = Bench::start();
    let store = bench.open("one");
    // As a node that was stopped in the middle of a transaction: its session has the bounds that every node's has.
    let holder = bench
        .server
        .client("bailiwick", &bench.server.password(), "bailiwick")
        .env(
            "PGOPTIONS",
            "-c search_path=bailiwick -c idle_in_transaction_session_timeout=1000",
        )
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn();
    let mut holder = holder.unwrap();
    let mut input = holder.stdin.take().unwrap();
    writeln!(
        input,
        "BEGIN; LOCK TABLE one_writer IN EXCLUSIVE MODE; SELECT 'held';"
    )
    .unwrap();
    let mut said = [0; 4];
    holder.stdout.take().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"held");
    write(&store, |tx| tx.put_task(&task(1))).await.unwrap();
    drop(input);
    holder.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_that_the_database_cannot_keep_is_refused_and_harms_nobody() {
    let bench = Bench::start();
    let store = bench.open("one");
    let (refused, kept) = tokio::join!(
        write(&store, |tx| tx.put_meta("a", "b\0c")),
        write(&store, |tx| tx.put_task(&task(1))),
    );
    let refused = refused.unwrap_err();
    assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
    kept.unwrap();
    assert_eq!(read(&store, |db| db.open_tasks()).await, [task(1)]);
}
