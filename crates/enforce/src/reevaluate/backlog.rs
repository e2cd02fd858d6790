//! Changes that are not worked off everywhere yet. A change waits until this point has decided again what runs, and control what it keeps:
//! leases, approvals, delegated tasks. While one waits too long, nothing new begins in what it concerns.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_core::Clock;
use bailiwick_core::change::Change;
use bailiwick_core::id::EventId;
use bailiwick_core::name::{ServerName, ToolRef};
use bailiwick_core::trigger::Trigger;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;

use crate::replica::View;

/// Changes that wait one by one; beyond it they wait as one that concerns everything.
pub const MAX_WAITING: usize = 1_024;
/// A change that waits longer than this closes what it concerns for whatever is new.
pub const LATE: Duration = Duration::from_secs(1);

/// Who works changes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This enforcement point: calls and streams.
    Point,
    /// The control plane: leases, approvals, delegated tasks.
    Control,
}

/// Changes that wait.
pub struct Backlog {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    /// How many wait; also a metric.
    len: Gauge,
    news: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<Waiting>,
    /// The newest change that this point has worked off.
    point: u64,
    /// The newest change that control has worked off; it may be ahead of what was added here.
    control: u64,
}

#[derive(Debug)]
struct Waiting {
    seq: u64,
    trigger: Trigger,
    event: Option<EventId>,
    since: Duration,
}

impl Backlog {
    /// An empty one.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            inner: Mutex::default(),
            len: Gauge::default(),
            news: Notify::new(),
        }
    }

    /// Takes what of these changes has to be decided again. Call it after the replica has applied them.
    pub fn add(&self, changes: &[Change]) {
        let since = self.clock.monotonic();
        let triggers = changes.iter().filter_map(|change| {
            Some(Waiting {
                seq: change.seq,
                trigger: Trigger::of(&change.body)?,
                event: change.event,
                since,
            })
        });
        let mut inner = self.lock();
        let waiting = &mut inner.waiting;
        let before = waiting.len();
        waiting.extend(triggers);
        if waiting.len() == before {
            return;
        }
        if waiting.len() > MAX_WAITING {
            let newest = waiting.back().map_or(0, |last| last.seq);
            let oldest = waiting.front().map_or(since, |first| first.since);
            waiting.clear();
            waiting.push_back(Waiting {
                seq: newest,
                trigger: Trigger::Everything,
                event: None,
                since: oldest,
            });
            tracing::error!(
                MAX_WAITING,
                "changes come faster than what is live can be decided again: everything is"
            );
        }
        self.count(&inner);
        drop(inner);
        self.news.notify_one();
    }

    /// Resolves once something waits for this point, or may.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// What waits for this point, oldest first: place in the feed, what it concerns, its event.
    pub fn waiting_here(&self) -> Vec<(u64, Trigger, Option<EventId>)> {
        let inner = self.lock();
        let here = inner.waiting.iter();
        let here = here.filter(|change| change.seq > inner.point);
        here.map(|change| (change.seq, change.trigger.clone(), change.event))
            .collect()
    }

    /// One side has worked off everything up to a change; how long each took that waits for nobody any more.
    pub fn done(&self, side: Side, upto: u64) -> Vec<Duration> {
        let now = self.clock.monotonic();
        let mut inner = self.lock();
        match side {
            Side::Point => inner.point = inner.point.max(upto),
            Side::Control => inner.control = inner.control.max(upto),
        }
        let both = inner.point.min(inner.control);
        let mut took = Vec::new();
        while let Some(change) = inner.waiting.pop_front_if(|change| change.seq <= both) {
            took.push(now.saturating_sub(change.since));
        }
        self.count(&inner);
        drop(inner);
        if let Some(late) = took.iter().find(|took| **took >= LATE) {
            tracing::error!(
                ms = late.as_millis(),
                "what a change concerns was decided again too late"
            );
        }
        took
    }

    /// How many changes wait.
    pub fn len(&self) -> usize {
        usize::try_from(self.len.get()).unwrap_or(usize::MAX)
    }

    /// How many changes wait, as a metric.
    pub fn gauge(&self) -> Gauge {
        self.len.clone()
    }

    /// True if none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How long the oldest one has waited; zero if none waits.
    pub fn oldest(&self) -> Duration {
        let now = self.clock.monotonic();
        let oldest = self.lock().waiting.front().map(|first| first.since);
        oldest.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// Whether a change that concerns this caller at this place has waited too long.
    pub(crate) fn is_late(&self, view: &View, server: &ServerName, tool: Option<&ToolRef>) -> bool {
        if self.is_empty() {
            return false;
        }
        let now = self.clock.monotonic();
        let inner = self.lock();
        let agents = || view.chain.links.iter().map(|link| &link.agent);
        inner
            .waiting
            .iter()
            .take_while(|change| now.saturating_sub(change.since) >= LATE)
            .any(|change| {
                change.trigger.concerns(&view.task, agents())
                    && change.trigger.reaches(server, tool)
            })
    }

    fn count(&self, inner: &Inner) {
        let waiting = inner.waiting.len();
        self.len.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that can panic runs under this lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Backlog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Backlog({} waiting)", self.len())
    }
}
