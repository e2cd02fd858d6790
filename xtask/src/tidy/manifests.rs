//! Manifests say nothing twice: versions, features and lints are in the root `Cargo.toml`, crates inherit them.

use toml::{Table, Value};

use super::tree::TextFile;
use super::{Finding, Repository};

const RULE: &str = "manifests";

const DEPENDENCY_TABLES: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

/// What every `[package]` takes from the root.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "publish"];

pub(crate) fn check(repository: &Repository) -> Vec<Finding> {
    let manifests = repository
        .workspace
        .members
        .iter()
        .filter_map(|member| repository.tree.file(&member.manifest));
    manifests.flat_map(check_manifest).collect()
}

impl Repository {
    /// The line of `manifest` on which the dependency called `name` (a package, or a noun of ours) is listed.
    pub(super) fn dependency_line(&self, manifest: &str, name: &str) -> Option<usize> {
        let file = self.tree.file(manifest)?;
        dependency_line(file, name).or_else(|| dependency_line(file, &format!("bailiwick-{name}")))
    }
}

fn dependency_line(file: &TextFile, name: &str) -> Option<usize> {
    let is_key = |line: &str| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    };
    file.lines()
        .find(|(_, line)| is_key(line.trim_start()))
        .map(|(number, _)| number)
}

fn check_manifest(file: &TextFile) -> Vec<Finding> {
    let manifest: Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => {
            return vec![Finding::error(
                RULE,
                &file.path,
                error.to_string(),
                "write valid TOML",
            )];
        }
    };
    let mut found = Vec::new();
    for (name, _) in dependencies(&manifest).filter(|(_, value)| !inherits(value)) {
        let what = format!("`{name}` is declared here");
        let help = format!(
            "declare it in [workspace.dependencies] of the root and say `{name}.workspace = true`"
        );
        found.push(Finding::error(RULE, &file.path, what, help).at(dependency_line(file, name)));
    }
    let package = manifest.get("package").and_then(Value::as_table);
    for key in INHERITED {
        if !package
            .and_then(|package| package.get(*key))
            .is_some_and(inherits)
        {
            let what = format!("[package] does not inherit `{key}`");
            found.push(Finding::error(
                RULE,
                &file.path,
                what,
                format!("say `{key}.workspace = true`"),
            ));
        }
    }
    if !manifest.get("lints").is_some_and(inherits) {
        found.push(Finding::error(
            RULE,
            &file.path,
            "the lints of the workspace are off",
            "add `[lints]` with `workspace = true`",
        ));
    }
    found
}

/// The entries of every dependency table, those for one platform (`[target.….dependencies]`) too.
fn dependencies(manifest: &Table) -> impl Iterator<Item = (&String, &Value)> {
    let targets = manifest
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(Table::values);
    std::iter::once(manifest)
        .chain(targets.filter_map(Value::as_table))
        .flat_map(|tables| {
            DEPENDENCY_TABLES
                .iter()
                .filter_map(|name| tables.get(*name)?.as_table())
        })
        .flatten()
}

fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests;
