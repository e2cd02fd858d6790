//! Files in which tools keep credentials (`rules/paths.toml`), where the process may read them.

use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use serde::Deserialize;

use super::proc::Root;
use super::{Part, shown};

const PATHS: &str = include_str!("../../rules/paths.toml");
const MOST: usize = 1_024 * 1_024;
const MOST_PASSWD: usize = 4 * 1_024 * 1_024;

#[derive(Deserialize)]
struct Paths {
    home: Vec<String>,
    root: Vec<String>,
}

impl Part<'_> {
    pub(super) fn files(&mut self) {
        let root = match self.process.root() {
            Ok(root) => root,
            Err(error) => return self.missed("files", &error),
        };
        let Ok(paths) = toml::from_str::<Paths>(PATHS) else {
            return self
                .outcome
                .coverage
                .missed("files of credentials", "the list of paths cannot be read");
        };
        let mut homes: Vec<PathBuf> = self
            .environ
            .iter()
            .filter(|(name, _)| *name == "HOME")
            .map(|(_, path)| path.clone())
            .collect();
        homes.extend(home_of(&root, self.owner.uid));
        homes.retain(|home| home.is_absolute() && home != Path::new("/"));
        homes.sort();
        homes.dedup();
        for home in &homes {
            for path in &paths.home {
                self.entry(&root, &home.join(path));
            }
        }
        for path in &paths.root {
            self.entry(&root, Path::new(path));
        }
    }

    /// One line of the list.
    fn entry(&mut self, root: &Root, path: &Path) {
        if path.file_name().is_some_and(|name| name == "*") {
            let directory = path.parent().unwrap_or(path);
            for name in root.list(directory).unwrap_or_default() {
                self.file(root, &directory.join(name));
            }
        } else {
            self.file(root, path);
        }
    }

    fn file(&mut self, root: &Root, path: &Path) {
        let Ok(stat) = root.stat(path) else {
            return;
        };
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !regular || !self.owner.may(4, &stat) {
            return;
        }
        // Processes of one user see the same files: read once, named with the first.
        let identity = (self.owner.uid, path.to_owned());
        if !self.outcome.files_read.insert(identity) {
            return;
        }
        match root.read(path, MOST) {
            Ok(bytes) => {
                if bytes.len() >= MOST {
                    self.outcome
                        .coverage
                        .missed(shown(path), format!("beyond {MOST} bytes"));
                }
                self.look(&bytes, None, &shown(path), &shown(path));
            }
            Err(error) => self.missed(&shown(path), &error),
        }
    }
}

/// The home directory of a user, by the `passwd` of that file system.
fn home_of(root: &Root, uid: u32) -> Option<PathBuf> {
    let passwd = root.read(Path::new("/etc/passwd"), MOST_PASSWD).ok()?;
    let passwd = String::from_utf8_lossy(&passwd);
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2)?.parse() == Ok(uid)).then(|| fields.get(5).map(PathBuf::from))?
    })
}
