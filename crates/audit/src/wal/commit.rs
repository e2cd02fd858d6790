//! The commit thread: takes what waits, makes it durable in one batch, answers. No timer: what arrives during a sync is the next batch.
//!
//! It alone decides whether space is short, batch by batch, so a log that has space again takes grants again with the next event.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bailiwick_core::{Clock, Digest, Rng, Timestamp};
use tokio::sync::watch;

use super::batch::{EventFrame, Stored};
use super::queue::{Pending, Queue};
use super::refused::Refused;
use super::spare::Spare;
use super::writer::Writer;
use crate::disk::{Disk, WriteFault};
use crate::elapsed::Anomaly;
use crate::housekeeping::Wake;
use crate::record::{Class, Receipt, RecordError, Unavailable};
use crate::retention::Minimum;
use crate::seal::{self, Keks};

/// What the log says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    Opened,
    Closed { refused: u64 },
    Recovered { zeroed: u64 },
    Degraded { reason: String },
    Restored { refused: u64 },
    Retention { minimum: Minimum, due: Timestamp },
    Clock(Anomaly),
    ScrubFailed { words: String },
}

/// Turns a notice into an event in its stored form. `None` if it does not encode, which is logged where it is tried.
pub(crate) type Announce = Box<dyn Fn(Notice) -> Option<Pending> + Send>;

/// Called when the disk or the claim to the log cannot be trusted any more; does not return in production.
pub(crate) type Abort = Arc<dyn Fn(&str) + Send + Sync>;

/// An order to begin a segment with the next batch.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    ordered: AtomicBool,
    /// First leaf of the newest segment that was begun so.
    at: AtomicU64,
}

impl Roll {
    pub(crate) fn order(&self) {
        self.ordered.store(true, Ordering::Release);
    }

    /// First leaf of the newest segment that was begun by order.
    pub(crate) fn at(&self) -> u64 {
        self.at.load(Ordering::Acquire)
    }
}

/// The commit thread's state.
pub(crate) struct Commit {
    pub(crate) writer: Writer,
    pub(crate) queue: Arc<Queue>,
    pub(crate) spare: Arc<Spare>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) origin: Arc<str>,
    pub(crate) dir: PathBuf,
    pub(crate) min_free: u64,
    /// Most bytes of segments that are not retired.
    pub(crate) max_untiled: u64,
    /// First segment that is not.
    pub(crate) first_segment: Arc<AtomicU64>,
    pub(crate) roll: Arc<Roll>,
    pub(crate) keks: Arc<Keks>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) durable: watch::Sender<u64>,
    pub(crate) degraded: Arc<AtomicBool>,
    pub(crate) wake: Arc<Wake>,
    pub(crate) announce: Announce,
    pub(crate) abort: Abort,
    pub(crate) standing: Standing,
}

/// What has been said about space, and what could not be.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// `log.degraded` is on record and `log.restored` not yet.
    announced: bool,
    /// What `log.restored` is about to state.
    stated: Refused,
}

/// The disk failed; the thread ends.
struct Broken;

impl Commit {
    /// Runs until the queue is closed and empty, or the disk fails.
    pub(crate) fn run(mut self) {
        while let Some(batch) = self.queue.take() {
            if self.commit(batch).is_err() {
                return self.queue.refuse_all();
            }
        }
        // Where there is room, `log.restored` says it.
        let refused = if self.shortage().is_some() {
            self.queue.refused().count()
        } else {
            0
        };
        let last = (self.announce)(Notice::Closed { refused });
        let last = last.into_iter().collect();
        // Nothing waits any more, so there is nobody to tell.
        let _ = self.commit(last);
    }

    fn commit(&mut self, mut batch: Vec<Pending>) -> Result<(), Broken> {
        // In this order: who orders a segment after renewing the key finds nothing under the old one in it.
        let roll = self.roll.ordered.load(Ordering::Acquire);
        self.renew(&mut batch);
        let (mut batch, notice) = if let Some(reason) = self.shortage() {
            let (kept, grants) = batch
                .into_iter()
                .partition(|pending| pending.class == Class::Narrow);
            refuse(grants, Unavailable::Degraded);
            let notice = (!self.standing.announced).then_some(Notice::Degraded { reason });
            (kept, notice)
        } else {
            let refused = self.state_refused(&batch);
            let restored = self.standing.announced || refused > 0;
            let notice = restored.then_some(Notice::Restored { refused });
            (batch, notice)
        };
        let own = notice.clone().and_then(|notice| (self.announce)(notice));
        batch.splice(0..0, own);
        if batch.is_empty() {
            return Ok(());
        }
        self.write(batch, notice.as_ref(), roll)
    }

    /// Takes those that could only be counted, to state how many; not those that are recorded now.
    fn state_refused(&mut self, batch: &[Pending]) -> u64 {
        let mut refused = self.queue.refused();
        if refused.count() > 0 {
            for pending in batch {
                refused.forget(pending.id);
            }
        }
        self.standing.stated = std::mem::take(&mut *refused);
        self.standing.stated.count()
    }

    /// Wraps anew what was sealed under a key that has been replaced while it waited.
    fn renew(&self, batch: &mut [Pending]) {
        let newest = self.keks.newest();
        for pending in batch {
            let renewed = pending.frame.stored().and_then(|stored| {
                seal::is_stale(&newest.kek, stored.slot).then_some(())?;
                let keks = self.keks.all();
                let slot = seal::rewrap(&keks, &*self.rng, pending.id, stored.slot)?;
                Some(EventFrame::new(Stored {
                    slot: &slot,
                    ..stored
                }))
            });
            if let Some(renewed) = renewed {
                pending.frame = renewed;
            }
        }
    }

    fn write(
        &mut self,
        batch: Vec<Pending>,
        notice: Option<&Notice>,
        roll: bool,
    ) -> Result<(), Broken> {
        let frames: Vec<&EventFrame> = batch.iter().map(|pending| &pending.frame).collect();
        let hashes: Vec<Digest> = batch.iter().map(|pending| pending.leaf_hash).collect();
        let hlc = batch
            .iter()
            .map(|pending| pending.hlc)
            .max()
            .unwrap_or_default();
        let bytes = super::batch::len(&frames);
        if (roll || self.writer.needs_spare(bytes)) && !self.spare.wait_ready() {
            self.count_refused(batch);
            return Ok(());
        }
        let (index, number) = (self.writer.tree().size(), self.writer.next_batch());
        let segment = self.writer.segment();
        let rolled = if roll { self.writer.roll() } else { Ok(()) };
        let written = rolled.and_then(|()| {
            self.writer
                .append(&frames, &hashes, self.clock.wall(), hlc.0)
        });
        if self.writer.segment() != segment {
            self.spare.taken();
            self.wake.urge();
            if roll {
                self.roll.at.store(index, Ordering::Release);
                self.roll.ordered.store(false, Ordering::Release);
            }
        }
        match written {
            Ok(()) => {
                match notice {
                    Some(Notice::Degraded { .. }) => self.standing.announced = true,
                    Some(Notice::Restored { .. }) => self.standing = Standing::default(),
                    _ => {}
                }
                self.degraded
                    .store(self.standing.announced, Ordering::Relaxed);
                self.durable.send_replace(self.writer.tree().size());
                self.wake.notify();
                for ((pending, leaf_hash), index) in batch.into_iter().zip(hashes).zip(index..) {
                    let event = pending.id;
                    pending.answer(Ok(Receipt {
                        origin: self.origin.clone(),
                        index,
                        leaf_hash,
                        batch: number,
                        event,
                    }));
                }
                Ok(())
            }
            Err(WriteFault::Full(error)) => {
                tracing::warn!(%error, "the audit log's disk is full");
                self.count_refused(batch);
                Ok(())
            }
            Err(WriteFault::Broken(error)) => {
                (self.abort)(&format!(
                    "the audit log cannot be made durable any more: {error}"
                ));
                // Only reached where the abort is observed rather than obeyed. Nothing of this batch was promised.
                refuse(batch, Unavailable::Stopped);
                Err(Broken)
            }
        }
    }

    /// Why space is short, if it is. What cannot be asked counts as short.
    fn shortage(&self) -> Option<String> {
        let first = self.first_segment.load(Ordering::Relaxed);
        let untiled = self.writer.untiled(first);
        if untiled > self.max_untiled {
            return Some(format!(
                "{untiled} bytes of the write-ahead log are not in tiles yet, {} allowed",
                self.max_untiled
            ));
        }
        match self.disk.free(&self.dir) {
            Ok(free) if free < self.min_free => {
                Some(format!("{free} bytes free, {} wanted", self.min_free))
            }
            Ok(_) if self.spare.failed() => Some("no room for another segment".into()),
            Ok(_) => None,
            Err(error) => Some(format!("free space unknown: {error}")),
        }
    }

    fn count_refused(&mut self, batch: Vec<Pending>) {
        let stated = std::mem::take(&mut self.standing.stated);
        self.queue.refused().put_back(stated);
        for pending in batch {
            self.queue.refuse(pending, Unavailable::Full);
        }
    }
}

fn refuse(batch: Vec<Pending>, why: Unavailable) {
    for pending in batch {
        pending.answer(Err(RecordError::Unavailable(why)));
    }
}
