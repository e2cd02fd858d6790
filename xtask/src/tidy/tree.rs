//! The files of the repository as git sees them: tracked, or new and not ignored.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Files written by a generator, which follow its style and not ours.
const GENERATED: &[&str] = &["console/dist/", "crates/proto/src/generated/"];

pub(crate) struct Tree {
    files: Vec<TextFile>,
    /// Every file, text or not, and every directory that holds one.
    paths: BTreeSet<String>,
}

/// A file that is UTF-8.
pub(crate) struct TextFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Tree {
    /// Reads the files under `root` that git lists.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let listed = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(root)
            .output()
            .context("tidy asks git for the files of the repository, and git did not start")?;
        ensure!(
            listed.status.success(),
            "git ls-files: {}",
            String::from_utf8_lossy(&listed.stderr)
        );
        let listed =
            String::from_utf8(listed.stdout).context("git lists a path that is not UTF-8")?;

        let mut tree = Self {
            files: Vec::new(),
            paths: BTreeSet::new(),
        };
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            // Deleted in the work tree but not yet in the index, or a link that leads out: not ours to read.
            let Ok(kind) = root.join(path).symlink_metadata() else {
                continue;
            };
            tree.note_path(path);
            if !kind.is_file() {
                continue;
            }
            let bytes =
                std::fs::read(root.join(path)).with_context(|| format!("reading {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                tree.files.push(TextFile {
                    path: path.to_owned(),
                    text,
                });
            }
        }
        Ok(tree)
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &TextFile> {
        self.files.iter()
    }

    /// The files whose name ends in one of `extensions`, without those that a generator wrote.
    pub(crate) fn written(&self, extensions: &[&str]) -> impl Iterator<Item = &TextFile> {
        self.files
            .iter()
            .filter(move |file| file.has_extension(extensions) && !file.is_generated())
    }

    pub(crate) fn file(&self, path: &str) -> Option<&TextFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Is `path` a file of the repository, or a directory with one in it?
    pub(crate) fn has(&self, path: &str) -> bool {
        path.is_empty() || self.paths.contains(path.trim_end_matches('/'))
    }

    fn note_path(&mut self, path: &str) {
        for (end, _) in path.match_indices('/') {
            self.paths.extend(path.get(..end).map(str::to_owned));
        }
        self.paths.insert(path.to_owned());
    }
}

impl TextFile {
    /// The name after the last `/`.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Every line with its number, counted from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    pub(crate) fn has_extension(&self, extensions: &[&str]) -> bool {
        self.name()
            .rsplit_once('.')
            .is_some_and(|(_, extension)| extensions.contains(&extension))
    }

    fn is_generated(&self) -> bool {
        GENERATED
            .iter()
            .any(|directory| self.path.starts_with(directory))
    }
}

#[cfg(test)]
impl super::Repository {
    /// A repository of these files alone, for the tests of the rules.
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Tree {
            files: Vec::new(),
            paths: BTreeSet::new(),
        };
        for (path, text) in files {
            tree.note_path(path);
            tree.files.push(TextFile {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            });
        }
        Self {
            tree,
            workspace: super::Workspace::default(),
        }
    }
}
