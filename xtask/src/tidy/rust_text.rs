//! What Rust source must have (a module doc) and must not have (silenced lints, ignored tests, gaps, glob imports).

use super::source::{Line, split};
use super::tree::TextFile;
use super::{Finding, Repository};

const RULE: &str = "rust";

/// Words in a module doc below which it says nothing.
const FEW_WORDS: usize = 2;

/// A piece of code that must not occur, and what to write instead.
const FORBIDDEN: &[(&str, &str)] = &[
    (
        "#[allow(",
        "say `#[expect(lint, reason = \"…\")]`, which complains once it is no longer needed",
    ),
    (
        "#![allow(",
        "say `#![expect(lint, reason = \"…\")]`, which complains once it is no longer needed",
    ),
    (
        "#[ignore",
        "make the test run, or remove it: what it needs is installed by ci/deps",
    ),
    (
        "todo!",
        "write it, or leave it out and say so in the documentation",
    ),
    (
        "unimplemented!",
        "write it, or leave it out and say so in the documentation",
    ),
];

pub(crate) fn check(repository: &Repository) -> Vec<Finding> {
    repository
        .tree
        .written(&["rs"])
        .flat_map(check_file)
        .collect()
}

fn check_file(file: &TextFile) -> Vec<Finding> {
    let lines = split(&file.text);
    let mut found: Vec<Finding> = module_doc(file).into_iter().collect();
    for (number, line) in (1..).zip(&lines) {
        for (piece, help) in FORBIDDEN
            .iter()
            .filter(|(piece, _)| line.code.contains(piece))
        {
            found.push(Finding::error(RULE, &file.path, format!("`{piece}`"), *help).at(number));
        }
        if line.code.contains("cfg_attr(") && line.code.contains(" allow(") {
            found.push(
                Finding::error(
                    RULE,
                    &file.path,
                    "`allow` in a `cfg_attr`",
                    "use `expect` with a reason",
                )
                .at(number),
            );
        }
    }
    found.extend(globs(file, &lines));
    found
}

fn module_doc(file: &TextFile) -> Option<Finding> {
    let first = file.text.lines().next().unwrap_or_default();
    let help = "say in 1 to 5 lines what the file is for, and cite the specification it follows";
    let Some(doc) = first.strip_prefix("//!") else {
        return Some(
            Finding::error(
                RULE,
                &file.path,
                "does not begin with a module doc (`//!`)",
                help,
            )
            .at(1),
        );
    };
    let is_short = doc.split_whitespace().count() < FEW_WORDS
        && !file
            .text
            .lines()
            .nth(1)
            .is_some_and(|line| line.starts_with("//!"));
    is_short.then(|| {
        Finding::error(
            RULE,
            &file.path,
            format!("the module doc `{}` says nothing", doc.trim()),
            help,
        )
        .at(1)
    })
}

/// `use` statements with a `*`, which may go on over lines. Tests may take everything from the module they test.
fn globs(file: &TextFile, lines: &[Line]) -> Vec<Finding> {
    let mut in_tests = file.name() == "tests.rs" || file.path.contains("/tests/");
    let mut statement: Option<(usize, String)> = None;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(lines) {
        let code = line.code.trim();
        in_tests |= code.starts_with("#[cfg(test)]");
        if statement.is_none() && is_use(code) {
            statement = Some((number, String::new()));
        }
        let Some((start, text)) = &mut statement else {
            continue;
        };
        text.push_str(code);
        if !code.contains(';') {
            continue;
        }
        if text.contains('*') && !(in_tests && text == "use super::*;") {
            found.push(
                Finding::error(
                    RULE,
                    &file.path,
                    format!("`{text}`"),
                    "name what is imported",
                )
                .at(*start),
            );
        }
        statement = None;
    }
    found
}

/// `use …`, with any visibility.
fn is_use(code: &str) -> bool {
    let unqualified = match code.strip_prefix("pub") {
        Some(rest) => match rest.strip_prefix('(') {
            Some(scope) => scope.split_once(')').map_or("", |(_, rest)| rest),
            None => rest,
        },
        None => code,
    };
    unqualified.trim_start().starts_with("use ")
}

#[cfg(test)]
mod tests;
