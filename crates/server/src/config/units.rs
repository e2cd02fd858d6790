//! Durations and sizes as people write them: a whole number and a unit, such as `5m` or `64MiB`.

use std::time::Duration;

const DURATIONS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Reads a duration; the error says what one looks like.
pub fn duration(text: &str) -> Result<Duration, String> {
    number(text, DURATIONS)
        .map(Duration::from_millis)
        .ok_or_else(|| "write a whole number with a unit: 500ms, 30s, 5m, 1h, 7d".to_owned())
}

/// Reads a size in bytes; the error says what one looks like.
pub fn size(text: &str) -> Result<u64, String> {
    number(text, SIZES)
        .ok_or_else(|| "write a whole number with a unit: 4096B, 256KiB, 64MiB, 1GiB".to_owned())
}

/// Writes a duration in its largest unit that loses nothing.
pub fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    show(millis, DURATIONS)
}

/// Writes a size in its largest unit that loses nothing.
pub fn show_size(bytes: u64) -> String {
    show(bytes, SIZES)
}

fn number(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let unit = text.get(digits.len()..)?.trim_start();
    // `+5` parses as a number in Rust, but nobody means anything by it here.
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let (_, factor) = units.iter().find(|(name, _)| *name == unit && plain)?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

fn show(value: u64, units: &[(&str, u64)]) -> String {
    let unit = units
        .iter()
        .rev()
        .find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor));
    let (name, factor) = unit.or(units.first()).copied().unwrap_or(("", 1));
    format!("{}{name}", value / factor)
}
