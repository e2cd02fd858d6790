//! The store as the rest of the node sees it.

use std::path::Path;
use std::sync::Arc;

use crate::job;
use crate::job::Job;
use crate::{Observer, OpenError, PostgresStore, Reads, StoreError, Tx, postgres, sqlite};

/// Settings of a store.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Most pages of 4 KiB that the database may have; none: as much as the disk holds.
    pub max_pages: Option<u32>,
}

/// The state of one deployment. Cheap to clone; the last clone closes it.
#[derive(Clone)]
pub struct Store {
    engine: Arc<Engine>,
}

enum Engine {
    Sqlite(sqlite::Engine),
    Postgres(Box<postgres::Engine>),
}

impl Store {
    /// Opens `store.db` in `dir`, creating both if need be, and brings its schema up to date. Holds `dir/LOCK` until closed.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        Ok(Self {
            engine: Arc::new(Engine::Sqlite(sqlite::Engine::open(dir, options)?)),
        })
    }

    /// Opens the store in a PostgreSQL database that other nodes may have open too, and brings its schema up to date. `dir` is this node's
    /// own directory for everything else; holds `dir/LOCK` until closed. Waits for the server, and panics on a
    /// thread that runs async tasks: call it where blocking is allowed.
    pub fn open_postgres(dir: &Path, at: &PostgresStore) -> Result<Self, OpenError> {
        Ok(Self {
            engine: Arc::new(Engine::Postgres(Box::new(postgres::Engine::open(dir, at)?))),
        })
    }

    /// Runs `closure` in a transaction. When this resolves with `Ok`, its writes are durable and every observer has seen them.
    /// With `Err`, none of its writes are kept. Not cancelled by dropping the future. Writes from many callers share a commit.
    ///
    /// The closure must be pure but for the transaction: it may be run again after a rollback.
    pub async fn write<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: Fn(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, answer) = job::queue(closure);
        self.submit(job)?;
        answer.await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable("the writer has stopped".to_owned()).into())
        })
    }

    /// [`Self::write`] for threads without a runtime. Panics on one that runs async tasks: call it where blocking is allowed.
    pub fn write_blocking<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: Fn(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, answer) = job::queue(closure);
        self.submit(job)?;
        answer.blocking_recv().unwrap_or_else(|_| {
            Err(StoreError::Unavailable("the writer has stopped".to_owned()).into())
        })
    }

    /// Runs `closure` on a snapshot that holds every commit made before this call.
    pub async fn read<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: FnOnce(&dyn Reads) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match self.engine.as_ref() {
            Engine::Sqlite(engine) => engine.read(closure).await,
            Engine::Postgres(engine) => engine.read(closure).await,
        }
    }

    /// Folds the database's write-ahead log into it, so that what was erased is in no file any more; false if others read or wrote all the
    /// while. Waits for them up to a few seconds: call it where blocking is allowed. PostgreSQL only takes what was erased out of its tables:
    /// its write-ahead log, its archive and its replicas are its operator's.
    pub fn fold(&self) -> Result<bool, StoreError> {
        match self.engine.as_ref() {
            Engine::Sqlite(engine) => engine.fold(),
            Engine::Postgres(engine) => engine.fold(),
        }
    }

    /// Adds an observer; it is told about commits from now on.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        match self.engine.as_ref() {
            Engine::Sqlite(engine) => engine.observe(observer),
            Engine::Postgres(engine) => engine.observe(observer),
        }
    }

    /// The newest committed feed sequence; of those that this node has heard of, where there are others.
    pub fn head(&self) -> u64 {
        match self.engine.as_ref() {
            Engine::Sqlite(engine) => engine.head(),
            Engine::Postgres(engine) => engine.head(),
        }
    }

    /// Durable commits of this process since it opened the store. Many writes can share one; what changed nothing is none.
    pub fn commits(&self) -> u64 {
        match self.engine.as_ref() {
            Engine::Sqlite(engine) => engine.commits(),
            Engine::Postgres(engine) => engine.commits(),
        }
    }

    fn submit(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        match self.engine.as_ref() {
            Engine::Sqlite(engine) => engine.submit(job),
            Engine::Postgres(engine) => engine.submit(job),
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store(head {})", self.head())
    }
}

#[cfg(test)]
mod tests;
