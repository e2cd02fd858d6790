//! The decisions of a stretch of time under a proposed bundle: which calls would have been decided otherwise, before it is published.
//!
//! Sealed inputs are opened inside the node, once that is on record; only decisions and counts leave it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bailiwick_audit::Log;
use bailiwick_audit::log::Piece;
use bailiwick_audit::read::ReadError;
use bailiwick_core::{Clock, Code, Digest, Fault, Problem, Timestamp};
use bailiwick_policy::{Bundle, BundleSource, Tally};
use bailiwick_store::MAX_PAGE;
use serde::Serialize;

use super::compare::stopped;
use super::past::{Found, again, find};
use super::{BundleRef, PublishError, VersionRef};
use crate::{Actor, Control, Operation};

/// Most decisions that one replay makes again.
pub const MAX_DECISIONS: u64 = 1_000_000;
/// Longest time that one replay takes; then it tells how far it came.
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

/// What a replay found.
#[derive(Debug, Clone, Serialize)]
pub struct Replayed {
    /// Digest of the proposed bundle.
    pub bundle: Digest,
    /// Decisions about calls in the window, of whatever origin.
    pub decisions: u64,
    /// Of these, refused before policy was asked: no bundle changes them.
    pub before_policy: u64,
    /// Of these, not replayable because input or arguments were not kept, or were erased.
    pub unkept: u64,
    /// Of these, not replayable because their own bundle decides otherwise by now: agents, servers or tools have changed since.
    pub drifted: u64,
    /// False if it stopped at [`MAX_DECISIONS`] or [`MAX_TIME`]: then a narrower window tells more.
    pub complete: bool,
    /// What differs, by agent, tool and effect.
    #[serde(flatten)]
    pub tally: Tally,
}

/// What the threads share.
struct Job {
    window: Window,
    candidate: Bundle,
    own: HashMap<Digest, Bundle>,
    decisions: AtomicU64,
    cut: AtomicBool,
    clock: Arc<dyn Clock>,
    ends: Duration,
}

/// What one thread counted.
#[derive(Default)]
struct Part {
    before_policy: u64,
    unkept: u64,
    drifted: u64,
    tally: Tally,
}

impl Control {
    /// Makes the decisions of a window again under `bundle`. One replay runs at a time.
    pub async fn replay_policy(
        &self,
        actor: &Actor,
        log: &Log,
        bundle: BundleRef,
        window: Window,
    ) -> Result<Replayed, PublishError> {
        actor.may(Operation::WritePolicy)?;
        let room = Arc::clone(&self.replaying).try_acquire_owned();
        let room = room.map_err(|_| {
            Problem::new(
                Code::Overloaded,
                "another replay is running",
                "try again when it is done",
            )
        })?;
        let source = self.source_of(bundle).await?;
        let own = self.own_bundles().await?;
        let registry = self.registry().await?;
        let reason = format!("replay under {}", source.digest);
        let by = actor.on_record();
        let stretch = log.work_through(0, u64::MAX, &by, &reason);
        let stretch = stretch.await.map_err(|error| error.problem())?;
        let clock = Arc::clone(&self.parts.clock);
        let work = move || -> Result<Replayed, PublishError> {
            let _room = room;
            let candidate = source.compile(&registry)?;
            let own = own.into_iter().filter_map(|(digest, source)| {
                let bundle = Bundle::compile_lenient(&source, digest, &registry).ok()?;
                Some((digest, bundle))
            });
            let job = Job {
                window,
                candidate,
                own: own.collect(),
                decisions: AtomicU64::new(0),
                cut: AtomicBool::new(false),
                ends: clock.monotonic().saturating_add(MAX_TIME),
                clock,
            };
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let part = job
                .run(stretch.split(threads.min(MAX_THREADS)))
                .map_err(|error| PublishError::Refused(error.problem()))?;
            Ok(Replayed {
                bundle: job.candidate.version(),
                decisions: job.decisions.load(Ordering::Relaxed).min(MAX_DECISIONS),
                before_policy: part.before_policy,
                unkept: part.unkept,
                drifted: part.drifted,
                complete: !job.cut.load(Ordering::Relaxed),
                tally: part.tally,
            })
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| stopped("a replay"))?
    }

    /// The newest versions, each once.
    async fn own_bundles(&self) -> Result<Vec<(Digest, BundleSource)>, Problem> {
        let history = self.parts.store.read(|rows| rows.policy_history(MAX_PAGE));
        let history = history
            .await
            .map_err(|error: bailiwick_store::StoreError| error.problem())?;
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

impl Job {
    /// Reads the pieces side by side; what they counted is put together in their order.
    fn run(&self, pieces: Vec<Piece>) -> Result<Part, ReadError> {
        let parts: Vec<Result<Part, ReadError>> = std::thread::scope(|scope| {
            let threads: Vec<_> = pieces
                .into_iter()
                .map(|piece| scope.spawn(move || self.piece(piece)))
                .collect();
            let joined = threads.into_iter().map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            joined.collect()
        });
        let mut whole = Part::default();
        for part in parts {
            let part = part?;
            whole.before_policy += part.before_policy;
            whole.unkept += part.unkept;
            whole.drifted += part.drifted;
            whole.tally.merge(part.tally);
        }
        Ok(whole)
    }

    fn piece(&self, mut events: Piece) -> Result<Part, ReadError> {
        let mut part = Part::default();
        while let Some(entry) = events.next() {
            let entry = entry?;
            // Most other leaves are passed over unread.
            if !std::str::from_utf8(&entry.leaf).is_ok_and(|leaf| leaf.contains("\"tool.")) {
                continue;
            }
            if self.is_over() {
                break;
            }
            let leaf = entry.parse()?;
            let early = self.window.since.is_some_and(|since| leaf.ts < since);
            if early || self.window.until.is_some_and(|until| leaf.ts >= until) {
                continue;
            }
            let found = find(&mut events, entry.index, &leaf)?;
            if !matches!(found, Found::Nothing) && !self.takes_one_more() {
                break;
            }
            match found {
                Found::Nothing => {}
                Found::BeforePolicy => part.before_policy += 1,
                Found::Unkept => part.unkept += 1,
                Found::Decision(made) => {
                    let version = made.input.versions.bundle;
                    let own = version.and_then(|version| self.own.get(&version));
                    let drifted = own.is_some_and(|own| {
                        let tally = again(own, (*made).clone());
                        tally.differing() > 0 || tally.unanswerable > 0
                    });
                    if drifted {
                        part.drifted += 1;
                    } else {
                        part.tally.merge(again(&self.candidate, *made));
                    }
                }
            }
        }
        Ok(part)
    }

    fn is_over(&self) -> bool {
        if self.clock.monotonic() >= self.ends {
            self.cut.store(true, Ordering::Relaxed);
        }
        self.cut.load(Ordering::Relaxed)
    }

    fn takes_one_more(&self) -> bool {
        let room = self.decisions.fetch_add(1, Ordering::Relaxed) < MAX_DECISIONS;
        if !room {
            self.cut.store(true, Ordering::Relaxed);
        }
        room
    }
}
