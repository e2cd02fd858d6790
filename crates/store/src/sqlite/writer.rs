//! The writer thread: takes all writes that wait, runs each in its own savepoint of one transaction, commits once.
//!
//! One sync per commit is what a disk can give; sharing it is what makes many small writes fast. Order per commit: durable, then
//! the head, then the observers, then the callers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError};

use bailiwick_core::change::Change;
use rusqlite::Connection;

use super::directory::Directory;
use super::engine::Observers;
use super::view::{View, failure};
use crate::job::Job;
use crate::{MAX_QUEUED_WRITES, StoreError};

pub(super) struct Writer {
    connection: Connection,
    head: Arc<AtomicU64>,
    observers: Observers,
    /// Last, so that the lock outlives the connection.
    _directory: Directory,
}

/// What one transaction did: its changes, and per job why its result does not count.
type Committed = (Vec<Change>, Vec<Option<StoreError>>);

impl Writer {
    pub(super) fn new(
        connection: Connection,
        head: Arc<AtomicU64>,
        observers: Observers,
        directory: Directory,
    ) -> Self {
        Self {
            connection,
            head,
            observers,
            _directory: directory,
        }
    }

    /// Until the last sender is gone and the queue is empty.
    pub(super) fn run(self, queue: &Receiver<Box<dyn Job>>) {
        while let Ok(first) = queue.recv() {
            let mut batch = vec![first];
            batch.extend(queue.try_iter().take(MAX_QUEUED_WRITES - 1));
            self.commit(batch);
        }
    }

    fn commit(&self, mut batch: Vec<Box<dyn Job>>) {
        match self.transact(&mut batch) {
            Ok((changes, failures)) => {
                if let Some(newest) = changes.last() {
                    self.head.store(newest.seq, Ordering::Release);
                    self.tell(&changes);
                }
                for (job, failure) in batch.into_iter().zip(failures) {
                    job.resolve(failure);
                }
            }
            Err(failure) => {
                tracing::error!(writes = batch.len(), error = %failure, "the store could not commit");
                if !self.connection.is_autocommit()
                    && self.connection.execute_batch("ROLLBACK").is_err()
                {
                    tracing::error!("the store could not roll back");
                }
                for job in batch {
                    job.resolve(Some(failure.clone()));
                }
            }
        }
    }

    fn transact(&self, batch: &mut [Box<dyn Job>]) -> Result<Committed, StoreError> {
        self.sql("BEGIN IMMEDIATE")?;
        let mut view = View::new(&self.connection, self.head.load(Ordering::Acquire));
        let mut failures = Vec::with_capacity(batch.len());
        for job in batch {
            failures.push(self.step(&mut view, job.as_mut())?);
        }
        let changes = view.into_changes();
        self.sql("COMMIT")?;
        Ok((changes, failures))
    }

    /// Runs one job in its savepoint. `Err`: the whole transaction is lost.
    fn step(
        &self,
        view: &mut View<'_>,
        job: &mut dyn Job,
    ) -> Result<Option<StoreError>, StoreError> {
        self.sql("SAVEPOINT job")?;
        let mark = view.mark();
        // A panic leaves nothing half done behind: the savepoint takes the rows back, the mark the changes.
        let ran = catch_unwind(AssertUnwindSafe(|| job.run(view)));
        if self.connection.is_autocommit() {
            // SQLite gives up the transaction by itself on some disk errors.
            return Err(StoreError::Unavailable(
                "the disk is full or failing; the commit was rolled back".to_owned(),
            ));
        }
        let failure = match ran {
            Ok(true) => {
                self.sql("RELEASE job")?;
                return Ok(None);
            }
            Ok(false) => None,
            Err(panic) => Some(StoreError::Defect(words(panic.as_ref()))),
        };
        view.reset(mark);
        self.sql("ROLLBACK TO job")?;
        self.sql("RELEASE job")?;
        Ok(failure)
    }

    fn tell(&self, changes: &[Change]) {
        let observers = self
            .observers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for observer in observers {
            // One broken observer must not stop the store or keep fences from the others. It will see the gap.
            if catch_unwind(AssertUnwindSafe(|| observer.committed(changes))).is_err() {
                tracing::error!("an observer of the store panicked");
            }
        }
    }

    fn sql(&self, sql: &str) -> Result<(), StoreError> {
        let step = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]));
        // Whatever is wrong with these statements, the caller's write did not happen.
        step.map(|_| ()).map_err(|error| match failure(error) {
            unavailable @ StoreError::Unavailable(_) => unavailable,
            other => StoreError::Unavailable(other.to_string()),
        })
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a write panicked: {}", text.unwrap_or("without words"))
}
