//! Spellings that are one value, and values that are not.

use super::{normal, words};

#[test]
fn spellings_of_one_value_are_equal() {
    for (one, other) in [
        ("Anna@Example.com", "Anna  <anna@example.com>"),
        ("mailto:anna@example.com", "anna@example.com"),
        ("https://Example.com:443/a/", "http://example.com/a"),
        ("example.com/a", "https://example.com/a"),
        ("DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
        ("+49 (30) 123-4567", "+49301234567"),
        ("12.50", "12.5"),
        ("12.00", "12"),
        ("/srv/./a//b/", "/srv/a/b"),
        ("ｆｕｌｌ", "full"),
        ("in\u{200b}voice\u{202e}", "invoice"),
        ("two  \n words ", "Two words"),
    ] {
        assert_eq!(normal(one), normal(other), "{one}");
    }
}

#[test]
fn other_values_stay_apart() {
    for (one, other) in [
        ("a@example.com", "a@example.com.evil.test"),
        ("https://example.com/a", "https://example.com/b"),
        ("https://example.com:8443/", "https://example.com/"),
        ("12.05", "12.5"),
        ("2024-05-26", "20240526"),
        ("/srv/a/../b", "/srv/b"),
        ("-5", "5"),
    ] {
        assert_ne!(normal(one), normal(other), "{one}");
    }
}

#[test]
fn normal_forms_are_their_own() {
    for text in [
        "A <b@c.de>",
        "https://x.de/",
        "1.50",
        "a//b",
        "+1 234 567 890",
        "Ünï",
    ] {
        assert_eq!(normal(&normal(text)), normal(text), "{text}");
    }
    assert_eq!(words("a-b, c_1").collect::<Vec<_>>(), ["a", "b", "c", "1"]);
}
