//! Which points there are, how far each said it is, and until when each can hold a lease.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_control::points::Standing;
use bailiwick_core::name::PointName;
use bailiwick_core::point::Registration;
use bailiwick_core::receipt::{How, Point};
use bailiwick_core::{Code, Digest, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::over;

/// Questions of one point that are open at once: one that its sender gave up, and the next.
const MAX_OPEN: usize = 2;

/// The points of one node.
pub(super) struct Registry {
    inner: Mutex<Inner>,
    /// Counts what points said.
    said: watch::Sender<u64>,
    /// When this node began: a lease that it did not grant is over soon after that.
    began: Duration,
}

#[derive(Default)]
struct Inner {
    names: HashMap<Digest, PointName>,
    points: HashMap<PointName, Known>,
}

struct Known {
    sha256: Digest,
    /// Its token is refused.
    leaves: bool,
    session: Option<String>,
    /// Its newest question. No lease of it began after that.
    heard: Option<Duration>,
    /// What it said it has applied, and when it said so first.
    acked: Option<Acked>,
    room: Arc<Semaphore>,
}

#[derive(Clone, Copy)]
struct Acked {
    seq: u64,
    at: Duration,
}

/// A point's turn to be answered.
pub struct Turn {
    point: PointName,
    _room: OwnedSemaphorePermit,
}

impl Turn {
    /// Whose.
    pub fn point(&self) -> &PointName {
        &self.point
    }
}

/// Whether a point can still allow what was fenced.
pub(super) enum Stands {
    /// It cannot.
    Closed(Point),
    /// It can until then, unless it says otherwise before.
    Until(Duration),
}

impl Registry {
    pub(super) fn new(points: Vec<(Registration, Digest)>, now: Duration) -> Self {
        let registry = Self {
            inner: Mutex::default(),
            said: watch::Sender::new(0),
            began: now,
        };
        for (point, sha256) in points {
            registry.add(point.name, sha256);
        }
        registry
    }

    pub(super) fn add(&self, name: PointName, sha256: Digest) {
        let mut inner = self.lock();
        inner.names.insert(sha256, name.clone());
        let known = Known {
            sha256,
            leaves: false,
            session: None,
            heard: None,
            acked: None,
            room: Arc::new(Semaphore::new(MAX_OPEN)),
        };
        inner.points.insert(name, known);
    }

    /// The point whose token has this digest.
    pub(super) fn named(&self, sha256: Digest) -> Option<PointName> {
        self.lock().names.get(&sha256).cloned()
    }

    pub(super) fn names(&self) -> Vec<PointName> {
        self.lock().points.keys().cloned().collect()
    }

    pub(super) fn follow(&self) -> watch::Receiver<u64> {
        self.said.subscribe()
    }

    /// Refuses its token; how long it may still hold a lease. None if there is no such point.
    pub(super) fn leave(&self, name: &PointName, now: Duration) -> Option<Duration> {
        let mut inner = self.lock();
        let known = inner.points.get_mut(name)?;
        known.leaves = true;
        let sha256 = known.sha256;
        let until = over(known.heard.unwrap_or(self.began));
        inner.names.remove(&sha256);
        Some(until.saturating_sub(now))
    }

    pub(super) fn forget(&self, name: &PointName) {
        let mut inner = self.lock();
        if inner.points.get(name).is_some_and(|known| known.leaves) {
            inner.points.remove(name);
        }
    }

    /// Takes down what a point says.
    pub(super) fn heard(
        &self,
        name: &PointName,
        session: &str,
        applied: Option<u64>,
        now: Duration,
    ) -> Result<Turn, Problem> {
        let mut inner = self.lock();
        let known = inner.points.get_mut(name).filter(|known| !known.leaves);
        let known = known.ok_or_else(|| {
            Problem::new(
                Code::NotSignedIn,
                format!("point {name} has been removed"),
                "an admin adds it anew: bailiwick point add",
            )
        })?;
        let other = known.session.as_deref().is_some_and(|own| own != session);
        let leased = known.heard.is_some_and(|heard| now < over(heard));
        if other && leased {
            return Err(Problem::new(
                Code::Conflict,
                format!("another process follows the feed as point {name}"),
                "each process is a point of its own; after a restart try again in a moment",
            ));
        }
        let room = Arc::clone(&known.room).try_acquire_owned();
        let room = room.map_err(|_| {
            Problem::new(
                Code::Overloaded,
                format!("point {name} asks faster than it listens"),
                "one question at a time",
            )
        })?;
        if other {
            known.acked = None;
        }
        known.session = Some(session.to_owned());
        known.heard = Some(now);
        match (applied, known.acked) {
            (None, _) => known.acked = None,
            (Some(seq), Some(acked)) if acked.seq >= seq => {}
            (Some(seq), _) => known.acked = Some(Acked { seq, at: now }),
        }
        drop(inner);
        self.said.send_modify(|said| *said = said.wrapping_add(1));
        Ok(Turn {
            point: name.clone(),
            _room: room,
        })
    }

    /// Whether this point is closed to what was fenced up to `seq`, which was durable at `durable`.
    pub(super) fn stands(
        &self,
        name: &PointName,
        seq: u64,
        durable: Duration,
        now: Duration,
    ) -> Stands {
        let (acked, heard) = match self.lock().points.get(name) {
            // Removed meanwhile: nothing is known but that it asks no more.
            None => (None, durable),
            Some(known) => (known.acked, known.heard.unwrap_or(self.began)),
        };
        let said = acked.filter(|acked| acked.seq >= seq).map(|acked| acked.at);
        match closes(said, heard, durable, now) {
            Ok((how, at)) => {
                let ms = at.saturating_sub(durable).as_millis();
                let ms = u64::try_from(ms).unwrap_or(u64::MAX);
                Stands::Closed(Point {
                    id: name.to_string(),
                    how,
                    applied_ms: ms,
                    swept_ms: ms,
                })
            }
            Err(until) => Stands::Until(until),
        }
    }

    pub(super) fn standing(&self, name: &PointName, now: Duration) -> Standing {
        let inner = self.lock();
        let Some(known) = inner.points.get(name) else {
            return Standing::default();
        };
        Standing {
            applied: known.acked.map(|acked| acked.seq),
            heard: known.heard.map(|heard| now.saturating_sub(heard)),
            open: known.heard.is_some_and(|heard| now < over(heard)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that can panic runs under this lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Since when a point is closed to what was durable at `durable`, and how that is known; or until when it may not be. `said`: when it said
/// first that it has applied it. `heard`: its newest question.
pub(super) fn closes(
    said: Option<Duration>,
    heard: Duration,
    durable: Duration,
    now: Duration,
) -> Result<(How, Duration), Duration> {
    if let Some(at) = said {
        return Ok((How::Acked, at));
    }
    // Leases begin with questions. Those asked before are over by then; those asked after need the fence applied.
    let lapses = over(heard.min(durable));
    if now >= lapses {
        Ok((How::Lapsed, lapses))
    } else {
        Err(lapses)
    }
}
