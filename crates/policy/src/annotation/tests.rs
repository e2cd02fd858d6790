//! What annotations accept, and the times, counts and rates in them.

use super::*;

#[test]
fn times_and_rates() {
    assert_eq!(duration("5m"), Some(Duration::from_mins(5)));
    assert_eq!(rate("10/1h"), Some((10, Duration::from_hours(1))));
    for bad in [
        "",
        "5",
        "m",
        "-1s",
        "+1s",
        "0s",
        "5 m",
        "1w",
        "99999999999999999999s",
        "18446744073709551615d",
        "5é",
    ] {
        assert_eq!(duration(bad), None, "{bad}");
    }
}

#[test]
fn duties_are_a_closed_list() {
    for good in [
        "redact:pii",
        "max_ttl:5m",
        "max_bytes:1024",
        "rate:5/1m",
        "deliver:inject",
        "label:secret",
        "notify:ops",
    ] {
        assert_eq!(duty(good).map(|token| token.text()).as_deref(), Some(good));
    }
    for bad in [
        "redact:",
        "redact:PII",
        "deliver:print",
        "log:all",
        "max_bytes:-1",
        "rate:5",
        "approval:x",
    ] {
        assert_eq!(duty(bad), None, "{bad}");
    }
}
