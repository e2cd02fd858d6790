//! The store as the rest of the node sees it.

use std::path::Path;
use std::sync::Arc;

use crate::job;
use crate::sqlite::Engine;
use crate::{Observer, OpenError, Reads, StoreError, Tx};

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

impl Store {
    /// Opens `store.db` in `dir`, creating both if need be, and brings its schema up to date. Holds `dir/LOCK` until closed.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        Ok(Self {
            engine: Arc::new(Engine::open(dir, options)?),
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
        self.engine.submit(job)?;
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
        self.engine.submit(job)?;
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
        self.engine.read(closure).await
    }

    /// Folds the database's write-ahead log into it, so that what was erased is in no file any more; false if others read or wrote all the
    /// while. Waits for them up to a few seconds: call it where blocking is allowed.
    pub fn fold(&self) -> Result<bool, StoreError> {
        self.engine.fold()
    }

    /// Adds an observer; it is told about commits from now on.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        self.engine.observe(observer);
    }

    /// The newest committed feed sequence.
    pub fn head(&self) -> u64 {
        self.engine.head()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store(head {})", self.head())
    }
}

#[cfg(test)]
mod tests;
