//! Dead links and paths are found, and what only looks like a path is left alone.

use super::{Repository, check};

const OTHERS: &[(&str, &str)] = &[
    ("crates/core/src/task.rs", ""),
    ("crates/core/tests/a.rs", ""),
    ("ci/test", ""),
    ("docs/how-to/test.md", ""),
    ("docs/SUMMARY.md", "- [Test](how-to/test.md)"),
];

fn found(path: &str, text: &str) -> Vec<String> {
    let mut files = OTHERS.to_vec();
    files.retain(|(other, _)| *other != path);
    files.push((path, text));
    check(&Repository::of(&files))
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn what_exists_is_fine() {
    for text in [
        "`crates/core/src/task.rs` `crates/core/` `crates/core/src/task.rs:12` `core/task.rs` `core/tests/a.rs`",
        "[a](ci/test) [b](docs/how-to/test.md#top) [c](#here) [d](https://example.org/x) [e](./ci/) [f](ci/test \"title\")",
        "[g]: ci/test",
        "`crates/<name>/src` `crates/*/src` `tasks/list` `and/or` `ci/test --all` `bailiwick.toml` `/v1/tasks`",
        "```\n`crates/gone.rs`\n[x](gone)\n```",
    ] {
        assert_eq!(found("README.md", text), [""; 0], "{text}");
    }
    assert_eq!(
        found(
            "docs/how-to/test.md",
            "[a](../SUMMARY.md) [b](../../ci/test)"
        ),
        [""; 0]
    );
}

#[test]
fn what_is_gone_is_found_with_its_line() {
    assert_eq!(
        found(
            "ARCHITECTURE.md",
            "| tasks | `ci/test`, `crates/core/src/gone.rs` |"
        ),
        [
            "ARCHITECTURE.md:1: [doc-paths] there is no `crates/core/src/gone.rs`; correct the path, or remove the row"
        ]
    );
    for text in [
        "`core/gone.rs`",
        "[a](gone.md)",
        "[a](../outside.md)",
        "[a]: gone.md",
        "[`x`](docs/gone.md#top)",
        "`docs/gone/`",
    ] {
        assert_eq!(found("README.md", text).len(), 1, "{text}");
    }
    assert_eq!(found("docs/how-to/test.md", "[a](ci/test)").len(), 1);
}

#[test]
fn the_change_log_may_speak_of_the_past() {
    assert_eq!(found("CHANGELOG.md", "`crates/core/src/gone.rs`"), [""; 0]);
}

#[test]
fn a_page_that_the_book_does_not_list_is_found() {
    assert_eq!(
        found("docs/how-to/new.md", ""),
        ["docs/how-to/new.md: [doc-paths] no reader finds this page; list it in docs/SUMMARY.md"]
    );
}
