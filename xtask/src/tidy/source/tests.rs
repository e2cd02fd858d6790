//! Code, comments and strings are told apart.

use super::split;

fn code(text: &str) -> String {
    split(text)
        .into_iter()
        .map(|line| line.code)
        .collect::<Vec<_>>()
        .join("\n")
}

fn comments(text: &str) -> String {
    split(text)
        .into_iter()
        .map(|line| line.comment)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn strings_lose_their_contents() {
    assert_eq!(
        code(r#"a("b // c", 'd', "e\"f") // g"#),
        r#"a("", '', "") "#
    );
    assert_eq!(
        code("r#\"x \" y\"# + br\"z\" + r\"\\\" + \"ok\""),
        "\"\" + b\"\" + \"\" + \"\""
    );
    assert_eq!(
        code("'\\'' + '\"' + b'\\n' + '\\u{41}'"),
        "'' + '' + b'' + ''"
    );
}

#[test]
fn lifetimes_and_raw_identifiers_are_code() {
    assert_eq!(
        code("fn f<'a>(x: &'a str, r#type: &'static str) {}"),
        "fn f<'a>(x: &'a str, r#type: &'static str) {}"
    );
    assert_eq!(code("for_r\"x\""), "for_r\"\"");
}

#[test]
fn comments_are_kept_apart() {
    assert_eq!(comments("a // b\n/* c /* d */ e */ f"), " b\n c  d  e ");
    assert_eq!(code("a // b\n/* c /* d */ e */ f"), "a \n f");
}

#[test]
fn lines_are_counted_through_strings() {
    let lines = split("let a = \"one\\\n two\n three\"; // here\nb");
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[2].comment, " here");
    assert_eq!(lines[3].code, "b");
}

#[test]
fn unfinished_text_ends() {
    for text in ["\"abc", "/* abc", "r#\"abc", "'", "'\\", "\"\\"] {
        assert!(!split(text).is_empty(), "{text}");
    }
}
