//! What is opened, what is refused, and that one node migrates while others wait.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use bailiwick_core::{Code, Fault};

use super::Bench;
use crate::conformance::fixture::{read, task, write};
use crate::sql::MIGRATIONS;
use crate::{OpenError, PostgresStore, Store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_together_migrate_once_and_keep_everything() {
    let bench = Bench::start();
    let stores: Vec<Store> = std::thread::scope(|scope| {
        let opening: Vec<_> = ["one", "two", "three"]
            .map(|node| scope.spawn(|| bench.try_open(node, "bailiwick").unwrap()))
            .into_iter()
            .collect();
        opening
            .into_iter()
            .map(|opened| opened.join().unwrap())
            .collect()
    });
    write(&stores[0], |tx| tx.put_task(&task(1))).await.unwrap();
    drop(stores);
    let again = bench.open("one");
    assert_eq!(again.head(), 1);
    assert_eq!(read(&again, |db| db.open_tasks()).await, [task(1)]);
    assert_eq!(
        bench.sql("SELECT version FROM store_schema"),
        MIGRATIONS.len().to_string()
    );
}

#[test]
fn what_is_newer_or_somebody_elses_is_refused_untouched() {
    let bench = Bench::start();
    drop(bench.open("one"));
    bench.sql("UPDATE store_schema SET version = 99");
    let newer = bench.try_open("one", "bailiwick").unwrap_err();
    assert!(
        matches!(newer, OpenError::Newer { found: 99, .. }),
        "{newer}"
    );
    assert_eq!(bench.sql("SELECT version FROM store_schema"), "99");

    bench.create("theirs");
    bench.server.sql_in(
        "theirs",
        "CREATE SCHEMA bailiwick AUTHORIZATION bailiwick; CREATE TABLE bailiwick.x ()",
    );
    let foreign = bench.try_open("one", "theirs").unwrap_err();
    assert!(
        matches!(foreign, OpenError::ForeignSchema { .. }),
        "{foreign}"
    );
    assert_eq!(foreign.help(), "name a database of its own");

    bench
        .server
        .sql("CREATE DATABASE latin OWNER bailiwick ENCODING 'LATIN1' TEMPLATE template0");
    let latin = bench.try_open("one", "latin").unwrap_err();
    assert!(latin.to_string().contains("not UTF8"), "{latin}");
}

#[test]
fn a_server_that_lets_nobody_in_says_why_and_no_password() {
    let bench = Bench::start();
    let wrong = bench.dir.path().join("wrong");
    std::fs::write(&wrong, "hunter2\n").unwrap();
    std::fs::set_permissions(&wrong, Permissions::from_mode(0o600)).unwrap();
    let open = bench.dir.path().join("open");
    std::fs::write(&open, "hunter2").unwrap();
    std::fs::set_permissions(&open, Permissions::from_mode(0o640)).unwrap();
    let at = |password_file, url| PostgresStore {
        url,
        password_file,
        ..bench.at("one", "bailiwick")
    };
    let good = bench.at("one", "bailiwick").url;
    let missing = bench.dir.path().join("missing");
    for (password, url, why) in [
        (Some(wrong), good.clone(), "password authentication failed"),
        (Some(open), good.clone(), "others can read it (mode 640)"),
        (None, good.clone(), "password"),
        (Some(missing), good.clone(), "cannot be read"),
        (None, "postgresql://b@127.0.0.1:1/x".to_owned(), "refused"),
    ] {
        let refused = bench.open_at("one", &at(password, url)).unwrap_err();
        assert_eq!(refused.code(), Code::StoreUnavailable);
        let told = refused.problem().message;
        assert!(told.contains(why), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    let inside = at(None, "postgresql://b:hunter2@h/x".to_owned());
    let refused = bench.open_at("one", &inside).unwrap_err();
    assert_eq!(refused.code(), Code::ConfigInvalid);
    assert!(!refused.problem().message.contains("hunter2"));
}

#[test]
fn a_name_or_a_whole_database_is_one_processes() {
    let bench = Bench::start();
    let one = bench.open("one");
    // As a second machine would: the same name, another data directory.
    let impatient = |node, others| PostgresStore {
        others,
        patience: Duration::from_millis(300),
        ..bench.at(node, "bailiwick")
    };
    let (shared, alone) = (impatient("one", true), impatient("two", false));
    for wanted in [&shared, &alone] {
        let taken = bench.open_at("elsewhere", wanted).unwrap_err();
        assert!(matches!(taken, OpenError::NodeTaken { .. }), "{taken}");
    }
    drop(one);
    let patient = PostgresStore {
        patience: Duration::from_secs(20),
        ..alone
    };
    let held = bench.open_at("elsewhere", &patient).unwrap();
    let taken = bench
        .open_at("three", &impatient("three", true))
        .unwrap_err();
    assert!(matches!(taken, OpenError::NodeTaken { .. }), "{taken}");
    drop(held);
    bench.open("three");
}
