//! What is folded, and what is left as it is.

use super::*;

#[test]
fn look_alikes_become_what_they_look_like() {
    for (text, folded) in [
        ("s\u{435}cr\u{435}ts/key", "secrets/key"),
        ("\u{ff53}ecrets", "secrets"),
        ("sec\u{200b}rets", "secrets"),
        ("secrets\u{2215}key", "secrets/key"),
        ("\u{202e}secrets", "secrets"),
        ("\u{1d42c}ecrets", "secrets"),
        ("secrets\u{e0041}", "secrets"),
        ("se\u{ad}crets", "secrets"),
    ] {
        assert_eq!(fold(text).as_deref(), Some(folded), "{text:?}");
    }
}

#[test]
fn other_letters_stay() {
    for text in ["secrets/key", "café", "Zürich", "北京", "", "naïve/ß"] {
        assert_eq!(fold(text), None, "{text:?}");
    }
    // Composed and decomposed are the same to a reader.
    assert_eq!(fold("cafe\u{301}").as_deref(), Some("café"));
}

#[test]
fn texts_are_found_wherever_they_are() {
    let inner = Value::record([("path", Value::from("s\u{435}crets"))], None);
    let value = Value::set([inner, Value::from("plain")], None);
    let folded = fold_value(&value).unwrap();
    let expected = Value::record([("path", Value::from("secrets"))], None);
    assert_eq!(folded, Value::set([expected, Value::from("plain")], None));
    assert_eq!(fold_value(&folded), None);
    assert_eq!(fold_value(&Value::from(7)), None);
}
