//! The names against what a log of the size has on disk.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{front, full, keys, partial, partial_payload, payloads};
use crate::fixtures::{files, published};
use crate::payload;

#[test]
fn the_names_are_those_that_a_log_of_the_size_has() {
    for size in [1, 255, 256, 257, 70_000] {
        let home = tempfile::tempdir().unwrap();
        published(home.path(), size, 4_096);
        let there: BTreeSet<PathBuf> = files(&home.path().join("tile"))
            .iter()
            .map(|file| file.strip_prefix(home.path()).unwrap().to_owned())
            .collect();
        let partial = partial(size).map(|(path, _, _)| path);
        let named: BTreeSet<PathBuf> = full(0, size).chain(partial).collect();
        assert_eq!(named, there, "{size}");
    }
}

#[test]
fn growth_adds_what_the_larger_tree_has_more() {
    let parts: BTreeSet<PathBuf> = full(0, 300).chain(full(300, 70_000)).collect();
    assert_eq!(parts, full(0, 70_000).collect());
    assert_eq!(full(70_000, 70_000).count(), 0);
    assert_eq!(payloads(300, 1_024).count(), 3);
    assert_eq!(keys(0, 0).count(), 0);
    assert_eq!(keys(0, 65_536).count(), 1);
    assert_eq!(keys(65_535, 65_537).count(), 2);
}

#[test]
fn a_partial_file_is_the_front_of_the_full_one() {
    let (small, large) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    published(small.path(), 200, 64);
    published(large.path(), 256, 64);
    for (path, widened, width) in partial(200) {
        let whole = std::fs::read(large.path().join(&widened)).unwrap();
        let part = std::fs::read(small.path().join(&path)).unwrap();
        assert_eq!(
            front(&widened, &whole, width),
            Some(part),
            "{}",
            path.display()
        );
    }
    assert_eq!(front("tile/0/000".as_ref(), &[0; 31], 1), None);
}

#[test]
fn only_an_unfinished_bundle_has_a_payload_of_its_own_width() {
    assert_eq!(partial_payload(0), None);
    assert_eq!(partial_payload(512), None);
    assert_eq!(partial_payload(259), Some(payload::path(1, 3)));
}
