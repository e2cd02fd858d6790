//! What others wrote cannot move a cursor, hide or reorder text.

use super::{Untrusted, visible_json};

fn check(text: &str, expected: &str) {
    assert_eq!(Untrusted(text).to_string(), expected);
}

#[test]
fn what_hides_is_shown_as_its_code_point() {
    check("plain ÄÖ 漢字 🙂", "plain ÄÖ 漢字 🙂");
    check("\u{1b}[2J", "⟦U+001B⟧[2J");
    check("a\u{202e}fdp.exe", "a⟦U+202E⟧fdp.exe");
    check("pay\u{200b}pal", "pay⟦U+200B⟧pal");
    check(
        "two\nlines\ttab\u{9b}31m\u{7f}",
        "two⟦U+000A⟧lines⟦U+0009⟧tab⟦U+009B⟧31m⟦U+007F⟧",
    );
    check("\u{e0041}\u{fe0f}\u{2066}", "⟦U+E0041⟧⟦U+FE0F⟧⟦U+2066⟧");
}

#[test]
fn json_keeps_its_value_and_its_lines() {
    let value = serde_json::json!({"path": "a\u{202e}b\u{e0041}\u{1b}", "n": [1, "\n"]});
    let text = visible_json(&format!("{value:#}"));
    assert!(
        !text.contains('\u{202e}') && !text.contains('\u{e0041}') && text.contains("\\u202e"),
        "{text}"
    );
    assert!(text.contains('\n'));
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&text).unwrap(),
        value
    );
}
