//! A walk through the decisions of a stretch of the record, on several threads and with bounds: what each was asked with is opened, and it
//! is known of each whether the bundle of its time still decides it so.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bailiwick_audit::log::{Piece, Stretch};
use bailiwick_audit::read::ReadError;
use bailiwick_core::event::{Event, EventType};
use bailiwick_core::{Clock, Code, Digest, Fault, Problem, Timestamp};
use bailiwick_policy::{Bundle, BundleSource, Past, Registry};
use bailiwick_store::{MAX_PAGE, StoreError};
use tokio::sync::OwnedSemaphorePermit;

use super::VersionRef;
use super::past::{Found, again, find};
use crate::Control;

/// Most decisions that one walk looks at.
pub const MAX_DECISIONS: u64 = 1_000_000;
/// Longest time that one takes; then it tells how far it came.
pub const MAX_TIME: Duration = Duration::from_secs(50);
/// Published versions whose own decisions are made again to see whether they come out as recorded; older ones are taken as recorded.
const MAX_OWN: usize = 16;
/// Threads.
const MAX_THREADS: usize = 8;

/// Which decisions to make again: those recorded from `since` up to but without `until`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    /// None: from the first event of the record.
    pub since: Option<Timestamp>,
    /// None: up to the newest.
    pub until: Option<Timestamp>,
}

/// What is met on the way.
pub(super) enum Met {
    /// A task ended.
    Ended,
    /// A call was refused before policy was asked.
    BeforePolicy,
    /// A decision whose input or arguments were not kept.
    Unkept,
    /// A decision that its own bundle makes in another way by now.
    Drifted(Box<Past>),
    /// A decision.
    Decision(Box<Past>),
}

/// What the threads brought back, in the order of the record.
pub(super) struct Passed<P> {
    pub(super) parts: Vec<P>,
    /// Decisions that were met, of whatever origin.
    pub(super) decisions: u64,
    /// Whether that was the whole stretch.
    pub(super) complete: bool,
}

/// A stretch whose values may be opened, and what it takes to make its decisions again. One at a time.
pub(super) struct Walk {
    window: Window,
    stretch: Stretch,
    own: HashMap<Digest, Bundle>,
    clock: Arc<dyn Clock>,
    ends: Duration,
    _room: OwnedSemaphorePermit,
}

/// A walk before its bundles are compiled, which is done where blocking is allowed.
pub(super) struct Permitted {
    room: OwnedSemaphorePermit,
    window: Window,
    stretch: Stretch,
    own: Vec<(Digest, BundleSource)>,
    clock: Arc<dyn Clock>,
}

impl Control {
    /// Puts on record who opens the record and why, and takes the one room that there is for it.
    pub(super) async fn walk(
        &self,
        log: &bailiwick_audit::Log,
        by: &str,
        (window, reason): (Window, &str),
    ) -> Result<Permitted, Problem> {
        let room = Arc::clone(&self.replaying).try_acquire_owned();
        let room = room.map_err(|_| {
            Problem::new(
                Code::Overloaded,
                "another replay is running",
                "try again when it is done",
            )
        })?;
        let own = self.own_bundles().await?;
        let stretch = log.work_through(0, u64::MAX, by, reason);
        Ok(Permitted {
            room,
            window,
            stretch: stretch.await.map_err(|error| error.problem())?,
            own,
            clock: Arc::clone(&self.parts.clock),
        })
    }

    /// The newest versions, each once.
    async fn own_bundles(&self) -> Result<Vec<(Digest, BundleSource)>, Problem> {
        let history = self.parts.store.read(|rows| rows.policy_history(MAX_PAGE));
        let history = history.await.map_err(|error: StoreError| error.problem())?;
        let mut own: Vec<(Digest, BundleSource)> = Vec::new();
        for version in history {
            if own.len() < MAX_OWN && own.iter().all(|(digest, _)| *digest != version.digest) {
                let digest = self.digest_of(VersionRef::Digest(version.digest)).await?;
                own.push((digest, self.bundle_source(digest).await?));
            }
        }
        Ok(own)
    }
}

impl Permitted {
    /// Compiles. Blocks.
    pub(super) fn begin(self, registry: &Registry) -> Walk {
        let own = self.own.into_iter().filter_map(|(digest, source)| {
            let bundle = Bundle::compile_lenient(&source, digest, registry).ok()?;
            Some((digest, bundle))
        });
        Walk {
            window: self.window,
            stretch: self.stretch,
            own: own.collect(),
            ends: self.clock.monotonic().saturating_add(MAX_TIME),
            clock: self.clock,
            _room: self.room,
        }
    }
}

impl Walk {
    /// Goes through it once; each thread gathers what it is told in a part of its own. Blocks.
    pub(super) fn through<P, T>(&self, take: T) -> Result<Passed<P>, Problem>
    where
        P: Default + Send,
        T: Fn(&mut P, &Event, Met) + Sync,
    {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let pieces = self.stretch.split(threads.min(MAX_THREADS));
        let bounds = Bounds {
            decisions: AtomicU64::new(0),
            cut: AtomicBool::new(false),
        };
        let parts: Vec<Result<P, ReadError>> = std::thread::scope(|scope| {
            let threads: Vec<_> = pieces
                .into_iter()
                .map(|piece| scope.spawn(|| self.piece(piece, &bounds, &take)))
                .collect();
            let joined = threads.into_iter().map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            joined.collect()
        });
        let parts: Result<Vec<P>, ReadError> = parts.into_iter().collect();
        Ok(Passed {
            parts: parts.map_err(|error| error.problem())?,
            decisions: bounds.decisions.into_inner().min(MAX_DECISIONS),
            complete: !bounds.cut.into_inner(),
        })
    }

    fn piece<P: Default>(
        &self,
        mut events: Piece,
        bounds: &Bounds,
        take: &(impl Fn(&mut P, &Event, Met) + Sync),
    ) -> Result<P, ReadError> {
        let mut part = P::default();
        while let Some(entry) = events.next() {
            let entry = entry?;
            // Most other leaves are passed over unread.
            let wanted = |leaf: &str| leaf.contains("\"tool.") || leaf.contains("\"task.ended");
            if !std::str::from_utf8(&entry.leaf).is_ok_and(wanted) {
                continue;
            }
            if self.clock.monotonic() >= self.ends {
                bounds.cut.store(true, Ordering::Relaxed);
            }
            if bounds.cut.load(Ordering::Relaxed) {
                break;
            }
            let leaf = entry.parse()?;
            let early = self.window.since.is_some_and(|since| leaf.ts < since);
            if early || self.window.until.is_some_and(|until| leaf.ts >= until) {
                continue;
            }
            if leaf.event.kind == EventType::TaskEnded {
                take(&mut part, &leaf.event, Met::Ended);
                continue;
            }
            let found = find(&mut events, entry.index, &leaf)?;
            if matches!(found, Found::Nothing) {
                continue;
            }
            if bounds.decisions.fetch_add(1, Ordering::Relaxed) >= MAX_DECISIONS {
                bounds.cut.store(true, Ordering::Relaxed);
                break;
            }
            let met = match found {
                Found::Nothing => continue,
                Found::BeforePolicy => Met::BeforePolicy,
                Found::Unkept => Met::Unkept,
                Found::Decision(made) if self.has_drifted(&made) => Met::Drifted(made),
                Found::Decision(made) => Met::Decision(made),
            };
            take(&mut part, &leaf.event, met);
        }
        Ok(part)
    }

    fn has_drifted(&self, made: &Past) -> bool {
        let version = made.input.versions.bundle;
        let own = version.and_then(|version| self.own.get(&version));
        own.is_some_and(|own| {
            let tally = again(own, made.clone());
            tally.differing() > 0 || tally.unanswerable > 0
        })
    }
}

/// What the threads share.
struct Bounds {
    decisions: AtomicU64,
    cut: AtomicBool,
}
