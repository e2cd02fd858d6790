//! No path of somebody's machine: it means nothing to the next reader and breaks in their clone.

use super::{Finding, Repository};

const RULE: &str = "machine-paths";

/// First directories of paths that only exist on one machine.
const DIRECTORIES: &[&str] = &["work", "root", "home", "Users"];

pub(crate) fn check(repository: &Repository) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in repository.tree.files() {
        for (number, line) in file.lines() {
            if let Some(path) = DIRECTORIES
                .iter()
                .find_map(|directory| machine_path(line, directory))
            {
                let help = "use a path in the repository, a temporary directory, `~` or `$HOME`";
                found.push(
                    Finding::error(
                        RULE,
                        &file.path,
                        format!("`{path}…` is a path of one machine"),
                        help,
                    )
                    .at(number),
                );
            }
        }
    }
    found
}

/// `/directory/` where a path begins, so not in `https://host/directory/` or `a/directory/`.
fn machine_path(line: &str, directory: &str) -> Option<String> {
    let path = format!("/{directory}/");
    let begins = |at: usize| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || "._-~})]>*$%".contains(c))
    };
    line.match_indices(&path)
        .any(|(at, _)| begins(at))
        .then_some(path)
}

#[cfg(test)]
mod tests;
