//! Ends instances when their processes exit: the kernel says so through pidfds.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_core::id::InstanceId;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::attest::start_time_of;
use crate::authority::Authority;

/// Processes watched at once; beyond it an instance is refused.
pub const MAX_WATCHED: usize = 4_096;

type Watched = Arc<Mutex<HashSet<InstanceId>>>;

/// Hands processes to the watcher.
#[derive(Debug, Clone)]
pub struct Watch {
    watched: Watched,
    hand_over: mpsc::Sender<(InstanceId, Arc<OwnedFd>)>,
}

/// The watcher's end.
pub struct Watcher {
    watched: Watched,
    handed_over: mpsc::Receiver<(InstanceId, Arc<OwnedFd>)>,
}

/// A pair of ends.
pub fn channel() -> (Watch, Watcher) {
    let (hand_over, handed_over) = mpsc::channel(MAX_WATCHED);
    let watched = Watched::default();
    (
        Watch {
            watched: Arc::clone(&watched),
            hand_over,
        },
        Watcher {
            watched,
            handed_over,
        },
    )
}

impl Watch {
    /// Watches the process of an instance, once. False if there is no room: the instance must not be served.
    #[must_use]
    pub fn process(&self, instance: InstanceId, pidfd: Arc<OwnedFd>) -> bool {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.contains(&instance) {
            return true;
        }
        let room =
            watched.len() < MAX_WATCHED && self.hand_over.try_send((instance, pidfd)).is_ok();
        if room {
            watched.insert(instance);
        }
        room
    }
}

impl Watcher {
    /// Ends every instance whose process exits, and first those whose process exited while the node was down. Exited ids go
    /// to `exited`. Runs until every [`Watch`] is gone.
    pub async fn run(mut self, authority: Arc<Authority>, exited: mpsc::Sender<InstanceId>) {
        let mut waits = JoinSet::new();
        for (instance, pidfd) in survivors(&authority).await {
            match pidfd {
                Some(pidfd) => drop(waits.spawn(wait(instance, pidfd))),
                None => end(&authority, instance, &exited).await,
            }
        }
        loop {
            tokio::select! {
                next = self.handed_over.recv() => match next {
                    Some((instance, pidfd)) => drop(waits.spawn(wait(instance, pidfd))),
                    None => return,
                },
                Some(done) = waits.join_next() => {
                    if let Ok(instance) = done {
                        self.watched.lock().unwrap_or_else(PoisonError::into_inner).remove(&instance);
                        end(&authority, instance, &exited).await;
                    }
                }
            }
        }
    }
}

async fn end(authority: &Authority, instance: InstanceId, exited: &mpsc::Sender<InstanceId>) {
    match authority.instance_exited(instance).await {
        Ok(true) => {
            tracing::info!(%instance, "instance ended: its process exited");
            // The receiver is gone only when the node stops.
            let _ = exited.send(instance).await;
        }
        Ok(false) => {}
        Err(error) => tracing::error!(%instance, %error, "an exited instance could not be ended"),
    }
}

async fn wait(instance: InstanceId, pidfd: Arc<OwnedFd>) -> InstanceId {
    exited(pidfd).await;
    instance
}

/// Resolves when the process that a pidfd pins has exited, reaped or not.
#[expect(
    deprecated,
    reason = "deprecated for types that give up their descriptor while registered; an owned descriptor does not, and the \
              other constructor is unsafe"
)]
pub async fn exited(pidfd: Arc<OwnedFd>) {
    match AsyncFd::with_interest(pidfd, Interest::READABLE) {
        Ok(readable) => drop(readable.readable().await),
        // Without a way to watch it, it counts as gone: fail closed.
        Err(error) => tracing::error!(%error, "a process cannot be watched"),
    }
}

/// Live instances of earlier runs of the node, with the pidfd of those whose process still runs and is their own. A launch ended with that
/// run, whatever its program does: who has stopped its launcher keeps nothing by that.
async fn survivors(authority: &Authority) -> Vec<(InstanceId, Option<Arc<OwnedFd>>)> {
    let live = authority
        .parts
        .store
        .read(|rows| rows.live_instances())
        .await
        .unwrap_or_default();
    let pinned = |pid: u32, start: u64| {
        let pidfd = pidfd_open(
            Pid::from_raw(i32::try_from(pid).ok()?)?,
            PidfdFlags::empty(),
        )
        .ok()?;
        // Read after the process is pinned: a reused id has another start time.
        (start_time_of(pid)? == start).then(|| Arc::new(pidfd))
    };
    // Those elsewhere end with their time, not with a process.
    live.into_iter()
        // An OAuth client has no process here: it ends with its task.
        .filter(|instance| instance.client.is_none())
        .filter_map(|instance| {
            let (pid, start) = instance.process()?;
            let pidfd = pinned(pid, start).filter(|_| !instance.is_launched());
            Some((instance.id, pidfd))
        })
        .collect()
}
