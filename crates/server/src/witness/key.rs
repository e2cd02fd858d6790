//! The witness's key: one file in its state directory, made at the first start.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bailiwick_core::{Code, Fault, Secret};
use bailiwick_crypto::keys::{Ed25519Key, KeyError};

/// Its name, PKCS#8 DER, mode 0600.
const FILE: &str = "witness.key";

/// The key in `dir`, or a new one if the directory is new too.
///
/// A directory that holds something else but no key has lost it: a new key there would pass for a witness that remembers.
pub fn open_or_create(dir: &Path) -> Result<Ed25519Key, KeyFileError> {
    let path = dir.join(FILE);
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| KeyFileError::Io { path, source }
    };
    match fs::read(&path) {
        Ok(bytes) => {
            let key = Ed25519Key::from_pkcs8(Secret::new(bytes));
            return key.map_err(|source| KeyFileError::Key { path, source });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(&path)(error)),
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(io(dir))?;
    if fs::read_dir(dir).map_err(io(dir))?.next().is_some() {
        return Err(KeyFileError::Lost {
            dir: dir.to_owned(),
        });
    }
    let key = Ed25519Key::generate().map_err(|source| KeyFileError::Key {
        path: path.clone(),
        source,
    })?;
    write(&path, key.pkcs8().expose())
        .and_then(|()| File::open(dir)?.sync_all())
        .map_err(io(&path))?;
    Ok(key)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system refuses a file operation.
    #[error("{} cannot be used", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file is no key.
    #[error("{} is not a witness's key", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// There is state, but no key.
    #[error("{} is not empty and has no witness.key", dir.display())]
    Lost {
        /// The directory.
        dir: PathBuf,
    },
}

impl Fault for KeyFileError {
    fn code(&self) -> Code {
        Code::DataDir
    }

    fn help(&self) -> String {
        match self {
            Self::Io { .. } => "Check that the directory is mounted and belongs to this user.".into(),
            Self::Key { .. } => "Restore the file from a backup of the whole directory.".into(),
            Self::Lost { .. } => {
                "Restore the whole directory from a backup, or start a witness of another name in an empty one.".into()
            }
        }
    }
}
