//! Strict JSON: what passes is read by another parser, and has no member twice.

use bailiwick_core::json::{Limits, check};

pub(crate) fn look(bytes: &[u8]) {
    let Ok(checked) = check(bytes, &Limits::ENVELOPE) else {
        return;
    };
    // White space around it is no part of it.
    assert_eq!(checked.as_str().as_bytes(), bytes.trim_ascii());
    serde_json::from_str::<serde_json::Value>(checked.as_str()).expect("two parsers agree");
    drop(checked.leaves());
}
