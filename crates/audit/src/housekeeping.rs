//! The second thread of a log: makes the spare segment, writes tiles, publishes checkpoints. Nothing here delays a commit, and whatever
//! fails is tried again at the next tick.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use bailiwick_core::Clock;
use tokio::sync::watch;

use crate::disk::Disk;
use crate::state::State;
use crate::tiler::Tiler;
use crate::wal::segment;
use crate::wal::spare::Spare;

/// How long the thread rests when there is nothing to do.
const IDLE: Duration = Duration::from_mins(1);

/// Wakes the thread. Several calls before it looks are one.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    state: Mutex<Woken>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct Woken {
    work: bool,
    stop: bool,
}

impl Wake {
    /// There is something to do.
    pub(crate) fn notify(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .work = true;
        self.changed.notify_one();
    }

    /// Finish what there is and end.
    pub(crate) fn stop(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .stop = true;
        self.changed.notify_one();
    }

    /// Waits for work or for `at_most`; true if the thread should end.
    fn wait(&self, at_most: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, at_most, |state| !state.work && !state.stop)
            .unwrap_or_else(PoisonError::into_inner);
        state.work = false;
        state.stop
    }
}

/// The thread's state.
pub(crate) struct Housekeeping {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) wal: PathBuf,
    pub(crate) segment_size: u64,
    pub(crate) spare: Arc<Spare>,
    pub(crate) wake: Arc<Wake>,
    pub(crate) durable: watch::Receiver<u64>,
    pub(crate) published: watch::Sender<u64>,
    pub(crate) publish_every: Duration,
    pub(crate) tiler: Tiler,
    pub(crate) dir: PathBuf,
    pub(crate) state: State,
    /// First segment of the write-ahead log; the commit thread reads it.
    pub(crate) first_segment: Arc<AtomicU64>,
}

impl Housekeeping {
    /// Runs until told to stop, then tiles and publishes what is left.
    pub(crate) fn run(mut self) {
        let mut last_publish: Option<Duration> = None;
        let mut rest = Duration::ZERO;
        let mut stopping = false;
        loop {
            let stop = self.wake.wait(rest) || stopping;
            let mut settled = self.make_spare(stop);
            let durable = *self.durable.borrow();
            let before = self.tiler.size();
            let tiled = self.tiler.advance(durable);
            if tiled.is_ok() && before < self.tiler.size() && self.tiler.size() < durable {
                // More is there: no checkpoint for a tree that is already old, and no rest.
                rest = Duration::ZERO;
                stopping |= stop;
                continue;
            }
            if let Err(error) = &tiled {
                tracing::warn!(%error, "the audit log's tiles cannot be written now");
                settled = false;
            }
            let now = self.clock.monotonic();
            let due =
                last_publish.is_none_or(|last| now.saturating_sub(last) >= self.publish_every);
            if tiled.is_ok() && self.tiler.size() > *self.published.borrow() {
                if due || stop {
                    settled &= self.publish();
                    last_publish = Some(now);
                } else {
                    settled = false;
                }
            }
            if let Err(error) = self.retire() {
                tracing::warn!(%error, "segments of the audit log cannot be retired now");
                settled = false;
            }
            if stop {
                return;
            }
            rest = if settled { IDLE } else { self.publish_every };
        }
    }

    fn publish(&mut self) -> bool {
        match self.tiler.publish() {
            Ok(size) => {
                self.published.send_replace(size);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the audit log's checkpoint cannot be published now");
                false
            }
        }
    }

    /// Lets the write-ahead log begin where everything before is in synced files and under the checkpoint, and does away with the
    /// segments before.
    fn retire(&mut self) -> io::Result<()> {
        if let Some(base) = self.tiler.crossing(*self.published.borrow())
            && base.segment > self.state.base.segment
        {
            let state = State {
                base: base.clone(),
                ..self.state.clone()
            };
            state.write(&*self.disk, &self.dir)?;
            self.state = state;
        }
        let first = self.state.base.segment;
        if self.first_segment.load(Ordering::Relaxed) == first {
            return Ok(());
        }
        for segment in segment::list(&self.wal)? {
            if segment >= first {
                break;
            }
            if self.spare.wanted() {
                let made = segment::recycle(&*self.disk, &self.wal, segment, self.segment_size);
                self.spare.made(made.is_ok());
                made?;
            } else {
                self.disk.remove(&segment::path(&self.wal, segment))?;
            }
        }
        self.disk.sync_dir(&self.wal)?;
        self.first_segment.store(first, Ordering::Relaxed);
        Ok(())
    }

    /// Makes the spare if it is wanted. At the end there is no need for one.
    fn make_spare(&self, stop: bool) -> bool {
        if stop || !self.spare.wanted() {
            return true;
        }
        let made = segment::make_spare(&*self.disk, &self.wal, self.segment_size);
        if let Err(error) = &made {
            tracing::warn!(%error, "no room for another segment of the audit log");
        }
        self.spare.made(made.is_ok());
        made.is_ok()
    }
}
