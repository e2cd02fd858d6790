//! The packages of the workspace and what each depends on, from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Product packages are called `bailiwick-<noun>`; the rules speak of the noun.
const PREFIX: &str = "bailiwick-";

#[derive(Default)]
pub(crate) struct Workspace {
    pub(crate) members: Vec<Member>,
}

pub(crate) struct Member {
    /// The noun: `core`, `cli`, `xtask`.
    pub(crate) name: String,
    /// The manifest, from the root of the repository.
    pub(crate) manifest: String,
    pub(crate) uses: Vec<Use>,
    /// Every package that is compiled into this one outside of tests, with the path that leads there; empty where nobody
    /// asked.
    pub(crate) reach: BTreeMap<String, Vec<String>>,
}

/// One line of a manifest's dependency tables.
pub(crate) struct Use {
    /// A member's noun, or the name of the package.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) is_member: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In the product: normal and build dependencies.
    Product,
    /// Only in tests, examples and benches.
    Test,
}

impl Workspace {
    /// Asks cargo about the workspace at `root`, for the one platform the product is built for; and for the members
    /// called in `reaching`, what they compile in.
    pub(crate) fn read(root: &Path, reaching: &[&str]) -> Result<Self> {
        let metadata = MetadataCommand::new()
            .current_dir(root)
            .no_deps()
            .other_options(["--locked".to_owned()])
            .exec()
            .context("cargo metadata")?;
        let mut workspace = Self::from_metadata(&metadata);
        let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        for member in workspace
            .members
            .iter_mut()
            .filter(|member| reaching.contains(&member.name.as_str()))
        {
            member.reach = reach(root, &format!("{PREFIX}{}", member.name), &platform)?;
        }
        Ok(workspace)
    }

    fn from_metadata(metadata: &Metadata) -> Self {
        let packages = metadata.workspace_packages();
        let names: BTreeSet<&str> = packages
            .iter()
            .map(|package| package.name.as_str())
            .collect();
        let members = packages.iter().map(|package| Member {
            name: noun(&package.name),
            manifest: package
                .manifest_path
                .strip_prefix(&metadata.workspace_root)
                .unwrap_or(&package.manifest_path)
                .to_string(),
            uses: package
                .dependencies
                .iter()
                .map(|dependency| Use {
                    name: noun(&dependency.name),
                    kind: if dependency.kind == DependencyKind::Development {
                        Kind::Test
                    } else {
                        Kind::Product
                    },
                    is_member: names.contains(dependency.name.as_str()),
                })
                .collect(),
            reach: BTreeMap::new(),
        });
        Self {
            members: members.collect(),
        }
    }
}

fn noun(package: &str) -> String {
    package.strip_prefix(PREFIX).unwrap_or(package).to_owned()
}

/// What `package` compiles in. `cargo tree` resolves features as a build does; `cargo metadata` lists optional packages that
/// no feature asked for.
fn reach(root: &Path, package: &str, platform: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = Command::new(cargo)
        .args([
            "tree", "--locked", "--edges", "normal", "--prefix", "depth", "--format", " {p}",
        ])
        .args(["--package", package, "--target", platform])
        .current_dir(root)
        .output()
        .context("cargo tree did not start")?;
    ensure!(
        tree.status.success(),
        "cargo tree: {}",
        String::from_utf8_lossy(&tree.stderr)
    );
    Ok(paths(&String::from_utf8_lossy(&tree.stdout)))
}

/// Every package in the lines `<depth> <name> <version>`, with the packages that lead to it; the first is left out, it is
/// where one stands.
fn paths(tree: &str) -> BTreeMap<String, Vec<String>> {
    let mut reached = BTreeMap::new();
    let mut path: Vec<String> = Vec::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        let (Some(Ok(depth)), Some(name)) = (words.next().map(str::parse::<usize>), words.next())
        else {
            continue;
        };
        if depth == 0 {
            continue;
        }
        path.truncate(depth - 1);
        path.push(name.to_owned());
        reached
            .entry(name.to_owned())
            .or_insert_with(|| path.clone());
    }
    reached
}

#[cfg(test)]
impl Member {
    /// A package with these dependencies, for the tests of the rules.
    pub(super) fn of(name: &str, uses: &[(&str, Kind, bool)]) -> Self {
        Self {
            name: name.to_owned(),
            manifest: format!("crates/{name}/Cargo.toml"),
            uses: uses
                .iter()
                .map(|(name, kind, is_member)| Use {
                    name: (*name).to_owned(),
                    kind: *kind,
                    is_member: *is_member,
                })
                .collect(),
            reach: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests;
