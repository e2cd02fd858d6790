//! The system sources do what their traits promise.

use bailiwick_core::{Clock, Timestamp};

use super::{SystemClock, SystemRng, random};

#[test]
fn the_clock_is_plausible_and_boot_time_does_not_fall() {
    let wall = SystemClock.wall();
    assert!(wall > Timestamp::from_secs(1_700_000_000), "{wall}");
    assert!(wall < Timestamp::from_secs(4_000_000_000), "{wall}");
    let first = SystemClock.monotonic();
    assert!(!first.is_zero());
    assert!(SystemClock.monotonic() >= first);
}

#[test]
fn random_bytes_differ() {
    assert_ne!(random::<32>(&SystemRng), random::<32>(&SystemRng));
}
