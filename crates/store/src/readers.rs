//! Reads: each on its own connection and thread, on a snapshot of the newest commit. How many run and wait is bounded here, for every
//! engine.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::sql::{Connection, View};
use crate::{MAX_QUEUED_READS, MAX_READERS, Reads, StoreError};

/// Connections for reading only.
pub(crate) trait Source: Send + Sync + 'static {
    /// One of them.
    type Link: Connection + Send;

    /// Opens one.
    fn open(&self) -> Result<Self::Link, StoreError>;

    /// Begins a snapshot.
    fn begin(&self, link: &Self::Link) -> Result<(), StoreError>;

    /// Ends it; false if the connection is of no use any more.
    fn end(&self, link: &Self::Link) -> bool;

    /// The node that reads; empty where there is only one.
    fn node(&self) -> &str;
}

/// Readers on connections of one source.
pub(crate) struct Readers<S: Source> {
    source: S,
    idle: Mutex<Vec<S::Link>>,
    running: Arc<Semaphore>,
    admitted: Semaphore,
}

impl<S: Source> Readers<S> {
    pub(crate) fn new(source: S) -> Arc<Self> {
        Arc::new(Self {
            source,
            idle: Mutex::default(),
            running: Arc::new(Semaphore::new(MAX_READERS)),
            admitted: Semaphore::new(MAX_READERS + MAX_QUEUED_READS),
        })
    }

    pub(crate) async fn run<T, E, F>(self: Arc<Self>, closure: F) -> Result<T, E>
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

    pub(crate) fn source(&self) -> &S {
        &self.source
    }

    /// Drops the idle connections.
    pub(crate) fn close(&self) {
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
        let link = self.begin()?;
        let result = View::on_snapshot(&link, self.source.node())
            .map_err(E::from)
            .and_then(|view| closure(&view));
        if self.source.end(&link) {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(link);
        }
        result
    }

    /// A connection with a snapshot. One that went stale while idle is replaced, once: nothing was read on it yet.
    fn begin(&self) -> Result<S::Link, StoreError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        if let Some(link) = idle
            && self.source.begin(&link).is_ok()
        {
            return Ok(link);
        }
        let link = self.source.open()?;
        self.source.begin(&link)?;
        Ok(link)
    }
}
