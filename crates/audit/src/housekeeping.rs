//! The second thread of a log: makes the spare segment, writes tiles, publishes checkpoints. Nothing here delays a commit, and whatever
//! fails is tried again at the next tick.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_core::{Clock, Rng};
use tokio::sync::{oneshot, watch};

use crate::disk::Disk;
use crate::erase::Job;
use crate::read::{Directory, ReadError};
use crate::retention::{self, Pruner};
use crate::seal::Keks;
use crate::standing::{AdvanceError, Claim};
use crate::state::State;
use crate::tiler::{TileError, Tiler};
use crate::wal::commit::{Abort, Announce, Notice};
use crate::wal::queue::{Pending, Queue};
use crate::wal::segment;
use crate::wal::spare::Spare;

/// How long the thread rests when there is nothing to do.
const IDLE: Duration = Duration::from_mins(1);
/// How long it lets batches gather at most. A round for each batch takes from the commits that it follows.
const GATHER: Duration = Duration::from_millis(100);

/// Wakes the thread. Several calls before it looks are one.
#[derive(Debug)]
pub(crate) struct Wake {
    state: Mutex<Woken>,
    changed: Condvar,
    /// None once the thread has ended: who orders then must not wait.
    orders: Mutex<Option<Vec<Order>>>,
}

impl Default for Wake {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            orders: Mutex::new(Some(Vec::new())),
        }
    }
}

/// Something to do to files that the thread alone writes. It is tried at every tick until it is done.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) work: Work,
    /// Told when it is done; dropped where the thread ends first.
    pub(crate) done: Option<oneshot::Sender<()>>,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Work {
    /// Destroy values and keys.
    Erase(Job),
    /// Wrap anew all keys of events before `from`, where a segment begins; those before `done` are.
    Rewrap { from: u64, done: u64 },
}

impl Work {
    /// Whether everything concerned has left the write-ahead log, which begins at `base`.
    fn is_ready(&self, base: u64) -> bool {
        match self {
            Self::Erase(job) => job.last() < base,
            Self::Rewrap { from, .. } => *from <= base,
        }
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Woken {
    /// Batches were written.
    work: bool,
    /// Somebody waits for the thread.
    urgent: bool,
    stop: bool,
}

impl Wake {
    /// Batches were written; they may gather a little.
    pub(crate) fn notify(&self) {
        let mut state = self.lock();
        let woken = std::mem::replace(&mut state.work, true);
        drop(state);
        if !woken {
            self.changed.notify_one();
        }
    }

    /// Something cannot wait.
    pub(crate) fn urge(&self) {
        self.lock().urgent = true;
        self.changed.notify_one();
    }

    /// Hands over an order; drops it where the thread has ended.
    pub(crate) fn order(&self, order: Order) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(orders) = &mut *orders {
            orders.push(order);
        }
        drop(orders);
        self.urge();
    }

    fn take_orders(&self) -> Vec<Order> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The thread has ended: orders not carried out, and all that come, are dropped.
    fn end(&self) {
        *self.orders.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Finish what there is and end.
    pub(crate) fn stop(&self) {
        self.lock().stop = true;
        self.changed.notify_one();
    }

    /// Waits for work or for `at_most`, and lets work gather for `gather`; true if the thread should end.
    fn wait(&self, gather: Duration, at_most: Duration) -> bool {
        let wait = |state, at_most, ready: fn(&Woken) -> bool| {
            let waited = self
                .changed
                .wait_timeout_while(state, at_most, |state| !ready(state));
            waited.unwrap_or_else(PoisonError::into_inner).0
        };
        let state = wait(self.lock(), gather.min(at_most), |state| {
            state.urgent || state.stop
        });
        let mut state = wait(state, at_most.saturating_sub(gather), |state| {
            state.work || state.urgent || state.stop
        });
        state.work = false;
        state.urgent = false;
        state.stop
    }

    fn lock(&self) -> MutexGuard<'_, Woken> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// None once the log's key turned out to have signed another history: nothing more is signed.
    pub(crate) claim: Option<Claim>,
    pub(crate) keks: Arc<Keks>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) pruner: Pruner,
    pub(crate) announce: Announce,
    pub(crate) queue: Arc<Queue>,
    pub(crate) abort: Abort,
    pub(crate) dir: PathBuf,
    pub(crate) state: State,
    /// First segment of the write-ahead log; the commit thread reads it.
    pub(crate) first_segment: Arc<AtomicU64>,
    /// Orders not carried out yet.
    pub(crate) orders: Vec<Order>,
}

impl Drop for Housekeeping {
    fn drop(&mut self) {
        self.wake.end();
    }
}

impl Housekeeping {
    /// Runs until told to stop, then tiles and publishes what is left.
    pub(crate) fn run(mut self) {
        let mut last_publish: Option<Duration> = None;
        let mut rest = Duration::ZERO;
        let gather = GATHER.min(self.publish_every / 8);
        let mut stopping = false;
        loop {
            let stop = self.wake.wait(gather, rest) || stopping;
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
            // A checkpoint that did not change is signed anew once in a while: whoever took the log over is noticed then.
            let again = last_publish.is_some_and(|last| now.saturating_sub(last) >= IDLE);
            if tiled.is_ok() && (again || self.tiler.size() > *self.published.borrow()) {
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
            settled &= self.carry_out();
            match self.prune() {
                Ok(done) => settled &= done,
                Err(error) => {
                    tracing::warn!(%error, "the audit log cannot be pruned now");
                    settled = false;
                }
            }
            if stop {
                return;
            }
            rest = if settled { IDLE } else { self.publish_every };
        }
    }

    fn publish(&mut self) -> bool {
        let Some(claim) = &mut self.claim else {
            return true;
        };
        match self.tiler.publish(claim) {
            Ok(size) => {
                self.published.send_replace(size);
                true
            }
            Err(TileError::Advance(error @ AdvanceError::Fenced { .. })) => {
                tracing::error!(code = "log_fenced", %error, "this process stops");
                self.claim = None;
                (self.abort)(&error.to_string());
                // Only reached where the abort is observed rather than obeyed.
                self.queue.refuse_all();
                true
            }
            Err(TileError::Advance(error @ AdvanceError::Equivocation { .. })) => {
                tracing::error!(code = "log_equivocation", %error, "no checkpoint is published any more");
                self.claim = None;
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the audit log's checkpoint cannot be published now");
                false
            }
        }
    }

    /// Carries out the orders that can be; true if none is left.
    fn carry_out(&mut self) -> bool {
        self.orders.extend(self.wake.take_orders());
        let base = self.state.base.index;
        let retired = self.first_segment.load(Ordering::Relaxed) == self.state.base.segment;
        for mut order in std::mem::take(&mut self.orders) {
            if retired && order.work.is_ready(base) {
                match self.work(&mut order.work) {
                    Ok(true) => {
                        // Nobody may be waiting any more.
                        let _ = order.done.map(|done| done.send(()));
                        continue;
                    }
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(%error, "keys and values of the audit log cannot be destroyed or renewed now");
                    }
                }
            }
            self.orders.push(order);
        }
        self.orders.is_empty()
    }

    /// Does a part of what was ordered; true if it is done.
    fn work(&mut self, work: &mut Work) -> Result<bool, TileError> {
        match work {
            Work::Erase(job) => {
                self.tiler.erase(&job.indexes)?;
                Job::remove(&*self.disk, &self.dir)?;
                Ok(true)
            }
            Work::Rewrap { from, done } => {
                let keks = self.keks.all();
                *done = self.tiler.rewrap(*done, *from, &keks, &*self.rng)?;
                Ok(done >= from)
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

    /// Lets go of what is older than the log is kept; true if nothing is left to do now.
    fn prune(&mut self) -> Result<bool, ReadError> {
        let io = |path: &PathBuf| {
            let path = path.clone();
            move |source| ReadError::Io { path, source }
        };
        let bound = self.state.base.index.min(*self.published.borrow());
        let directory = Directory::new(self.dir.clone());
        let now = (self.clock.wall(), self.clock.monotonic());
        let mut state = self.state.clone();
        let step = self.pruner.step(&mut state, &directory, bound, now)?;
        if step.changed {
            state.write(&*self.disk, &self.dir).map_err(io(&self.dir))?;
            self.state = state;
        }
        if let Some((minimum, due)) = step.announce
            && let Some(pending) = (self.announce)(Notice::Retention { minimum, due })
        {
            let (answer, waiting) = oneshot::channel();
            let answer = Some(answer);
            // Where the queue is full the answer is dropped, and it is announced again at the next look.
            let _ = self.queue.try_push(Pending { answer, ..pending });
            self.pruner.asked(waiting, (minimum, due));
            return Ok(false);
        }
        let mut state = self.state.clone();
        let more = retention::prune(&*self.disk, &self.dir, &mut state).map_err(io(&self.dir))?;
        if more {
            state.write(&*self.disk, &self.dir).map_err(io(&self.dir))?;
            self.state = state;
        }
        Ok(!more && !step.more && !step.changed)
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
