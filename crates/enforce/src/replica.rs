//! This point's copy of what decisions rest on: agents, instances, tasks, servers, tools, fences, keys, the active policy version.
//!
//! Changes are applied in commit order. A gap, or a change of a shape that cannot be applied, closes the replica: everything is denied
//! and everything live is cut until it is loaded again. Fences of this process are added before they are durable (02 §9).

mod items;
mod state;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bailiwick_core::change::{Change, ChangeBody};
use bailiwick_core::fence::Fence;
use bailiwick_core::{Code, Fault};
use tokio::sync::watch;

use crate::live::Live;
pub use items::Items;
pub use state::{State, View};

/// Changes kept while the replica is not loaded yet; beyond this it stays closed.
pub const MAX_WAITING: usize = 65_536;

/// The replica. Shared; reading takes a short lock, never across an await.
#[derive(Debug)]
pub struct Replica {
    inner: RwLock<Inner>,
    applied: watch::Sender<u64>,
    live: Arc<Live>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    status: Status,
    loaded_at: u64,
    waiting: Vec<Change>,
    /// Fences of this process that are not durable yet; survive a load.
    local: Vec<Fence>,
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
#[error("this enforcement point does not know the newest state: {0}")]
pub struct Behind(pub String);

impl Fault for Behind {
    fn code(&self) -> Code {
        Code::ReplicaBehind
    }

    fn help(&self) -> String {
        "denied until the replica is in step again; if that lasts, restart the node and read its log".to_owned()
    }
}

impl Replica {
    /// An empty replica, closed until [`Self::load`].
    pub fn new(live: Arc<Live>) -> Self {
        let inner = Inner {
            state: State::default(),
            status: Status::Empty,
            loaded_at: 0,
            waiting: Vec::new(),
            local: Vec::new(),
        };
        Self {
            inner: RwLock::new(inner),
            applied: watch::Sender::new(0),
            live,
        }
    }

    /// Takes over a snapshot: the newest state of every thing, as of feed sequence `head`. Changes that arrived meanwhile are applied
    /// on top. Call it after the observer is registered; may be called again to reopen a closed replica.
    pub fn load(&self, snapshot: Vec<ChangeBody>, head: u64) {
        let mut inner = self.write();
        inner.state = State::default();
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
            Status::Open => Ok(look(&inner.state)),
            Status::Empty => Err(Behind("it has not been loaded yet".to_owned())),
            Status::Closed(reason) => Err(Behind(reason.clone())),
        }
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
            state::cut(&self.live, &change.body);
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

fn close(inner: &mut Inner, live: &Live, reason: String) {
    tracing::error!(reason, "the replica is closed: everything is denied");
    live.cut_all("this enforcement point lost step with the change feed");
    inner.waiting.clear();
    inner.status = Status::Closed(reason);
}

#[cfg(test)]
mod tests;
