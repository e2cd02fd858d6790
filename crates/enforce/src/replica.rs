//! This point's copy of what decisions rest on: agents, instances, tasks, servers, tools, fences, keys, the active policy version.
//!
//! Changes are applied in commit order. A gap, or a change of a shape that cannot be applied, closes the replica: everything is denied
//! and everything live is cut until it is loaded again. Fences of this process are added before they are durable (02 §9). In another
//! process than the node it is good for as long as its lease lasts (02 §10).

mod items;
mod lease;
mod state;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use bailiwick_core::change::{Change, ChangeBody};
use bailiwick_core::fence::Fence;
use bailiwick_core::id::TaskId;
use bailiwick_core::task::TaskState;
use bailiwick_core::{Clock, Code, Fault};
use tokio::sync::{Notify, watch};

use crate::live::Live;
pub use items::Items;
use lease::Lease;
pub use state::{State, View};

/// Changes kept while the replica is not loaded yet; beyond this it stays closed.
pub const MAX_WAITING: usize = 65_536;

/// The replica. Shared; reading takes a short lock, never across an await.
#[derive(Debug)]
pub struct Replica {
    inner: RwLock<Inner>,
    applied: watch::Sender<u64>,
    live: Arc<Live>,
    /// Told when a lease begins or goes on.
    held: Notify,
}

#[derive(Debug)]
struct Inner {
    state: State,
    status: Status,
    loaded_at: u64,
    waiting: Vec<Change>,
    /// Fences of this process that are not durable yet; survive a load.
    local: Vec<Fence>,
    /// None in the process of the node.
    lease: Option<Lease>,
}

/// Whether the replica can be decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Nothing was loaded yet.
    Empty,
    /// In step with the feed.
    Open,
    /// A change is missing.
    Closed(String),
}

/// The replica cannot be decided on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Behind {
    /// It is not in step with the feed.
    #[error("this enforcement point does not know the newest state: {0}")]
    Step(String),
    /// It has heard nothing for longer than its lease.
    #[error(
        "this enforcement point has heard nothing valid from its node for its lease and {} ms more", .0.as_millis()
    )]
    Lease(Duration),
}

impl Fault for Behind {
    fn code(&self) -> Code {
        match self {
            Self::Step(_) => Code::ReplicaBehind,
            Self::Lease(_) => Code::LeaseExpired,
        }
    }

    fn help(&self) -> String {
        "denied until the replica is in step again; if that lasts, restart the node and read its log".to_owned()
    }
}

impl Replica {
    /// An empty replica, closed until [`Self::load`].
    pub fn new(live: Arc<Live>) -> Self {
        Self::with(live, None)
    }

    /// One in another process than the node: also closed whenever its lease is over.
    pub fn leased(live: Arc<Live>, clock: Arc<dyn Clock>) -> Self {
        Self::with(live, Some(Lease::none(clock)))
    }

    fn with(live: Arc<Live>, lease: Option<Lease>) -> Self {
        let inner = Inner {
            state: State::default(),
            status: Status::Empty,
            loaded_at: 0,
            waiting: Vec::new(),
            local: Vec::new(),
            lease,
        };
        Self {
            inner: RwLock::new(inner),
            applied: watch::Sender::new(0),
            live,
            held: Notify::new(),
        }
    }

    /// Takes over a snapshot: the newest state of every thing, as of feed sequence `head`. Changes that arrived meanwhile are applied
    /// on top. Call it after the observer is registered; may be called again to reopen a closed replica.
    pub fn load(&self, snapshot: Vec<ChangeBody>, head: u64) {
        let mut inner = self.write();
        inner.state = inner.state.anew();
        for body in snapshot {
            inner.state.put(head, body);
        }
        for fence in inner.local.clone() {
            inner.state.put_fence(fence);
        }
        inner.state.seq = head;
        inner.loaded_at = head;
        inner.status = Status::Open;
        let waiting = std::mem::take(&mut inner.waiting);
        self.apply_locked(&mut inner, &waiting);
        self.publish(inner);
    }

    /// Applies committed changes in their order.
    pub fn apply(&self, changes: &[Change]) {
        let mut inner = self.write();
        if inner.status == Status::Empty {
            inner.waiting.extend_from_slice(changes);
            if inner.waiting.len() > MAX_WAITING {
                let full = format!("more than {MAX_WAITING} changes before the first load");
                close(&mut inner, &self.live, full);
            }
            return;
        }
        self.apply_locked(&mut inner, changes);
        self.publish(inner);
    }

    /// Adds fences of this process before they are durable, and cuts what they kill; gives how many live things that were.
    pub fn fence_now(&self, fences: &[Fence]) -> usize {
        {
            let mut inner = self.write();
            for fence in fences {
                inner.local.push(fence.clone());
                inner.state.put_fence(fence.clone());
            }
        }
        fences.iter().map(|fence| self.live.fence(fence)).sum()
    }

    /// Runs `look` on a consistent state; fails if the replica is closed.
    pub fn view<T>(&self, look: impl FnOnce(&State) -> T) -> Result<T, Behind> {
        let inner = self.read();
        match &inner.status {
            Status::Open => match inner.lease.as_ref().and_then(Lease::over) {
                Some(over) => Err(Behind::Lease(over)),
                None => Ok(look(&inner.state)),
            },
            Status::Empty => Err(Behind::Step("it has not been loaded yet".to_owned())),
            Status::Closed(reason) => Err(Behind::Step(reason.clone())),
        }
    }

    /// Closes it until it is loaded again, and cuts everything live.
    pub fn close(&self, reason: &str) {
        close(&mut self.write(), &self.live, reason.to_owned());
    }

    /// It is good until then, on the clock it was made with, if it is in step. Without a lease nothing changes.
    pub fn hold(&self, until: Duration) {
        let mut inner = self.write();
        let open = inner.status == Status::Open;
        let Some(lease) = inner.lease.as_mut().filter(|_| open) else {
            return;
        };
        // What was decided under a lease that has run out meanwhile goes before a new one begins.
        if lease.lapses() {
            self.live.cut_all(LAPSED);
        }
        lease.hold(until);
        drop(inner);
        self.held.notify_one();
    }

    /// What is left of its lease; none if it needs none.
    pub fn lease_left(&self) -> Option<Duration> {
        self.read().lease.as_ref().map(Lease::left)
    }

    /// Cuts everything live each time the lease ends. Runs until it is dropped.
    pub async fn watch_lease(&self) {
        loop {
            let Some(left) = self.lease_left() else {
                return;
            };
            if !left.is_zero() {
                tokio::time::sleep(left).await;
                continue;
            }
            if self.lapse() {
                tracing::error!("the lease is over: everything is denied");
            }
            self.held.notified().await;
        }
    }

    /// Cuts everything live if the lease is over and that was not done yet; true if so.
    pub fn lapse(&self) -> bool {
        let mut inner = self.write();
        let lapses = inner.lease.as_mut().is_some_and(Lease::lapses);
        if lapses {
            self.live.cut_all(LAPSED);
        }
        lapses
    }

    /// Whether it can be decided on.
    pub fn status(&self) -> Status {
        self.read().status.clone()
    }

    /// Newest change applied.
    pub fn applied(&self) -> u64 {
        *self.applied.borrow()
    }

    /// Follows [`Self::applied`].
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// What goes on although a task above it has ended, by its number in the live index. A closed replica has cut everything.
    pub fn outlived(&self) -> Vec<(u64, TaskId)> {
        let found = self.view(|state| {
            let over = |id: &TaskId| {
                let task = state.task(*id);
                task.is_some_and(|task| task.state != TaskState::Open)
            };
            let going_on = self.live.going_on().into_iter();
            let found =
                going_on.filter_map(|(key, tasks)| Some((key, tasks.into_iter().find(over)?)));
            found.collect()
        });
        found.unwrap_or_default()
    }

    /// What is going on now.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    fn apply_locked(&self, inner: &mut Inner, changes: &[Change]) {
        for change in changes {
            if inner.status != Status::Open {
                return;
            }
            // A change that the snapshot held already may still be on its way to us; any other repetition is a defect.
            if change.seq <= inner.loaded_at {
                continue;
            }
            let expected = inner.state.seq.saturating_add(1);
            if change.seq != expected {
                close(
                    inner,
                    &self.live,
                    format!("change {} came where {expected} was due", change.seq),
                );
                return;
            }
            inner.state.put(change.seq, change.body.clone());
            if let ChangeBody::Fence(fence) = &change.body {
                inner.local.retain(|local| local.id != fence.id);
            }
            state::cut(&self.live, change);
        }
    }

    fn publish(&self, inner: RwLockWriteGuard<'_, Inner>) {
        let seq = inner.state.seq;
        drop(inner);
        self.applied.send_replace(seq);
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What agents are told whose calls are cut when a lease ends.
const LAPSED: &str = "this enforcement point has lost its node";

fn close(inner: &mut Inner, live: &Live, reason: String) {
    tracing::error!(reason, "the replica is closed: everything is denied");
    live.cut_all("this enforcement point lost step with the change feed");
    inner.waiting.clear();
    inner.status = Status::Closed(reason);
}

#[cfg(test)]
mod tests;
