//! A new node: its data directory, its seal, and a configuration with every key at its default.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bailiwick_crypto::seal::Seal;
use bailiwick_crypto::system::SystemRng;

use crate::config::Config;
use crate::node::{StartError, ensure_private};

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialised {
    /// The configuration.
    pub config: PathBuf,
    /// Where the node keeps everything.
    pub data_dir: PathBuf,
    /// The key that opens everything sealed there: back it up apart from the rest.
    pub seal: PathBuf,
    /// What to do next, for a person.
    pub next: String,
}

/// Makes `dir` with `bailiwick.toml` and `data/` in it. Nothing that is there is overwritten.
pub fn init(dir: &Path) -> Result<Initialised, StartError> {
    let failed = |path: &Path, what| {
        let path = path.to_owned();
        move |source| StartError::Path { path, what, source }
    };
    let dir = std::path::absolute(dir).map_err(failed(dir, "its absolute path cannot be told"))?;
    ensure_private(&dir)?;
    let (config, data_dir) = (dir.join("bailiwick.toml"), dir.join("data"));
    let seal = data_dir.join("seal.key");
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&config);
    let mut file = file.map_err(failed(&config, "a new configuration cannot be written"))?;
    let text = Config::starter(&data_dir);
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    written.map_err(failed(&config, "a new configuration cannot be written"))?;
    ensure_private(&data_dir)?;
    Seal::open_or_create(&seal, &SystemRng)?;
    let next = format!(
        "1. Look at {config}: the trust domain cannot be changed later.\n\
         2. Copy {seal} to a safe place: without it the node's keys and secrets are lost.\n\
         3. Start the node: bailiwick serve --config {config}",
        config = config.display(),
        seal = seal.display(),
    );
    Ok(Initialised {
        config,
        data_dir,
        seal,
        next,
    })
}

#[cfg(test)]
mod tests;
