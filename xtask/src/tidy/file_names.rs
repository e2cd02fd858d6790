//! Files are named after the noun they hold.

use super::{Finding, Repository};

const RULE: &str = "names";

/// Names that promise no idea, so that everything ends up in them.
const VAGUE: &[&str] = &[
    "util", "utils", "helper", "helpers", "manager", "common", "misc",
];

pub(crate) fn check(repository: &Repository) -> Vec<Finding> {
    repository
        .tree
        .written(&["rs", "ts", "svelte", "py", "js"])
        .filter_map(|file| check_path(&file.path))
        .collect()
}

fn check_path(path: &str) -> Option<Finding> {
    if path.ends_with("/mod.rs") {
        return Some(Finding::error(
            RULE,
            path,
            "a module in `mod.rs`",
            "call it `foo.rs`, with `foo/` beside it",
        ));
    }
    let names = path
        .split('/')
        .map(|part| part.split('.').next().unwrap_or(part));
    let vague = names.into_iter().find(|name| VAGUE.contains(name))?;
    Some(Finding::error(
        RULE,
        path,
        format!("`{vague}` says nothing about what is in it"),
        "name the noun it is about",
    ))
}

#[cfg(test)]
mod tests;
