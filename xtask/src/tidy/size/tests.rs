//! Long files are found, at the very line where they become long.

use super::{MANY, MOST, Repository, check};
use crate::tidy::Weight;

fn weight(path: &str, lines: usize) -> Option<Weight> {
    check(&Repository::of(&[(path, &"x\n".repeat(lines))]))
        .first()
        .map(|finding| finding.weight)
}

#[test]
fn the_borders_are_exact() {
    assert_eq!(weight("crates/a/src/b.rs", MANY), None);
    assert_eq!(weight("crates/a/src/b.rs", MANY + 1), Some(Weight::Note));
    assert_eq!(weight("crates/a/src/b.rs", MOST), Some(Weight::Note));
    assert_eq!(weight("crates/a/src/b.rs", MOST + 1), Some(Weight::Error));
}

#[test]
fn tests_count_and_data_does_not() {
    assert_eq!(
        weight("crates/a/src/b/tests.rs", MOST + 1),
        Some(Weight::Error)
    );
    assert_eq!(weight("conformance/a.json", MOST + 1), None);
    assert_eq!(weight("crates/proto/src/generated/a.rs", MOST + 1), None);
}
