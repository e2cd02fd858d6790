//! Read-only connections to the file.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::connection::failure;
use super::engine::connect;
use crate::StoreError;
use crate::readers::Source;

/// The database file.
pub(super) struct File(pub(super) PathBuf);

impl File {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.0, flags)?;
        connect(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }
}

impl Source for File {
    type Link = Connection;

    fn open(&self) -> Result<Connection, StoreError> {
        self.connect().map_err(failure)
    }

    fn begin(&self, link: &Connection) -> Result<(), StoreError> {
        link.execute_batch("BEGIN").map_err(failure)
    }

    fn end(&self, link: &Connection) -> bool {
        link.execute_batch("COMMIT").is_ok()
    }

    fn node(&self) -> &'static str {
        ""
    }
}
