//! Reads: each on its own read-only connection and thread, on a snapshot of the newest commit.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::engine::connect;
use super::view::{View, failure};
use crate::{MAX_QUEUED_READS, MAX_READERS, Reads, StoreError};

pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    running: Arc<Semaphore>,
    admitted: Semaphore,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            path,
            idle: Mutex::default(),
            running: Arc::new(Semaphore::new(MAX_READERS)),
            admitted: Semaphore::new(MAX_READERS + MAX_QUEUED_READS),
        })
    }

    pub(super) async fn run<T, E, F>(self: Arc<Self>, closure: F) -> Result<T, E>
    where
        F: FnOnce(&dyn Reads) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let readers = Arc::clone(&self);
        let Ok(_admitted) = self.admitted.try_acquire() else {
            return Err(StoreError::Overloaded(MAX_QUEUED_READS, "reads").into());
        };
        let Ok(running) = Arc::clone(&self.running).acquire_owned().await else {
            return Err(StoreError::Unavailable("the store is closing".to_owned()).into());
        };
        let read = tokio::task::spawn_blocking(move || {
            let _running = running;
            readers.on_snapshot(closure)
        });
        match read.await {
            Ok(result) => result,
            Err(error) => Err(StoreError::Defect(format!("a read was cut short: {error}")).into()),
        }
    }

    /// The database.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Drops the idle connections.
    pub(super) fn close(&self) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn on_snapshot<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: FnOnce(&dyn Reads) -> Result<T, E>,
        E: From<StoreError>,
    {
        // A connection whose closure panics, or which cannot end its snapshot, is dropped instead of being given back.
        let connection = self.connection()?;
        connection.execute_batch("BEGIN").map_err(failure)?;
        let result = View::on_snapshot(&connection)
            .map_err(E::from)
            .and_then(|view| closure(&view));
        if connection.execute_batch("COMMIT").is_ok() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
        }
        result
    }

    fn connection(&self) -> Result<Connection, StoreError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        idle.map_or_else(|| self.open().map_err(failure), Ok)
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connect(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }
}
