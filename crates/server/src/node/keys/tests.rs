//! The wrapping key over months, with a real store and a real log.

use std::path::Path;
use std::sync::Arc;

use bailiwick_audit::{Class, Options as LogOptions, Recorder};
use bailiwick_core::event::{Event, EventType, Sealed, SealedClass};
use bailiwick_core::{Clock, Code, Fault, Id};
use bailiwick_crypto::note::NoteSigner;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use bailiwick_store::Options as StoreOptions;

use super::*;

const DAY: Duration = Duration::from_hours(24);

fn open(dir: &Path, keks: Keks) -> Log {
    let signer = NoteSigner::new(
        "example.org/n",
        Ed25519Key::from_seed(&Secret::new([7; 32])).unwrap(),
    )
    .unwrap();
    Log::open(LogOptions {
        segment_size: 2 << 20,
        min_free: 0,
        publish_every: Duration::from_millis(5),
        older_keks: keks.older,
        ..LogOptions::new(
            dir.to_owned(),
            "n".into(),
            signer,
            keks.newest,
            Arc::new(SystemClock),
            Arc::new(SystemRng),
        )
    })
    .unwrap()
}

fn intent(value: &[u8]) -> Event {
    Event {
        sealed: vec![Sealed {
            path: "/args",
            class: SealedClass::Content,
            value: value.to_vec(),
            keep: true,
        }],
        ..Event::new(Id::new(&SystemClock, &SystemRng), EventType::ToolIntent)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrapping_key_is_replaced_after_thirty_days_and_the_old_one_is_destroyed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("data"), StoreOptions::default()).unwrap();
    let seal = Seal::open_or_create(&dir.path().join("seal.key"), &SystemRng).unwrap();
    let start = SystemClock.wall();
    let first = keks(&store, &seal, start, &SystemRng).await.unwrap();
    let old = first.newest.clone();
    assert_eq!((first.newest.id, first.older.len()), (1, 0));
    let log = open(&dir.path().join("audit"), first);
    let receipt = log.record(intent(b"value"), Class::Grant).await.unwrap();
    let renew = async |days: u32| {
        let now = start.plus(DAY * days);
        renew_kek(&store, &seal, &log, now, &SystemRng)
            .await
            .unwrap();
        keks(&store, &seal, now, &SystemRng).await.unwrap()
    };
    assert_eq!(renew(29).await.newest.id, 1);
    let held = renew(30).await;
    assert_eq!((held.newest.id, held.older.len()), (2, 0));
    let opened = |keks: &[Kek]| log.directory().reveal(receipt.index, keks);
    assert_eq!(opened(&[old]).unwrap_err().code(), Code::SealLocked);
    assert_eq!(opened(&[held.newest]).unwrap()[0].value.expose(), b"value");
    assert_eq!(renew(59).await.newest.id, 2);
    assert_eq!(renew(60).await.newest.id, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_that_a_stop_interrupted_is_finished_with_both_keys_at_hand() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("data"), StoreOptions::default()).unwrap();
    let seal = Seal::open_or_create(&dir.path().join("seal.key"), &SystemRng).unwrap();
    let now = SystemClock.wall();
    let first = keks(&store, &seal, now, &SystemRng).await.unwrap();
    let log = open(&dir.path().join("audit"), first);
    let receipt = log.record(intent(b"value"), Class::Grant).await.unwrap();
    drop(log);
    // The new key was stored, and the node stopped.
    let mut kept = kept_keks(&store, now).await.unwrap();
    kept.insert(0, new_kek(&seal, 2, now, &SystemRng).unwrap());
    keep(&store, &kept).await.unwrap();
    let both = keks(&store, &seal, now, &SystemRng).await.unwrap();
    assert_eq!((both.newest.id, both.older.len()), (2, 1));
    let log = open(&dir.path().join("audit"), both);
    renew_kek(&store, &seal, &log, now, &SystemRng)
        .await
        .unwrap();
    let held = keks(&store, &seal, now, &SystemRng).await.unwrap();
    assert_eq!((held.newest.id, held.older.len()), (2, 0));
    let opened = log.directory().reveal(receipt.index, &[held.newest]);
    assert_eq!(opened.unwrap()[0].value.expose(), b"value");
}

#[tokio::test]
async fn the_first_form_of_the_key_is_still_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("data"), StoreOptions::default()).unwrap();
    let seal = Seal::open_or_create(&dir.path().join("seal.key"), &SystemRng).unwrap();
    let now = SystemClock.wall();
    let only = new_kek(&seal, 1, now, &SystemRng).unwrap();
    let sealed = only.sealed.clone();
    let put = store.write(move |tx| tx.put_meta(KEK, &sealed));
    put.await.map_err(|error: StoreError| error).unwrap();
    let held = keks(&store, &seal, now, &SystemRng).await.unwrap();
    let expected = open_kek(&seal, &only).unwrap();
    assert_eq!(held.newest.key.expose(), expected.key.expose());
}
