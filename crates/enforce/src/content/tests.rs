//! What is found in answers, whatever form they have.

use bailiwick_core::json::{Limits, check};

use super::Content;

fn of(result: &str, look: impl FnOnce(Content<'_>)) {
    look(Content::of(
        &check(result.as_bytes(), &Limits::ENVELOPE).unwrap(),
    ));
}

#[test]
fn values_have_paths_and_all_else_is_text() {
    let result = r#"{"structuredContent":{"a":[{"b":1},{"b":"x"}],"n":null},"content":[
        {"type":"text","text":"{\"c\":true}"},{"type":"text","text":"plain"},{"type":"text","text":"17"},
        {"type":"resource","resource":{"uri":"u:1","text":"[\"in\"]"}},{"type":"resource_link","uri":"u:2","name":"link"}]}"#;
    of(result, |content| {
        assert_eq!(content.at("/a/*/b").collect::<Vec<_>>(), ["1", "x"]);
        assert_eq!(content.at("/c").collect::<Vec<_>>(), ["true"]);
        assert_eq!(content.at("/*").collect::<Vec<_>>(), ["in"]);
        assert_eq!(content.at("/n").count(), 0);
        for text in ["plain", "17", "u:2", "link"] {
            assert!(content.texts.iter().any(|own| own == text), "{text}");
        }
        assert!(!content.is_structured());
    });
    of(r#"{"structuredContent":{"a":[]}}"#, |content| {
        assert!(content.is_structured());
    });
    of("{}", |content| assert!(!content.is_structured()));
}
