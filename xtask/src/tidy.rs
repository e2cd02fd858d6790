//! `cargo xtask tidy`: the rules of this repository that no compiler checks, each a pure function over the tracked files
//! and `cargo metadata`. It also runs as a test of this package.

mod doc_paths;
mod file_names;
mod finding;
mod layers;
mod machine_paths;
mod manifests;
mod markers;
mod rust_text;
mod size;
mod source;
mod tree;
mod walls;
mod workspace;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use finding::{Finding, Weight};
use tree::Tree;
use workspace::Workspace;

/// What a rule may look at.
struct Repository {
    tree: Tree,
    workspace: Workspace,
}

/// A rule looks and says what it found; it changes nothing.
type Rule = fn(&Repository) -> Vec<Finding>;

const RULES: &[Rule] = &[
    layers::check,
    walls::check,
    manifests::check,
    size::check,
    file_names::check,
    rust_text::check,
    markers::check,
    doc_paths::check,
    machine_paths::check,
];

/// Checks the repository at `root`, writes what was found, and fails if any of it is an error.
pub(crate) fn run(root: &Path, out: &mut dyn Write) -> Result<ExitCode> {
    let findings = findings(root)?;
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    let errors = errors(&findings).count();
    let notes = findings.len() - errors;
    writeln!(
        out,
        "tidy: {errors} errors, {notes} notes, {} rules",
        RULES.len()
    )?;
    Ok(if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Everything the rules have to say, errors first, in the order of paths.
pub(crate) fn findings(root: &Path) -> Result<Vec<Finding>> {
    let repository = Repository {
        tree: Tree::read(root)?,
        workspace: Workspace::read(root, &walls::reaching())?,
    };
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&repository)).collect();
    findings.sort();
    Ok(findings)
}

fn errors(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings
        .iter()
        .filter(|finding| finding.weight == Weight::Error)
}

#[cfg(test)]
mod tests;
