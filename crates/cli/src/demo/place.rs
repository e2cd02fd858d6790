//! The demo's private directory. It goes when the demo ends, unless it is to be kept.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bailiwick_core::{Code, Problem};
use bailiwick_crypto::system::{SystemRng, random};

/// Longest path of the directory: the sockets below it must fit into 108 bytes (unix(7)).
const LONGEST: usize = 60;

/// The directory.
pub(super) struct Place {
    root: PathBuf,
    keep: bool,
}

impl Place {
    /// Makes the directory, readable by this user alone, with copies of this executable under the names of its roles: the node
    /// tells an agent by the path of its executable.
    pub(super) fn make(keep: bool) -> Result<Self, Problem> {
        let name = format!(
            "bailiwick-demo-{:08x}",
            u32::from_be_bytes(random::<4>(&SystemRng))
        );
        let mut base = std::env::temp_dir();
        if base.as_os_str().len() + name.len() >= LONGEST {
            base = PathBuf::from("/tmp");
        }
        let root = base.join(name);
        let made = || -> io::Result<()> {
            fs::DirBuilder::new().mode(0o700).create(&root)?;
            for dir in ["bin", "data", "logs", "workspace"] {
                fs::DirBuilder::new().mode(0o700).create(root.join(dir))?;
            }
            let executable = std::env::current_exe()?;
            for role in [AGENT, WORKSPACE] {
                let copy = root.join("bin").join(role);
                fs::copy(&executable, &copy)?;
                fs::set_permissions(&copy, fs::Permissions::from_mode(0o500))?;
            }
            Ok(())
        };
        let place = Self {
            root: root.clone(),
            keep,
        };
        made().map_err(|error| {
            Problem::new(
                Code::DataDir,
                format!("{} cannot be made: {error}", root.display()),
                "set TMPDIR to a directory that you may write and execute in",
            )
        })?;
        Ok(place)
    }

    /// The directory.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The agent's executable.
    pub(super) fn agent(&self) -> PathBuf {
        self.root.join("bin").join(AGENT)
    }

    /// The tool server's executable.
    pub(super) fn workspace(&self) -> PathBuf {
        self.root.join("bin").join(WORKSPACE)
    }

    /// The node's data directory.
    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The log's directory.
    pub(super) fn audit(&self) -> PathBuf {
        self.data().join("audit")
    }

    /// What the tool server serves, its database and its journal.
    pub(super) fn served(&self) -> PathBuf {
        self.root.join("workspace")
    }

    /// Calls that truly ran.
    pub(super) fn journal(&self) -> PathBuf {
        self.served().join("journal.jsonl")
    }

    /// What the children say on stderr.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    /// Every file below the directory except the executables.
    pub(super) fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut waiting = vec![self.root.clone()];
        while let Some(dir) = waiting.pop() {
            for entry in fs::read_dir(&dir)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() && entry.file_name() != "bin" {
                    waiting.push(entry.path());
                } else if kind.is_file() {
                    found.push(entry.path());
                }
            }
        }
        Ok(found)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.keep {
            // What cannot be removed is left to the system's cleaning of temporary files.
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

/// Copies a directory with everything below it.
pub(super) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

const AGENT: &str = "triage-agent";
const WORKSPACE: &str = "workspace-server";
