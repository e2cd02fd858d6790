//! Each sign becomes one of the same width; a locale is read as POSIX writes it.

use super::{SIGNS, signs, writes_utf8};

#[test]
fn columns_stay_where_they_are() {
    let line = "  +1.416  └ ok 212 µs · “why” → …  node-1#6 ✓ ✗ ⟦U+202E⟧";
    let plain = signs(line);
    assert!(plain.is_ascii(), "{plain}");
    assert_eq!(plain.chars().count(), line.chars().count());
    assert!(SIGNS.iter().all(|(_, ascii)| ascii.is_ascii_graphic()));
    assert_eq!(signs("Übergröße"), "Übergröße");
}

#[test]
fn a_locale_says_what_it_writes() {
    for utf8 in ["en_US.UTF-8", "C.utf8", "de_DE.UTF-8@euro"] {
        assert!(writes_utf8(utf8), "{utf8}");
    }
    for not in ["C", "POSIX", "en_US", "de_DE.ISO-8859-1", "ja_JP.eucJP"] {
        assert!(!writes_utf8(not), "{not}");
    }
}
