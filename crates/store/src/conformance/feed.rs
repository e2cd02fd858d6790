//! The feed and its observers under many writers; transactions that fail; snapshots.

use std::sync::mpsc;

use tokio::task::JoinSet;

use super::fixture::{Witness, agent, id, read, task, write};
use crate::{Store, StoreError};

const WRITERS: u64 = 64;
const WRITES: u64 = 8;

pub(crate) async fn feed_has_no_gap(store: &Store) {
    let witness = Witness::of(store);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            for round in 0..WRITES {
                let bits = u128::from(writer * WRITES + round + 1);
                // Every other one writes twice and fails: its sequences must be given to others.
                let fails = round % 2 == 1;
                let outcome = write(&store, move |tx| {
                    let before = tx.head();
                    tx.put_task(&task(bits))?;
                    assert_eq!(tx.head(), before + 1);
                    if fails {
                        tx.put_task(&task(bits))
                    } else {
                        Ok(())
                    }
                })
                .await;
                assert_eq!(outcome.is_err(), fails);
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    let committed = WRITERS * WRITES / 2;
    let stored = read(store, |db| db.changes(0, usize::MAX)).await;
    let sequences: Vec<u64> = stored.iter().map(|change| change.seq).collect();
    assert_eq!(sequences, (1..=committed).collect::<Vec<_>>());
    assert_eq!(witness.changes(), stored, "observers and the feed disagree");
    assert_eq!(store.head(), committed);
    assert_eq!(read(store, |db| Ok(db.head())).await, committed);
}

/// A change names the first event that its job puts on record after it.
pub(crate) async fn changes_name_their_events(store: &Store) {
    let witness = Witness::of(store);
    write(store, |tx| {
        tx.put_agent(&agent("first", 1))?;
        tx.put_agent(&agent("second", 1))?;
        tx.outbox_push(id(71), b"both")?;
        tx.outbox_push(id(72), b"nothing new")?;
        tx.put_agent(&agent("third", 1))?;
        tx.outbox_push(id(73), b"one")?;
        tx.put_agent(&agent("fourth", 1))
    })
    .await
    .unwrap();
    // What is taken back names nothing, and what comes after it in the same commit its own.
    let lost = write(store, |tx| {
        tx.put_agent(&agent("fifth", 1))?;
        tx.outbox_push(id(74), b"lost")?;
        tx.put_agent(&agent("fifth", 1))
    });
    let kept = write(store, |tx| {
        tx.put_agent(&agent("sixth", 1))?;
        tx.outbox_push(id(75), b"kept")
    });
    let (lost, kept) = tokio::join!(lost, kept);
    assert!(lost.is_err() && kept.is_ok());
    let stored = read(store, |db| db.changes(0, usize::MAX)).await;
    let events: Vec<_> = stored.iter().map(|change| change.event).collect();
    let told = [71, 71, 73].map(|bits| Some(id(bits)));
    assert_eq!(events, [&told[..], &[None, Some(id(75))]].concat());
    assert_eq!(witness.changes(), stored, "observers and the feed disagree");
}

pub(crate) async fn observers_see_commits_in_order(store: &Store) {
    let witness = Witness::of(store);
    for version in 1..=20 {
        write(store, move |tx| tx.put_agent(&agent("coder", version)))
            .await
            .unwrap();
        // Read your writes: observers, head and reads have it when the write resolves.
        assert_eq!(
            witness.changes().last().map(|change| change.seq),
            Some(version)
        );
        assert_eq!(store.head(), version);
        let coder = "coder".parse().unwrap();
        let stored = read(store, move |db| db.agent(&coder)).await;
        assert_eq!(stored.map(|agent| agent.version), Some(version));
    }
    write(store, |tx| tx.put_meta("quiet", "1")).await.unwrap();
    assert_eq!(
        witness.commits().len(),
        20,
        "a commit without changes was announced"
    );
}

pub(crate) async fn rolled_back_leaves_nothing(store: &Store) {
    let witness = Witness::of(store);
    let failed = write(store, |tx| {
        tx.put_task(&task(1))?;
        tx.outbox_push(id(1), b"event")?;
        Err::<(), _>(StoreError::Refused {
            kind: "test",
            key: String::new(),
            why: "on purpose",
        })
    })
    .await;
    assert!(matches!(
        failed,
        Err(StoreError::Refused { kind: "test", .. })
    ));
    let panicked = write(store, |tx| {
        tx.put_task(&task(2))?;
        assert!(tx.head() == 0, "on purpose");
        Ok(())
    })
    .await;
    assert_eq!(
        panicked,
        Err(StoreError::Defect(
            "a write panicked: on purpose".to_owned()
        ))
    );
    assert_eq!(read(store, |db| db.open_tasks()).await, []);
    assert_eq!(read(store, |db| db.outbox_len()).await, 0);
    assert_eq!((store.head(), witness.commits().len()), (0, 0));

    write(store, |tx| tx.put_task(&task(3))).await.unwrap();
    assert_eq!(witness.changes()[0].seq, 1);
}

pub(crate) async fn snapshots(store: &Store) {
    let (started, mut starts) = tokio::sync::mpsc::channel(1);
    let (go_on, wait) = mpsc::sync_channel::<()>(1);
    let reader = store.clone();
    let reader = tokio::spawn(async move {
        let read = reader.read::<_, StoreError, _>(move |db| {
            let before = (db.head(), db.open_tasks()?.len());
            started.blocking_send(()).unwrap();
            wait.recv().unwrap();
            Ok((before, (db.head(), db.open_tasks()?.len())))
        });
        read.await.unwrap()
    });
    starts.recv().await.unwrap();
    write(store, |tx| tx.put_task(&task(1))).await.unwrap();
    go_on.send(()).unwrap();
    assert_eq!(
        reader.await.unwrap(),
        ((0, 0), (0, 0)),
        "a read saw a commit made after it began"
    );
    assert_eq!(
        read(store, |db| Ok((db.head(), db.open_tasks()?.len()))).await,
        (1, 1)
    );
}
