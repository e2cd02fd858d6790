//! The second thread of a log: makes the spare segment, writes tiles, publishes checkpoints. Nothing here delays a commit, and whatever
//! fails is tried again at the next tick.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bailiwick_core::{Clock, Rng};
use tokio::sync::{oneshot, watch};

use crate::checkpoint::earlier;
use crate::disk::Disk;
use crate::elapsed::{Anomaly, Elapsed, Reading};
use crate::erase::Job;
use crate::read::{Directory, ReadError};
use crate::record::Answer;
use crate::retention::{self, Pruner};
use crate::scrub::{Scrub, Scrubbed};
use crate::seal::Keks;
use crate::signers::Signers;
use crate::standing::{AdvanceError, Claim};
use crate::state::State;
use crate::tiler::{TileError, Tiler};
use crate::verify::Verdict;
use crate::wal::commit::{Abort, Announce, Notice};
use crate::wal::queue::{Pending, Queue};
use crate::wal::segment;
use crate::wal::spare::Spare;

pub(crate) use wake::{Order, Wake, Work};

mod wake;

/// How long the thread rests when there is nothing to do.
const IDLE: Duration = Duration::from_mins(1);
/// How long it lets batches gather at most. A round for each batch takes from the commits that it follows.
const GATHER: Duration = Duration::from_millis(100);

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
    pub(crate) elapsed: Arc<Mutex<Elapsed>>,
    /// What is being put on record of the clock.
    pub(crate) anomaly: Option<(Answer, Anomaly)>,
    pub(crate) signers: Arc<Signers>,
    /// When the next checkpoint is kept among the earlier ones, since boot.
    pub(crate) keep_next: Option<Duration>,
    pub(crate) scrub: Arc<Scrub>,
    pub(crate) scrub_every: Duration,
    pub(crate) scrubbed: watch::Sender<Option<Scrubbed>>,
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
            let again = last_publish.is_some_and(|last| now.saturating_sub(last) >= IDLE)
                | self.signers.have_changed();
            if tiled.is_ok() && (again || self.tiler.size() > *self.published.borrow()) {
                if due || stop || again {
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
            settled &= self.look_at_clock(stop);
            self.look_at_scrub();
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
        let now = self.clock.monotonic();
        let keep = match self.keep_next {
            Some(next) => now >= next,
            // An hour counts over a restart.
            None => {
                earlier::age(&self.dir, self.clock.wall()).is_none_or(|age| age >= earlier::EVERY)
            }
        };
        match self.tiler.publish(claim, keep) {
            Ok(size) => {
                if keep || self.keep_next.is_none() {
                    self.keep_next = Some(now.saturating_add(earlier::EVERY));
                }
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

    /// Puts on record what is odd about the clock, and keeps how much time has passed; true if nothing is under way.
    fn look_at_clock(&mut self, stop: bool) -> bool {
        let read = Reading::of(&*self.clock);
        let elapsed = Arc::clone(&self.elapsed);
        let mut elapsed = elapsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((mut answer, anomaly)) = self.anomaly.take() {
            match answer.try_recv() {
                Ok(Ok(_)) => elapsed.said(anomaly, read),
                Err(oneshot::error::TryRecvError::Empty) => self.anomaly = Some((answer, anomaly)),
                // Not recorded: said again at the next look.
                Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => {}
            }
        }
        if self.anomaly.is_none()
            && let Some(anomaly) = elapsed.look(read)
        {
            tracing::error!(words = anomaly.words(), "the clock was set or stands still");
            let answer = self.say(Notice::Clock(anomaly));
            self.anomaly = answer.map(|answer| (answer, anomaly));
        }
        let (kept, now) = (elapsed.keep(read, stop), elapsed.now(read));
        drop(elapsed);
        if let Some(time) = kept {
            let state = State {
                time: Some(time),
                // A new log has nothing to scrub yet.
                scrubbed: self.state.scrubbed.or(Some(now)),
                ..self.state.clone()
            };
            match state.write(&*self.disk, &self.dir) {
                Ok(()) => self.state = state,
                Err(error) => tracing::warn!(%error, "the time that passed cannot be kept now"),
            }
        }
        self.anomaly.is_none()
    }

    /// Orders a look at everything when it is time for one, and takes note of what it found.
    fn look_at_scrub(&mut self) {
        let read = Reading::of(&*self.clock);
        let elapsed = self.elapsed.lock();
        let now = elapsed.unwrap_or_else(PoisonError::into_inner).now(read);
        let Some(verdict) = self.scrub.take() else {
            let last = self.state.scrubbed;
            if last.is_some_and(|last| now.since(last) >= self.scrub_every) {
                self.scrub.order();
            }
            return;
        };
        let state = State {
            scrubbed: Some(now),
            ..self.state.clone()
        };
        match state.write(&*self.disk, &self.dir) {
            Ok(()) => self.state = state,
            Err(error) => tracing::warn!(%error, "that the log was scrubbed cannot be kept now"),
        }
        if !matches!(verdict, Verdict::Proven(_)) {
            let words = verdict.to_string();
            tracing::error!(words, "the audit log's files do not verify");
            // Where the queue is full, what was found is still shown, and found again by the next look.
            let _ = self.say(Notice::ScrubFailed { words });
        }
        self.scrubbed.send_replace(Some(Scrubbed {
            at: read.wall,
            verdict,
        }));
    }

    /// Hands over something that the log says of itself; where the answer goes. Where the queue is full the answer is dropped.
    fn say(&self, notice: Notice) -> Option<Answer> {
        let pending = (self.announce)(notice)?;
        let (answer, waiting) = oneshot::channel();
        let answer = Some(answer);
        let _ = self.queue.try_push(Pending { answer, ..pending });
        Some(waiting)
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
        let read = Reading::of(&*self.clock);
        let elapsed = self.elapsed.lock();
        let now = elapsed.unwrap_or_else(PoisonError::into_inner);
        let now = (now.earliest(read), read.since_boot);
        let mut state = self.state.clone();
        let step = self.pruner.step(&mut state, &directory, bound, now)?;
        if step.changed {
            state.write(&*self.disk, &self.dir).map_err(io(&self.dir))?;
            self.state = state;
        }
        if let Some((minimum, due)) = step.announce
            && let Some(waiting) = self.say(Notice::Retention { minimum, due })
        {
            // Where it is not recorded it is announced again at the next look.
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
