//! Hours across the change of the clocks; names that are none.

use super::{LocalHour, Zone};
use crate::Timestamp;

fn local(zone: &str, at: &str) -> (i64, i64) {
    let zone: Zone = zone.parse().unwrap();
    let at: Timestamp = at.parse().unwrap();
    let LocalHour { hour, weekday } = zone.local(at);
    (hour, weekday)
}

#[test]
fn hours_are_those_of_the_wall_there() {
    // Wednesday 2026-03-04 in winter time, Monday 2026-03-30 in summer time.
    assert_eq!(local("UTC", "2026-03-04T23:30:00Z"), (23, 2));
    assert_eq!(local("Europe/Berlin", "2026-03-04T23:30:00Z"), (0, 3));
    assert_eq!(local("Europe/Berlin", "2026-03-30T05:00:00Z"), (7, 0));
    assert_eq!(local("America/New_York", "2026-03-02T02:00:00Z"), (21, 6));
    // Half hours.
    assert_eq!(local("Asia/Kolkata", "2026-03-04T18:29:59Z"), (23, 2));
    assert_eq!(local("Asia/Kolkata", "2026-03-04T18:30:00Z"), (0, 3));
    // Before 1970, and what no calendar holds.
    assert_eq!(local("UTC", "1969-12-31T23:00:00Z"), (23, 2));
    let beyond = Zone::default().local(Timestamp::from_micros(i64::MAX));
    assert!((0..24).contains(&beyond.hour) && (0..7).contains(&beyond.weekday));
}

#[test]
fn what_is_no_zone_is_said() {
    for text in ["", "Europe/Berlni", "+01:00", "../etc/passwd", "\u{0}"] {
        assert!(text.parse::<Zone>().is_err(), "{text}");
    }
    assert_eq!(
        "europe/berlin".parse::<Zone>().unwrap().as_str(),
        "Europe/Berlin"
    );
    assert_eq!(Zone::default().to_string(), "UTC");
}
