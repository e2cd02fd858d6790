//! Digests of executables, cached by what changes when a file's content does.

use std::fs::File;
use std::io::Read;

use bailiwick_core::Digest;
use bailiwick_crypto::hash::Hasher;
use quick_cache::sync::Cache;
use rustix::fs::fstat;

use super::AttestError;

/// Larger executables are refused, so that a caller cannot keep the node busy.
const MAX_EXECUTABLE: u64 = 1 << 30;
/// Digests remembered.
const CACHED: usize = 1_024;

/// Device, inode, size, and modification and change time in nanoseconds.
type Identity = (u64, u64, i64, i128, i128);

/// Digests of executables seen.
#[derive(Debug)]
pub struct Hashes(Cache<Identity, Digest>);

impl Default for Hashes {
    fn default() -> Self {
        Self(Cache::new(CACHED))
    }
}

impl Hashes {
    /// SHA-256 of an open executable, read through its descriptor.
    pub(super) fn of(&self, pid: u32, executable: &File) -> Result<Digest, AttestError> {
        let unreadable = |source: std::io::Error| AttestError::Unreadable {
            pid,
            what: "its executable",
            source,
        };
        let stat = fstat(executable).map_err(|error| unreadable(error.into()))?;
        if u64::try_from(stat.st_size).unwrap_or(u64::MAX) > MAX_EXECUTABLE {
            return Err(AttestError::TooLarge(pid));
        }
        let nanos = |secs: i64, nanos: i128| i128::from(secs) * 1_000_000_000 + nanos;
        let identity = (
            stat.st_dev,
            stat.st_ino,
            stat.st_size,
            nanos(stat.st_mtime, i128::from(stat.st_mtime_nsec)),
            nanos(stat.st_ctime, i128::from(stat.st_ctime_nsec)),
        );
        if let Some(known) = self.0.get(&identity) {
            return Ok(known);
        }
        let mut hasher = Hasher::new();
        let mut buffer = vec![0_u8; 64 * 1024];
        let mut reader = executable.take(MAX_EXECUTABLE);
        loop {
            let read = reader.read(&mut buffer).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            hasher.update(buffer.get(..read).unwrap_or_default());
        }
        let digest = hasher.finish();
        self.0.insert(identity, digest);
        Ok(digest)
    }
}
