//! One database file of the index: made whole or not at all, private, and thrown away where it is not what it should be.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bailiwick_core::index::IndexError;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::tally;

/// "BWIX", in the file's header.
const APPLICATION: i64 = 0x4257_4958;
/// A file of another version is thrown away and made again.
const VERSION: i64 = 2;
/// How long a connection waits for another one's lock.
const BUSY: Duration = Duration::from_secs(5);
/// Pages of write-ahead log between checkpoints.
const CHECKPOINT_PAGES: i64 = 4_000;
/// KiB of page cache of a writer, as SQLite wants it: negative.
const CACHE: i64 = -32_768;

/// A file open for writing.
pub(super) struct Writable {
    pub(super) connection: Connection,
    path: PathBuf,
    inode: u64,
    /// Changes when another connection writes.
    version: i64,
}

/// What a file looks like from outside. It changes whenever somebody writes to it: nobody sets the last of its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
    /// Bytes that wait in the write-ahead log beside it.
    waiting: u64,
}

impl Stamp {
    /// None if the file is not there.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let about = fs::metadata(path).ok()?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Some(Self {
            inode: about.ino(),
            size: about.size(),
            changed: (about.ctime(), about.ctime_nsec()),
            waiting: fs::metadata(log).map_or(0, |about| about.size()),
        })
    }
}

impl Writable {
    /// Opens the file, or makes it with `schema`. One that is damaged or of another version is replaced by an empty one.
    pub(super) fn open(path: &Path, schema: &str) -> Result<Self, IndexError> {
        if path.exists() {
            match Self::existing(path) {
                Ok(Some(open)) => return Ok(open),
                Ok(None) => {}
                Err(error) if is_damage(&error) => {}
                Err(error) => return Err(unavailable(path, &error)),
            }
        }
        remove(path)?;
        Self::make(path, schema)?;
        let made = Self::existing(path).map_err(|error| unavailable(path, &error))?;
        made.ok_or_else(|| unavailable(path, &"it was replaced while it was made"))
    }

    fn existing(path: &Path) -> rusqlite::Result<Option<Self>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connect(&connection)?;
        if !is_ours(&connection)? {
            return Ok(None);
        }
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        // Whatever the last commits were when power fails: they are made again.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "cache_size", CACHE)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        let inode = fs::metadata(path).map_or(0, |about| about.ino());
        let path = path.to_owned();
        let version = version_of(&connection)?;
        Ok(Some(Self {
            connection,
            path,
            inode,
            version,
        }))
    }

    /// Makes it under another name first: who finds the file finds all its tables.
    fn make(path: &Path, schema: &str) -> Result<(), IndexError> {
        let new = path.with_extension("new");
        remove(&new)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options
            .open(&new)
            .map_err(|error| unavailable(&new, &error))?;
        let made = || {
            let connection = Connection::open(&new)?;
            // What a power cut leaves of it is no database of ours, and made anew.
            connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF")?;
            connection.pragma_update(None, "page_size", 8_192)?;
            connection.execute_batch(tally::SCHEMA)?;
            connection.execute_batch(schema)?;
            connection.pragma_update(None, "application_id", APPLICATION)?;
            connection.pragma_update(None, "user_version", VERSION)?;
            connection.close().map_err(|(_, error)| error)
        };
        made().map_err(|error| unavailable(&new, &error))?;
        fs::rename(&new, path).map_err(|error| unavailable(path, &error))
    }

    /// Whether the file that is open is still the one of this name, and nobody else has written to it.
    pub(super) fn is_ours(&self) -> bool {
        let same = fs::metadata(&self.path).is_ok_and(|about| about.ino() == self.inode);
        same && version_of(&self.connection).is_ok_and(|version| version == self.version)
    }
}

fn version_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA data_version", [], |row| row.get(0))
}

/// Opens a file for reading; none if it is not there, or is not one of ours any more.
pub(super) fn read(path: &Path) -> Result<Option<Connection>, IndexError> {
    if !path.exists() {
        return Ok(None);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connect(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(is_ours(&connection)?.then_some(connection))
    };
    match opened() {
        Err(error) if is_damage(&error) || !path.exists() => Ok(None),
        opened => opened.map_err(|error| unavailable(path, &error)),
    }
}

/// Removes a file with what SQLite keeps beside it: left alone, an old write-ahead log would be played into a new file.
pub(super) fn remove(path: &Path) -> Result<(), IndexError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unavailable(path, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether SQLite says that the file is not a good database. Nothing that a query says can make it say so.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

pub(super) fn unavailable(path: &Path, error: &dyn std::fmt::Display) -> IndexError {
    IndexError::Unavailable(format!("{}: {error}", path.display()))
}

fn connect(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "trusted_schema", false)
}

fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    let number = |pragma| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    Ok(
        number("PRAGMA application_id")? == APPLICATION
            && number("PRAGMA user_version")? == VERSION,
    )
}
