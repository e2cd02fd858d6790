//! Paths of a machine are found where they begin.

use super::{DIRECTORIES, Repository, check};

fn found(line: &str) -> usize {
    check(&Repository::of(&[("docs/a.md", line)])).len()
}

#[test]
fn absolute_paths_are_found() {
    for directory in DIRECTORIES {
        for line in [
            format!("see /{directory}/x"),
            format!("(`/{directory}/x`)"),
            format!("file:///{directory}/x"),
            format!("a=/{directory}/x"),
        ] {
            assert_eq!(found(&line), 1, "{line}");
        }
    }
}

#[test]
fn the_same_words_inside_a_path_are_fine() {
    for directory in DIRECTORIES {
        for line in [
            format!("https://example.org/{directory}/x"),
            format!("a/{directory}/x"),
            format!("$HOME/{directory}/x"),
            format!("{directory}/x"),
        ] {
            assert_eq!(found(&line), 0, "{line}");
        }
    }
}
