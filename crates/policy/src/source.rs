//! The text of a bundle: a map from relative path to content, and the bytes whose SHA-256 is its version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::flaw::{Flaw, FlawCode, PolicyErrors};

/// A bundle has at most this many files.
pub const MAX_FILES: usize = 1_024;
/// The files of a bundle have at most this many bytes together.
pub const MAX_BYTES: usize = 16 << 20;
/// Stands before the canonical bytes, so that they cannot be taken for anything else's.
const CONTEXT: &[u8] = b"bailiwick/bundle/v1\0";

/// A bundle as text: `bundle.toml`, `*.cedar`, `workflows/*.toml`, `tests/*.toml`. Paths use `/`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleSource {
    /// Content by relative path.
    pub files: BTreeMap<String, String>,
}

impl BundleSource {
    /// From the files of a directory as the caller read them. A path that no bundle has is refused, so that a file in the
    /// wrong place is not taken for policy that holds.
    pub fn from_dir(
        entries: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, PolicyErrors> {
        let mut flaws = Vec::new();
        let mut files = BTreeMap::new();
        for (path, text) in entries {
            if !is_bundle_path(&path) {
                flaws.push(
                    Flaw::in_file(&path, "this file has no place in a bundle".to_owned()).help(
                        "a bundle holds bundle.toml, *.cedar, workflows/*.toml and tests/*.toml",
                    ),
                );
            } else if files.insert(path.clone(), text).is_some() {
                let flaw = Flaw::in_file(&path, "this file is given twice".to_owned());
                flaws.push(flaw.help("give it once"));
            }
        }
        let source = Self { files };
        flaws.extend(source.bounds());
        PolicyErrors::check(flaws).map(|()| source)
    }

    /// The bytes that the version digest is taken of: every path and content with its length before it, in order of path.
    /// The version of a bundle is the SHA-256 of these bytes.
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = CONTEXT.to_vec();
        for part in self.files.iter().flat_map(|(path, text)| [path, text]) {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }

    /// The files below `directory` (empty: the top) whose name ends in `ending`.
    pub(crate) fn below<'a>(
        &'a self,
        directory: &'a str,
        ending: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files.iter().filter_map(move |(path, text)| {
            let rest = path.strip_prefix(directory)?;
            let fits = rest.ends_with(ending) && (directory.is_empty() || !rest.contains('/'));
            fits.then_some((path.as_str(), text.as_str()))
        })
    }

    pub(crate) fn bounds(&self) -> Option<Flaw> {
        let bytes: usize = self.files.values().map(String::len).sum();
        (self.files.len() > MAX_FILES || bytes > MAX_BYTES).then(|| {
            Flaw::whole(format!(
                "the bundle has {} files and {bytes} bytes",
                self.files.len()
            ))
            .code(FlawCode::Bound)
            .help("a bundle has at most 1,024 files and 16 MiB")
        })
    }
}

fn is_bundle_path(path: &str) -> bool {
    let plain = !path.starts_with('/')
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
    let toml_below = |directory: &str| {
        let rest = path
            .strip_prefix(directory)
            .and_then(|rest| rest.strip_suffix(".toml"));
        rest.is_some_and(|stem| !stem.contains('/'))
    };
    plain
        && (path == "bundle.toml"
            || path.strip_suffix(".cedar").is_some()
            || toml_below("workflows/")
            || toml_below("tests/"))
}

#[cfg(test)]
mod tests;
