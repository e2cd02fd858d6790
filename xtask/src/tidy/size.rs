//! A file holds one idea: past a length it holds two.

use super::{Finding, Repository};

const RULE: &str = "size";

/// Lines a source file may have.
const MOST: usize = 700;
/// Lines past which the report asks for a look.
const MANY: usize = 400;

const EXTENSIONS: &[&str] = &["rs", "ts", "svelte", "py", "js"];

pub(crate) fn check(repository: &Repository) -> Vec<Finding> {
    let files = repository.tree.written(EXTENSIONS);
    files
        .filter_map(|file| {
            let lines = file.text.lines().count();
            let what = format!("{lines} lines");
            if lines > MOST {
                Some(Finding::error(
                    RULE,
                    &file.path,
                    what,
                    format!("{MOST} is the limit: give its second noun a file"),
                ))
            } else if lines > MANY {
                Some(Finding::note(
                    RULE,
                    &file.path,
                    what,
                    "is there a second noun in it?",
                ))
            } else {
                None
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
