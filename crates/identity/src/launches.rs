//! The launches that run: which processes are whose. `bailiwick run` is the subreaper of what it started, so everything that came of it
//! descends from it, whoever forked it and however, for as long as it lives: a peer belongs to the launch of its nearest ancestor that is a
//! launcher. Kept in memory: a launch does not outlive its node's connection to the launcher.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_core::id::{InstanceId, TaskId};
use bailiwick_core::name::AgentName;
use tokio::sync::watch;

use crate::attest::{AttestError, lineage, still_there};
use crate::peer::Peer;

/// Launches at once; beyond it one more is refused.
pub const MAX_LAUNCHES: usize = 1_024;
/// How long a process of a launch waits for it to be confirmed that the launch is what its agent is registered for.
const CONFIRMATION: Duration = Duration::from_secs(10);

/// What the processes of a launch are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The instance that all of them are.
    pub instance: InstanceId,
    /// The task they act in.
    pub task: TaskId,
    /// The agent.
    pub agent: AgentName,
}

/// Id and start time of a launcher.
type Launcher = (u32, u64);

/// Launches that run, by their launcher.
#[derive(Debug, Default)]
pub struct Launches(Mutex<HashMap<Launcher, Entry>>);

#[derive(Debug)]
struct Entry {
    launch: Launch,
    confirmed: watch::Receiver<bool>,
}

/// A launch for as long as this is kept.
#[derive(Debug)]
pub struct Begun {
    launches: Arc<Launches>,
    launcher: Launcher,
    confirmed: watch::Sender<bool>,
}

impl Launches {
    /// From now on what descends from `launcher` is of this launch, and is served once it is [confirmed](Begun::confirm). None if the
    /// launcher has one already, or if there are too many.
    pub fn begin(self: &Arc<Self>, launcher: Launcher, launch: Launch) -> Option<Begun> {
        let (confirmed, receiver) = watch::channel(false);
        let mut running = self.lock();
        if running.len() >= MAX_LAUNCHES || running.contains_key(&launcher) {
            return None;
        }
        let entry = Entry {
            launch,
            confirmed: receiver,
        };
        running.insert(launcher, entry);
        drop(running);
        Some(Begun {
            launches: Arc::clone(self),
            launcher,
            confirmed,
        })
    }

    /// The launch that a peer belongs to. Waits until that is confirmed; one that never is gets an error.
    pub async fn of(&self, peer: &Peer) -> Result<Option<Launch>, AttestError> {
        let gone = || AttestError::Gone(peer.pid);
        if self.lock().is_empty() {
            return Ok(None);
        }
        let line = lineage(peer.pid).ok_or_else(gone)?;
        if !still_there(peer) {
            return Err(gone());
        }
        let found = self.among(&line);
        let Some((launch, mut confirmed)) = found else {
            return Ok(None);
        };
        let known = tokio::time::timeout(CONFIRMATION, confirmed.wait_for(|known| *known)).await;
        match known {
            Ok(Ok(_)) => Ok(Some(launch)),
            _ => Err(gone()),
        }
    }

    /// The launch that a line of processes belongs to, confirmed or not. A launcher is not of its own launch.
    pub fn holding(&self, line: &[(u32, u64)]) -> Option<Launch> {
        self.among(line).map(|(launch, _)| launch)
    }

    fn among(&self, line: &[(u32, u64)]) -> Option<(Launch, watch::Receiver<bool>)> {
        let launches = self.lock();
        let entry = line
            .iter()
            .skip(1)
            .find_map(|process| launches.get(process))?;
        Some((entry.launch.clone(), entry.confirmed.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Launcher, Entry>> {
        // No code that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Begun {
    /// The launched program is what its agent is registered for: its processes are served.
    pub fn confirm(&self) {
        self.confirmed.send_replace(true);
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.launches.lock().remove(&self.launcher);
    }
}

#[cfg(test)]
mod tests;
