//! The writer thread: takes all writes that wait, runs each in its own savepoint of one transaction, commits once.
//!
//! One sync per commit is what a disk can give; sharing it is what makes many small writes fast. Order per commit: durable, then
//! the head, then the observers, then the callers.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use rusqlite::Connection;

use crate::batch::{self, Ran};
use crate::directory::Directory;
use crate::job::Job;
use crate::observers::Observers;
use crate::sql::Connection as _;
use crate::{MAX_QUEUED_WRITES, StoreError};

pub(super) struct Writer {
    connection: Connection,
    observers: Arc<Observers>,
    /// Last, so that the lock outlives the connection.
    _directory: Directory,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        observers: Arc<Observers>,
        directory: Directory,
    ) -> Self {
        Self {
            connection,
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
            Ok(ran) => {
                self.observers.tell(&ran.changes);
                batch::resolve(batch, ran.failures);
            }
            Err(failure) => {
                if !self.connection.is_autocommit()
                    && self.connection.execute_batch("ROLLBACK").is_err()
                {
                    tracing::error!("the store could not roll back");
                }
                batch::fail(batch, &failure);
            }
        }
    }

    fn transact(&self, batch: &mut [Box<dyn Job>]) -> Result<Ran, StoreError> {
        self.connection.command("BEGIN IMMEDIATE")?;
        let ran = batch::run(&self.connection, "", self.observers.head(), batch)?;
        self.connection.command("COMMIT")?;
        if ran.wrote {
            self.observers.committed();
        }
        Ok(ran)
    }
}
