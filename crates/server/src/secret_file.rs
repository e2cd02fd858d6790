//! Secrets that the operator keeps in files, readable by their owner alone.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use bailiwick_core::Secret;

use crate::node::StartError;

/// Longest secret read: an RSA key of 8,192 bits in PEM.
const MAX_SECRET: u64 = 8 << 10;

/// What a file says, without the line's end. `what` it is and what is wrong with others reading it are for the error.
pub(crate) fn read(
    path: &Path,
    what: &'static str,
    exposed: &'static str,
) -> Result<Secret<String>, StartError> {
    let unreadable = |source| StartError::Path {
        path: path.to_owned(),
        what,
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(StartError::Exposed {
            path: path.to_owned(),
            mode,
            why: exposed,
        });
    }
    let mut text = String::new();
    file.take(MAX_SECRET)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(unreadable(io::Error::other("it is empty")));
    }
    Ok(Secret::new(secret.to_owned()))
}
