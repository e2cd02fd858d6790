//! Once each, for as long as it counts, and never by forgetting.

use std::time::Duration;

use super::{Replay, ReplayStore};

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn two_owners_may_use_the_same_jti() {
    let store = ReplayStore::new(8, MINUTE);
    let late = Duration::from_secs(59);
    store.admit("one", "j", Duration::ZERO).unwrap();
    store.admit("two", "j", Duration::ZERO).unwrap();
    store.admit("on", "ej", Duration::ZERO).unwrap();
    assert_eq!(store.admit("one", "j", late), Err(Replay::Known));
    store.admit("one", "j", MINUTE).unwrap();
}

#[test]
fn a_full_memory_refuses_instead_of_forgetting() {
    let store = ReplayStore::new(2, MINUTE);
    let late = Duration::from_secs(59);
    store.admit("one", "a", Duration::ZERO).unwrap();
    store.admit("one", "b", Duration::from_secs(30)).unwrap();
    assert_eq!(store.admit("one", "c", late), Err(Replay::Full));
    assert_eq!(
        store.admit("one", "a", late),
        Err(Replay::Known),
        "still remembered"
    );
    store.admit("one", "c", MINUTE).unwrap();
}
