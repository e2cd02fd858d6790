//! What must not be in Rust source is found in code, and not in strings and comments that speak of it.

use super::{Repository, check};

fn found(path: &str, body: &str) -> Vec<String> {
    let text = format!("//! A file for the test.\n{body}\n");
    check(&Repository::of(&[(path, &text)]))
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn each_forbidden_piece_is_found_with_its_line() {
    for piece in [
        "#[allow(dead_code)]",
        "#![allow(dead_code)]",
        "#[ignore]",
        "#[ignore = \"slow\"]",
        "todo!()",
        "unimplemented!()",
    ] {
        let found = found("crates/a/src/b.rs", &format!("fn a() {{}}\n{piece}"));
        assert_eq!(found.len(), 1, "{piece}");
        assert!(
            found[0].starts_with("crates/a/src/b.rs:3: [rust]"),
            "{}",
            found[0]
        );
    }
    assert_eq!(
        found("crates/a/src/b.rs", "#[cfg_attr(test, allow(dead_code))]").len(),
        1
    );
}

#[test]
fn talking_about_it_is_fine() {
    let body = "// never #[allow(x)]\nconst A: &str = \"#[ignore] todo!\";\n#[expect(dead_code, reason = \"x\")]\nfn b() {}";
    assert_eq!(found("crates/a/src/b.rs", body), [""; 0]);
}

#[test]
fn globs_are_found_over_lines_and_with_any_visibility() {
    for body in [
        "use a::*;",
        "pub use a::b::*;",
        "pub(crate) use a::{self, *};",
        "use a::{\n    b,\n    c::*,\n};",
        "use super::*;",
    ] {
        assert_eq!(found("crates/a/src/b.rs", body).len(), 1, "{body}");
    }
    assert_eq!(found("crates/a/src/b/tests.rs", "use other::*;").len(), 1);
}

#[test]
fn tests_may_take_all_of_their_module() {
    assert_eq!(found("crates/a/src/b/tests.rs", "use super::*;"), [""; 0]);
    assert_eq!(
        found(
            "crates/a/src/b.rs",
            "#[cfg(test)]\nmod tests {\n    use super::*;\n}"
        ),
        [""; 0]
    );
}

#[test]
fn a_product_is_no_glob() {
    assert_eq!(
        found("crates/a/src/b.rs", "let a = b * c;\nlet d = *e;"),
        [""; 0]
    );
}

#[test]
fn a_module_doc_is_there_and_says_something() {
    for text in [
        "fn a() {}\n",
        "",
        "//! Placeholder.\nfn a() {}\n",
        "// A comment is no doc.\n",
    ] {
        assert_eq!(
            check(&Repository::of(&[("crates/a/src/b.rs", text)])).len(),
            1,
            "{text}"
        );
    }
    assert!(
        check(&Repository::of(&[(
            "crates/a/src/b.rs",
            "//! What this is for.\n"
        )]))
        .is_empty()
    );
}
