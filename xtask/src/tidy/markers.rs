//! A note to come back later names the issue that will (`TODO #12`), or it is forgotten.

use super::tree::TextFile;
use super::{Finding, Repository, source};

const RULE: &str = "markers";

const MARKERS: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];

const EXTENSIONS: &[&str] = &[
    "rs", "ts", "svelte", "js", "py", "sh", "toml", "css", "md", "yml", "yaml", "proto", "cedar",
];

pub(crate) fn check(repository: &Repository) -> Vec<Finding> {
    repository
        .tree
        .written(EXTENSIONS)
        .flat_map(check_file)
        .collect()
}

fn check_file(file: &TextFile) -> Vec<Finding> {
    let lines: Vec<String> = if file.has_extension(&["rs"]) {
        source::split(&file.text)
            .into_iter()
            .map(|line| line.comment)
            .collect()
    } else {
        file.text.lines().map(str::to_owned).collect()
    };
    (1..)
        .zip(&lines)
        .filter_map(|(number, line)| {
            let marker = MARKERS.iter().find(|marker| is_unnumbered(line, marker))?;
            Some(
                Finding::error(
                    RULE,
                    &file.path,
                    format!("`{marker}` without an issue"),
                    "do it, or open an issue and name it: `TODO #12`",
                )
                .at(number),
            )
        })
        .collect()
}

/// Does `line` hold `marker` as a word of its own with no `#<digits>` after it?
fn is_unnumbered(line: &str, marker: &str) -> bool {
    line.match_indices(marker).any(|(at, _)| {
        let (before, after) = (
            line.get(..at).unwrap_or_default(),
            line.get(at + marker.len()..).unwrap_or_default(),
        );
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let is_word = !before.ends_with(is_part) && !after.starts_with(|c| is_part(c) || c == '.');
        let number = after.trim_start_matches([' ', '(', ':']).strip_prefix('#');
        is_word && !number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests;
