//! Sizes and choices of `bailiwick scan`.

use super::size;

#[test]
fn sizes_have_units_and_bounds() {
    assert_eq!(size("64MiB"), Ok(64 << 20));
    assert_eq!(size("4096"), Ok(4096));
    assert_eq!(size("1 KiB"), Ok(1024));
    for text in ["", "0", "-1", "5GiB", "64MB", "99999999999999999999GiB"] {
        assert!(size(text).is_err(), "{text}");
    }
}
