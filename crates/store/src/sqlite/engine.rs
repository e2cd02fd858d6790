//! Opening the database and holding its parts together; closing them in the right order.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::connection::failure;
use super::migrate;
use super::readers::File;
use super::writer::Writer;
use crate::directory::Directory;
use crate::job::Job;
use crate::observers::Observers;
use crate::readers::Readers;
use crate::{MAX_QUEUED_WRITES, Observer, OpenError, Options, Reads, StoreError};

/// 3.51.3: older ones can lose the WAL's tail when it is reset.
const OLDEST_SQLITE: i32 = 3_051_003;
/// How long a connection waits for another one's lock; only checkpoints hold one for long.
const BUSY: Duration = Duration::from_secs(5);
/// The WAL is cut back to this many bytes after a checkpoint.
const MAX_IDLE_WAL: i64 = 64 * 1024 * 1024;

/// An open database.
pub(crate) struct Engine {
    queue: Option<SyncSender<Box<dyn Job>>>,
    writer: Option<JoinHandle<()>>,
    readers: Arc<Readers<File>>,
    observers: Arc<Observers>,
}

impl Engine {
    pub(crate) fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        let (directory, connection, path) = open_database(dir, options)?;
        let failed = |error: rusqlite::Error| OpenError::Database {
            path: path.clone(),
            why: error.to_string(),
        };
        let newest: Option<i64> = connection
            .query_row("SELECT max(seq) FROM change", [], |row| row.get(0))
            .map_err(failed)?;

        let observers = Arc::new(Observers::default());
        observers.begin(newest.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0));
        let (queue, jobs) = sync_channel(MAX_QUEUED_WRITES);
        let writer = Writer::new(connection, Arc::clone(&observers), directory);
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(&jobs))
            .map_err(|source| OpenError::Io {
                path: path.clone(),
                source,
            })?;
        Ok(Self {
            queue: Some(queue),
            writer: Some(writer),
            readers: Readers::new(File(path)),
            observers,
        })
    }

    pub(crate) fn submit(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        let stopped = || StoreError::Unavailable("the writer has stopped".to_owned());
        self.queue
            .as_ref()
            .ok_or_else(stopped)?
            .try_send(job)
            .map_err(|error| match error {
                TrySendError::Full(_) => StoreError::Overloaded(MAX_QUEUED_WRITES, "writes"),
                TrySendError::Disconnected(_) => stopped(),
            })
    }

    pub(crate) async fn read<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: FnOnce(&dyn Reads) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        Arc::clone(&self.readers).run(closure).await
    }

    pub(crate) fn observe(&self, observer: Arc<dyn Observer>) {
        self.observers.add(observer);
    }

    /// Folds the write-ahead log into the database and cuts it to nothing; false if somebody read or wrote all the while.
    pub(crate) fn fold(&self) -> Result<bool, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.readers.source().path(), flags);
        let connection = connection.map_err(failure)?;
        connect(&connection).map_err(failure)?;
        let busy: i64 = connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(failure)?;
        Ok(busy == 0)
    }

    pub(crate) fn head(&self) -> u64 {
        self.observers.head()
    }

    pub(crate) fn commits(&self) -> u64 {
        self.observers.commits()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Readers first: SQLite folds the WAL back into the file when the writer is the last to close.
        self.readers.close();
        drop(self.queue.take());
        let Some(writer) = self.writer.take() else {
            return;
        };
        // An observer may have held the last clone; a thread cannot wait for itself.
        if writer.thread().id() != std::thread::current().id() && writer.join().is_err() {
            tracing::error!("the store's writer thread panicked");
        }
    }
}

/// The file in a directory that this process then holds, brought up to date.
pub(crate) fn open_file(dir: &Path) -> Result<(Directory, Connection), OpenError> {
    let (directory, connection, _) = open_database(dir, Options::default())?;
    Ok((directory, connection))
}

fn open_database(
    dir: &Path,
    options: Options,
) -> Result<(Directory, Connection, PathBuf), OpenError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(OpenError::Engine {
            found: rusqlite::version(),
        });
    }
    let directory = Directory::claim(dir)?;
    let path = directory.database()?;
    let failed = |error: rusqlite::Error| OpenError::Database {
        path: path.clone(),
        why: error.to_string(),
    };
    let mut connection = Connection::open_with_flags(
        &path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(failed)?;
    migrate::recognise(&connection, &path)?;
    configure(&connection, options).map_err(failed)?;
    migrate::migrate(&mut connection, &path)?;
    Ok((directory, connection, path))
}

/// What every connection needs.
pub(super) fn connect(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(256);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)
}

fn configure(connection: &Connection, options: Options) -> rusqlite::Result<()> {
    connect(connection)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::InvalidParameterName(format!(
            "journal mode is {mode}, not WAL"
        )));
    }
    // FULL: the WAL is synced at each commit; NORMAL could lose the newest ones when power fails.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What is overwritten or deleted leaves zeros, not itself: erasing a person's words, destroying a key.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "journal_size_limit", MAX_IDLE_WAL)?;
    if let Some(pages) = options.max_pages {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(())
}
