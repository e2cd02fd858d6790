//! Times as people write them.

use super::*;

#[test]
fn a_time_is_an_instant_a_time_of_today_or_so_long_ago() {
    let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    let is = |text: &str, wanted: &str| {
        assert_eq!(
            instant(text, now).unwrap(),
            wanted.parse().unwrap(),
            "{text}"
        );
    };
    is("2026-11-22T09:00:00Z", "2026-11-22T09:00:00Z");
    is("09:00", "2026-11-23T09:00:00Z");
    is("09:00:30", "2026-11-23T09:00:30Z");
    is("30m", "2026-11-23T11:30:00Z");
    is("24h", "2026-11-22T12:00:00Z");
    is("7d", "2026-11-16T12:00:00Z");
    for wrong in ["", "x", "7", "7w", "25:99", "é", "-1h"] {
        assert!(instant(wrong, now).is_err(), "{wrong}");
    }
}
