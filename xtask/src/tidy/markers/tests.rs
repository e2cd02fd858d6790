//! Notes without an issue are found, in comments only.

use super::{Repository, check};

fn found(path: &str, text: &str) -> usize {
    check(&Repository::of(&[(path, text)])).len()
}

#[test]
fn a_marker_names_an_issue() {
    let marker = "TODO";
    assert_eq!(found("a.rs", &format!("// {marker}: later")), 1);
    assert_eq!(found("a.toml", &format!("# {marker} later")), 1);
    assert_eq!(found("a.rs", &format!("// {marker} #12: later")), 0);
    assert_eq!(found("a.rs", &format!("// {marker}(#12): later")), 0);
    assert_eq!(found("a.rs", &format!("// {marker} # later")), 1);
}

#[test]
fn only_comments_and_whole_words_count() {
    assert_eq!(found("a.rs", "let a = \"TODO\"; // see TODO.md"), 0);
    assert_eq!(found("a.rs", "// XXXL and __TODO__"), 0);
    assert_eq!(found("a.json", "\"TODO\""), 0);
}
