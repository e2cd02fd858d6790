//! Compare-and-swap in a real store, which outlives its process.

use std::sync::Arc;

use bailiwick_store::Options;

use super::*;

const ORIGIN: &str = "example.org/node-1";

fn standing(epoch: u64, note: &str) -> Standing {
    Standing {
        epoch,
        note: Some(note.to_owned()),
    }
}

#[test]
fn what_is_remembered_outlives_the_process_and_changes_only_from_what_was_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (standing(1, "a\n"), standing(2, "b\n"));
    {
        let kept =
            StoredCheckpoints(Store::open(&dir.path().join("data"), Options::default()).unwrap());
        assert_eq!(kept.standing(ORIGIN).unwrap(), Standing::default());
        assert_eq!(kept.swap(ORIGIN, &Standing::default(), &first), Ok(true));
        assert_eq!(kept.swap(ORIGIN, &Standing::default(), &second), Ok(false));
        assert_eq!(kept.standing(ORIGIN).unwrap(), first);
    }
    let kept =
        StoredCheckpoints(Store::open(&dir.path().join("data"), Options::default()).unwrap());
    assert_eq!(kept.standing(ORIGIN).unwrap(), first);
    assert_eq!(kept.standing("example.org/node-2"), Ok(Standing::default()));
    assert_eq!(kept.swap(ORIGIN, &first, &second), Ok(true));
}

#[test]
fn of_many_that_swap_at_once_one_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("data"), Options::default()).unwrap();
    let kept = Arc::new(StoredCheckpoints(store));
    let racers: Vec<_> = (1..=8)
        .map(|epoch| {
            let kept = Arc::clone(&kept);
            std::thread::spawn(move || {
                kept.swap(ORIGIN, &Standing::default(), &standing(epoch, "n"))
            })
        })
        .collect();
    let won = racers.into_iter().map(|racer| racer.join().unwrap());
    assert_eq!(won.filter(|won| *won == Ok(true)).count(), 1);
}

#[test]
fn what_is_no_standing_is_not_taken_for_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("data"), Options::default()).unwrap();
    let key = key(ORIGIN);
    let put: Result<(), StoreError> = store.write_blocking(move |tx| tx.put_meta(&key, "{"));
    put.unwrap();
    let kept = StoredCheckpoints(store);
    kept.standing(ORIGIN).unwrap_err();
    kept.swap(ORIGIN, &Standing::default(), &standing(1, "n"))
        .unwrap_err();
}
