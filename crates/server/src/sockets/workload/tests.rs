//! Bounds on connections to the Workload API.

use std::sync::Arc;

use super::{MAX_CONNECTIONS, MAX_OF_USER, Places};

#[test]
fn one_user_cannot_take_the_places_of_others() {
    let places = Arc::new(Places::default());
    let mut own: Vec<_> = (0..MAX_OF_USER)
        .map(|_| places.take(1000).unwrap())
        .collect();
    assert!(places.take(1000).is_none());
    assert!(places.take(1001).is_some());
    own.pop();
    assert!(places.take(1000).is_some());
}

#[test]
fn all_users_together_have_a_bound() {
    let places = Arc::new(Places::default());
    let users = u32::try_from(MAX_CONNECTIONS / MAX_OF_USER).unwrap();
    let all: Vec<_> = (0..users)
        .flat_map(|uid| (0..MAX_OF_USER).map(move |_| uid))
        .map(|uid| places.take(uid).unwrap())
        .collect();
    assert_eq!(all.len(), MAX_CONNECTIONS);
    assert!(places.take(9_999).is_none());
    drop(all);
    assert!(places.take(9_999).is_some());
}
