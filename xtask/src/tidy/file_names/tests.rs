//! Vague names are found, and only those.

use super::check_path;

#[test]
fn vague_names_are_found() {
    for path in [
        "crates/a/src/utils.rs",
        "crates/a/src/helpers/time.rs",
        "console/src/common.ts",
        "crates/a/src/task/mod.rs",
    ] {
        assert!(check_path(path).is_some(), "{path}");
    }
}

#[test]
fn names_that_only_contain_a_vague_word_are_fine() {
    for path in [
        "crates/a/src/common_name.rs",
        "crates/a/src/model.rs",
        "crates/a/src/modes.rs",
    ] {
        assert!(check_path(path).is_none(), "{path}");
    }
}
