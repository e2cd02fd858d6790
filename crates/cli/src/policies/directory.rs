//! A bundle as a directory: read, and written into a new one.

use std::collections::BTreeMap;
use std::path::Path;

use bailiwick_core::{Code, Problem};
use bailiwick_policy::BundleSource;

use crate::context::read_file;
use crate::failure::Failure;

/// Reads the files of a bundle's directory, with the packs that it includes. Files and directories whose names begin with a dot are left out.
pub(super) fn read(dir: &Path) -> Result<BundleSource, Failure> {
    let mut entries = BTreeMap::new();
    let mut waiting = vec![(dir.to_owned(), String::new())];
    while let Some((place, prefix)) = waiting.pop() {
        let unreadable = |error: std::io::Error| {
            Problem::new(
                Code::ConfigInvalid,
                format!("{} cannot be read: {error}", place.display()),
                "name the directory of a bundle; bailiwick policy init makes one",
            )
        };
        for entry in std::fs::read_dir(&place).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let path = format!("{prefix}{name}");
            if entry.file_type().map_err(unreadable)?.is_dir() {
                if prefix.matches('/').count() < DEEPEST {
                    waiting.push((entry.path(), format!("{path}/")));
                }
            } else {
                let text =
                    String::from_utf8(read_file(&entry.path(), bailiwick_policy::MAX_BYTES)?)
                        .map_err(|_| {
                            Problem::new(Code::PolicyInvalid, format!("{path} is not UTF-8"), "")
                        })?;
                entries.insert(path, text);
            }
        }
        if entries.len() > bailiwick_policy::MAX_FILES {
            break;
        }
    }
    let files = entries.clone();
    BundleSource::from_dir(entries)
        .and_then(BundleSource::with_packs)
        .map_err(|errors| Failure::of_policy(&errors, &files))
}

/// Writes files into a directory that is not there yet. A path that leads out of it is refused: the files may be a node's.
pub(super) fn write(dir: &Path, files: &BTreeMap<String, String>) -> Result<(), Failure> {
    let failed = |path: &Path, error: &std::io::Error| {
        Problem::new(
            Code::AlreadyExists,
            format!("{} cannot be made: {error}", path.display()),
            "name a directory that does not exist yet",
        )
    };
    for name in files.keys() {
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']);
        if !name.split('/').all(plain) {
            let message = format!("`{}` is no path of a bundle", name.escape_debug());
            return Err(Problem::new(Code::PolicyInvalid, message, "").into());
        }
    }
    std::fs::create_dir(dir).map_err(|error| failed(dir, &error))?;
    for (name, text) in files {
        let path = dir.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        }
        std::fs::write(&path, text).map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}

/// Directories below the bundle that are looked into.
const DEEPEST: usize = 4;
