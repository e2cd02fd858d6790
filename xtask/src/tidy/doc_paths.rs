//! Documents point only at what exists: links, and paths of this repository in backticks. Pages of the book are listed.

use super::tree::{TextFile, Tree};
use super::{Finding, Repository};

const RULE: &str = "doc-paths";

const BOOK: &str = "docs/";
const BOOK_CONTENTS: &str = "docs/SUMMARY.md";

/// First parts by which a path in backticks is known to be one of this repository.
const TOP: &[&str] = &[
    ".cargo",
    ".ci",
    ".config",
    "ci",
    "conformance",
    "console",
    "crates",
    "docs",
    "examples",
    "fuzz",
    "tests",
    "xtask",
];

/// Characters that make a text in backticks a pattern, a command or a piece of code rather than a path.
const NOT_IN_PATHS: &[char] = &[
    ' ', '<', '>', '*', '{', '}', '$', '…', '|', '"', '\'', '(', ')', '=', ',', ';', '&', '?', '!',
    '@',
];

pub(crate) fn check(repository: &Repository) -> Vec<Finding> {
    let tree = &repository.tree;
    let pages = tree.written(&["md"]).filter(|file| is_checked(&file.path));
    let mut found: Vec<Finding> = pages.flat_map(|page| check_page(tree, page)).collect();
    found.extend(unlisted_pages(tree));
    found
}

/// The documents at the root and the book. The change log speaks of what is no longer there.
fn is_checked(path: &str) -> bool {
    path != "CHANGELOG.md" && (path.starts_with(BOOK) || !path.contains('/'))
}

fn check_page(tree: &Tree, page: &TextFile) -> Vec<Finding> {
    let mut found = Vec::new();
    for (number, line) in outside_fences(page) {
        for target in links(line).filter(|target| !link_exists(tree, &page.path, target)) {
            let help = "correct the link, or remove it with what it spoke of";
            found.push(
                Finding::error(
                    RULE,
                    &page.path,
                    format!("the link `{target}` leads nowhere"),
                    help,
                )
                .at(number),
            );
        }
        for path in line
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|span| !span_exists(tree, span))
        {
            let help = "correct the path, or remove the row";
            found.push(
                Finding::error(RULE, &page.path, format!("there is no `{path}`"), help).at(number),
            );
        }
    }
    found
}

/// The lines that are prose or tables, with their numbers: code blocks hold commands and output.
fn outside_fences(page: &TextFile) -> impl Iterator<Item = (usize, &str)> {
    let mut in_fence = false;
    page.lines().filter(move |(_, line)| {
        let is_border =
            line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
        in_fence ^= is_border;
        !in_fence && !is_border
    })
}

/// The targets of `[text](target)`, `[text](target "title")` and `[name]: target`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let inline = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target);
    let definition = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "))
        .map(|(_, target)| target);
    inline
        .chain(definition)
        .filter_map(|target| target.split_whitespace().next())
}

fn link_exists(tree: &Tree, page: &str, target: &str) -> bool {
    let target = target.trim_start_matches('<').trim_end_matches('>');
    let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
    let path = target.split('#').next().unwrap_or_default();
    if is_elsewhere || path.is_empty() {
        return true;
    }
    let directory = page.rsplit_once('/').map_or("", |(directory, _)| directory);
    resolve(directory, path).is_some_and(|path| tree.has(&path))
}

/// `path` as seen from `directory`; none if it leaves the repository.
fn resolve(directory: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    let start = if path.starts_with('/') { "" } else { directory };
    for part in start.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Is the text in backticks something else than a path of this repository, or a path that exists?
/// `core/task.rs` is short for `crates/core/src/task.rs`.
fn span_exists(tree: &Tree, span: &str) -> bool {
    let path = span.split(':').next().unwrap_or_default();
    let Some((first, rest)) = path.split_once('/') else {
        return true;
    };
    if span.contains(NOT_IN_PATHS) || path.contains("...") {
        return true;
    }
    if TOP.contains(&first) {
        return tree.has(path);
    }
    let is_short = rest
        .rsplit_once('.')
        .is_some_and(|(_, extension)| extension == "rs")
        && tree.has(&format!("crates/{first}"));
    !is_short
        || tree.has(&format!("crates/{first}/src/{rest}"))
        || tree.has(&format!("crates/{path}"))
}

/// Pages of the book that its table of contents does not list, so that no reader finds them.
fn unlisted_pages(tree: &Tree) -> Vec<Finding> {
    let Some(contents) = tree.file(BOOK_CONTENTS) else {
        return Vec::new();
    };
    let listed: Vec<String> = contents
        .text
        .lines()
        .flat_map(links)
        .filter_map(|link| resolve("docs", link))
        .collect();
    tree.written(&["md"])
        .filter(|page| {
            page.path.starts_with(BOOK)
                && page.path != BOOK_CONTENTS
                && !listed.contains(&page.path)
        })
        .map(|page| {
            Finding::error(
                RULE,
                &page.path,
                "no reader finds this page",
                format!("list it in {BOOK_CONTENTS}"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests;
