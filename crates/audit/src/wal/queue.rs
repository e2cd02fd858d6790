//! The bounded queue between producers and the commit thread. It holds at most 16,384 events and 64 MiB; full for a second, it refuses.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_core::Digest;
use bailiwick_core::id::EventId;
use tokio::sync::{Semaphore, oneshot};

use super::batch::{self, EventFrame};
use super::refused::Refused;
use super::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS};
use crate::hlc::Hlc;
use crate::record::{Class, Receipt, RecordError, Unavailable};

/// Most events that wait.
pub(crate) const MAX_QUEUED: usize = 16_384;
/// Most bytes that wait.
pub(crate) const MAX_QUEUED_BYTES: u32 = 64 << 20;
/// How long a producer waits for room.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(1);
/// Room in a batch for what the log itself has to say.
const OWN_EVENTS: usize = 2;
const OWN_BYTES: usize = 8 << 10;

/// An event on its way, already in its stored form.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) id: EventId,
    pub(crate) class: Class,
    pub(crate) hlc: Hlc,
    pub(crate) frame: EventFrame,
    /// RFC 6962 hash of the leaf.
    pub(crate) leaf_hash: Digest,
    /// Where the answer goes; nobody may be waiting any more.
    pub(crate) answer: Option<oneshot::Sender<Result<Receipt, RecordError>>>,
}

impl Pending {
    /// Bytes in a batch.
    pub(crate) fn cost(&self) -> usize {
        self.frame.bytes().len()
    }

    /// Answers, if anybody still waits.
    pub(crate) fn answer(self, answer: Result<Receipt, RecordError>) {
        if let Some(waiting) = self.answer {
            // The producer may have stopped waiting; the event is on record all the same.
            let _ = waiting.send(answer);
        }
    }
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    ready: Condvar,
    slots: Semaphore,
    bytes: Semaphore,
    /// What narrowed authority and is not on record.
    refused: Mutex<Refused>,
    /// Most bytes of one batch; below the bound of the format where segments are small.
    batch_bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<Pending>,
    /// The commit thread waits for something to do; only then does it cost a producer a system call to wake it.
    idle: bool,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(batch_bytes: usize) -> Self {
        Self {
            inner: Mutex::default(),
            ready: Condvar::new(),
            slots: Semaphore::new(MAX_QUEUED),
            bytes: Semaphore::new(MAX_QUEUED_BYTES as usize),
            refused: Mutex::default(),
            batch_bytes: batch_bytes.min(MAX_BATCH_BYTES),
        }
    }

    /// Enqueues at once if there is room, else gives the event back.
    pub(crate) fn try_push(&self, pending: Pending) -> Result<(), Box<Pending>> {
        let Ok(slot) = self.slots.try_acquire() else {
            return Err(Box::new(pending));
        };
        let Ok(bytes) = self.bytes.try_acquire_many(cost(&pending)) else {
            return Err(Box::new(pending));
        };
        slot.forget();
        bytes.forget();
        self.insert(pending);
        Ok(())
    }

    /// Enqueues, waiting up to [`MAX_WAIT`] for room. What is refused is answered.
    pub(crate) async fn push(&self, pending: Box<Pending>) {
        let room = async {
            let slot = self.slots.acquire().await?;
            let bytes = self.bytes.acquire_many(cost(&pending)).await?;
            slot.forget();
            bytes.forget();
            Ok::<_, tokio::sync::AcquireError>(())
        };
        match tokio::time::timeout(MAX_WAIT, room).await {
            Ok(Ok(())) => self.insert(*pending),
            Ok(Err(_)) => pending.answer(Err(RecordError::Unavailable(Unavailable::Stopped))),
            Err(_) => self.refuse(*pending, Unavailable::Busy),
        }
    }

    /// Refuses an event for want of room; one that narrows authority is counted.
    pub(crate) fn refuse(&self, pending: Pending, why: Unavailable) {
        // What the log says of itself is said again.
        if pending.class == Class::Narrow && pending.answer.is_some() {
            self.refused().note(pending.id);
        }
        pending.answer(Err(RecordError::Unavailable(why)));
    }

    /// Events that narrow authority and were refused for want of room.
    pub(crate) fn refused(&self) -> MutexGuard<'_, Refused> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next batch takes: all that waits, up to its bounds. Blocks while nothing waits; `None` once closed and empty.
    pub(crate) fn take(&self) -> Option<Vec<Pending>> {
        let mut inner = self.lock();
        while inner.waiting.is_empty() {
            if inner.closed {
                return None;
            }
            inner.idle = true;
            inner = self
                .ready
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
            inner.idle = false;
        }
        let mut batch = Vec::with_capacity(inner.waiting.len().min(MAX_BATCH_EVENTS));
        let mut bytes = batch::FIXED + OWN_BYTES;
        while let Some(next) = inner.waiting.front() {
            bytes += next.cost();
            if !batch.is_empty()
                && (bytes > self.batch_bytes || batch.len() + OWN_EVENTS >= MAX_BATCH_EVENTS)
            {
                break;
            }
            batch.extend(inner.waiting.pop_front());
        }
        drop(inner);
        self.slots.add_permits(batch.len());
        self.bytes
            .add_permits(batch.iter().map(|pending| cost(pending) as usize).sum());
        Some(batch)
    }

    /// Takes no more events; those that wait are still written.
    pub(crate) fn close(&self) {
        self.slots.close();
        self.bytes.close();
        self.lock().closed = true;
        self.ready.notify_all();
    }

    /// Refuses everything that waits. Used when the disk failed.
    pub(crate) fn refuse_all(&self) {
        self.close();
        let waiting = std::mem::take(&mut self.lock().waiting);
        for pending in waiting {
            pending.answer(Err(RecordError::Unavailable(Unavailable::Stopped)));
        }
    }

    fn insert(&self, pending: Pending) {
        let mut inner = self.lock();
        if inner.closed {
            drop(inner);
            pending.answer(Err(RecordError::Unavailable(Unavailable::Stopped)));
            return;
        }
        inner.waiting.push_back(pending);
        let idle = inner.idle;
        drop(inner);
        if idle {
            self.ready.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(pending: &Pending) -> u32 {
    u32::try_from(pending.cost()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
