//! From a file to a database: everything arrives, nothing is taken over something else, and what differs is not kept.

use std::path::PathBuf;

use bailiwick_core::{Code, Fault};

use super::Bench;
use crate::conformance::fixture::{
    account, agent, approval, at, child, digest, id, instance, item, lease, read, server, task,
    tool, write,
};
use crate::{
    Copied, KeyClass, KeyPublic, KeyRow, KeyState, Options, Store, TransferError, transfer,
};

/// A store in a file with something in most tables, its directory, and its feed's end.
async fn file(bench: &Bench) -> (PathBuf, u64) {
    let dir = bench.dir.path().join("file");
    let store = Store::open(&dir, Options::default()).unwrap();
    write(&store, |tx| {
        tx.put_agent(&agent("coder", 1))?;
        tx.put_instance(&instance(1, 10, 0))?;
        // A child whose id sorts before its parent's.
        tx.put_task(&task(9))?;
        tx.put_task(&child(2, &task(9)))?;
        (100..1_200).try_for_each(|bits| tx.put_task(&task(bits)))?;
        tx.put_server(&server("github", 1))?;
        tx.put_tool(&tool("github/merge", 1))?;
        tx.put_item(&item("github", 7, 1))?;
        tx.put_approval(&approval(3, 1, 9))?;
        tx.put_lease(&lease(4, 9))?;
        tx.put_account(&account(5, "anna"))?;
        tx.spend(digest(6), at(100))?;
        tx.put_meta("epoch", "7")?;
        tx.outbox_push(id(8), &[0, 1, 254, 255])?;
        tx.put_key(&KeyRow {
            kid: "k".to_owned(),
            class: KeyClass::ALL[0],
            sealed_private: vec![0, 1],
            public: KeyPublic::Certificate(vec![0, 255]),
            state: KeyState::Active,
            created_at: at(1),
            not_after: at(2),
        })
    })
    .await
    .unwrap();
    (dir, store.head())
}

impl Bench {
    fn transfer(&self, dir: &std::path::Path) -> Result<Vec<Copied>, TransferError> {
        let to = self.at("one", "bailiwick");
        std::thread::scope(|scope| scope.spawn(|| transfer(dir, &to)).join().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_copied_whole_and_only_into_an_empty_database() {
    let bench = Bench::start();
    let (dir, head) = file(&bench).await;
    let copied = bench.transfer(&dir).unwrap();
    let rows = |table: &str| {
        copied
            .iter()
            .find(|copied| copied.table == table)
            .unwrap()
            .rows
    };
    assert_eq!(
        (rows("task"), rows("change"), rows("session")),
        (1_102, head, 0)
    );
    for copied in &copied {
        let there = bench.sql(&format!("SELECT count(*) FROM {}", copied.table));
        assert_eq!(there, copied.rows.to_string(), "{}", copied.table);
    }

    let (old, new) = (
        Store::open(&dir, Options::default()).unwrap(),
        bench.open("one"),
    );
    assert_eq!(new.head(), head);
    for from in [0, head - 1] {
        let changes = async |store| read(store, move |db| db.changes(from, usize::MAX)).await;
        assert_eq!(changes(&old).await, changes(&new).await);
    }
    let keys = async |store| read(store, |db| db.keys(KeyClass::ALL[0])).await;
    assert_eq!(keys(&old).await, keys(&new).await);
    // What was the one node's is that node's.
    assert_eq!(read(&new, |db| db.outbox_len()).await, 1);
    assert!(
        read(&new, |db| db.instance_of_process(10, 77))
            .await
            .is_some()
    );
    write(&new, |tx| tx.put_agent(&agent("coder", 2)))
        .await
        .unwrap();
    drop((old, new));

    let again = bench.transfer(&dir).unwrap_err();
    assert!(matches!(again, TransferError::NotEmpty { .. }), "{again}");
    assert_eq!(again.code(), Code::Conflict);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_differs_is_not_kept() {
    let bench = Bench::start();
    let (dir, _) = file(&bench).await;
    drop(bench.open("one"));
    // As a column that cannot keep what it is given would.
    bench.sql(
        "CREATE FUNCTION alter_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             new.body := replace(new.body, 'Fix', 'fix'); RETURN new; END $$;
         CREATE TRIGGER alter_it BEFORE INSERT ON task FOR EACH ROW EXECUTE FUNCTION alter_it()",
    );
    let differs = bench.transfer(&dir).unwrap_err();
    assert!(
        matches!(&differs, TransferError::Differs { table, here: 1_102, there: 1_102, .. } if table == "task"),
        "{differs}"
    );
    assert_eq!(bench.sql("SELECT count(*) FROM task"), "0");
    assert_eq!(bench.sql("SELECT count(*) FROM agent"), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_has_open_is_not_copied() {
    let bench = Bench::start();
    let (dir, _) = file(&bench).await;
    let held = Store::open(&dir, Options::default()).unwrap();
    let refused = bench.transfer(&dir).unwrap_err();
    assert_eq!(refused.code(), Code::DataDir, "{refused}");
    drop(held);
    bench.transfer(&dir).unwrap();
}
