//! What is shipped to a directory: the values of the unfinished bundle too, and keys that were wrapped anew however the rounds fall.

use std::fs;

use bailiwick_audit::erase::{Erasure, Selector};
use bailiwick_audit::seal::Kek;
use bailiwick_core::Secret;
use bailiwick_crypto::system::SystemClock;
use tempfile::TempDir;

use super::*;
use crate::indexer::tests::Bench;

const FIRST_KEYS: &str = "keys/000";

struct Shipping {
    bench: Bench,
    place: TempDir,
    shipper: Shipper,
}

impl Shipping {
    async fn of(calls: u64) -> Self {
        let bench = Bench::of(calls).await;
        let place = tempfile::tempdir().unwrap();
        let url = format!("file://{}", place.path().display());
        let shipper = Shipper::new(
            Place::open_to_read(&url, None, None).unwrap(),
            Duration::from_secs(1),
            Arc::clone(&bench.log),
            Arc::new(SystemClock),
        );
        Self {
            bench,
            place,
            shipper,
        }
    }

    /// Ships until everything that is on record now is there.
    async fn ship(&self) {
        let size = self.bench.log.size();
        let mut published = self.bench.log.published();
        let covered = published.wait_for(|covered| *covered >= size);
        let limit = Duration::from_mins(2);
        tokio::time::timeout(limit, covered).await.unwrap().unwrap();
        while self.shipper.round().await.unwrap() < size {}
    }

    fn there(&self, file: &Path) -> Option<Vec<u8>> {
        fs::read(self.place.path().join(file)).ok()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_were_wrapped_anew_are_there_however_the_rounds_fall() {
    let shipping = Shipping::of(300).await;
    shipping.ship().await;
    let keys = Path::new(FIRST_KEYS);
    let old = shipping.there(keys).unwrap();
    let newest = Kek {
        id: 2,
        key: Secret::new([8; 32]),
    };
    let rotating = {
        let log = Arc::clone(&shipping.bench.log);
        tokio::spawn(async move { log.rotate_kek(Some(newest), "system").await })
    };
    // Rounds before, between and behind its steps.
    while !rotating.is_finished() {
        shipping.shipper.round().await.unwrap();
    }
    rotating.await.unwrap().unwrap();
    // A round that read the file before it was wrapped anew may come last.
    fs::write(shipping.place.path().join(keys), &old).unwrap();
    shipping.shipper.rewrapped.store(true, Ordering::Relaxed);
    shipping.ship().await;
    shipping.shipper.round().await.unwrap();
    let now = shipping.there(keys).unwrap();
    let size = shipping.shipper.shipped().await.unwrap().unwrap().size;
    let here = shipping.bench.log.directory().unfinished(size).unwrap();
    assert_eq!(Some(&now), here.map(|here| here.keys.1).as_ref());
    assert_ne!(now, old);
    assert!(!shipping.shipper.rewrapped.load(Ordering::Relaxed));
    shipping.bench.log.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_values_are_there_and_go_when_they_are_erased() {
    let shipping = Shipping::of(10).await;
    shipping.ship().await;
    let there = shipping.shipper.shipped().await.unwrap().unwrap();
    let first = published::partial_payload(there.size).unwrap();
    let values = shipping.there(&first).unwrap();
    assert!(values.len() > 10 * 28, "{} bytes", values.len());
    // A reader gets them with the rest.
    let copy_dir = tempfile::tempdir().unwrap();
    let keys = shipping.bench.log.verifiers();
    let copied = copy(&shipping.shipper.place, copy_dir.path(), &keys, true);
    copied.await.unwrap();
    assert_eq!(fs::read(copy_dir.path().join(&first)).unwrap(), values);

    shipping.bench.record(20).await;
    shipping.ship().await;
    assert_eq!(shipping.there(&first), None, "the narrower one is left");
    let erasure = Erasure {
        selector: Selector::User("usr_bob".into()),
        basis: "request 17".into(),
        actor: "uid:0".into(),
        asked_by: None,
        besides: 0,
    };
    shipping.bench.log.erase(erasure).await.unwrap();
    shipping.ship().await;
    let there = shipping.shipper.shipped().await.unwrap().unwrap();
    let directory = shipping.bench.log.directory();
    let Unfinished { payload, keys } = directory.unfinished(there.size).unwrap().unwrap();
    let (file, left) = payload;
    assert_eq!(shipping.there(&file).unwrap_or_default(), left);
    let slots = shipping.there(Path::new(FIRST_KEYS)).unwrap();
    assert_eq!(slots, keys.1);
    assert!(
        slots
            .chunks(64)
            .filter(|slot| slot.iter().all(|byte| *byte == 0))
            .count()
            > 20
    );
    shipping.bench.log.close();
}
