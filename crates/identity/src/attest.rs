//! Unix attestation (02 §3): what the kernel says about a process, read so that a process that exits, or whose id is reused,
//! half-way is refused instead of mixed up with another.

mod executable;
mod process;

use std::os::fd::OwnedFd;

use bailiwick_core::agent::Agent;
use bailiwick_core::selector::Selector;
use bailiwick_core::{Code, Digest, Fault};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::peer::Peer;
pub use executable::Hashes;
use process::Process;
pub use process::{lineage, parent_of, start_time_of};

/// What attestation found on one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot.
    pub pid_start: u64,
    /// SHA-256 of the executable.
    pub digest: Digest,
    /// Everything a registration can ask for.
    pub selectors: Vec<Selector>,
}

/// Why a process cannot be attested.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// It exited, or its id was reused, while we looked.
    #[error("process {0} exited during attestation")]
    Gone(u32),
    /// `/proc` could not be read.
    #[error("process {pid} cannot be examined: {what}")]
    Unreadable {
        /// The process.
        pid: u32,
        /// What could not be read.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The executable is over the bound that is hashed.
    #[error("the executable of process {0} is over 1 GiB")]
    TooLarge(u32),
}

impl Fault for AttestError {
    fn code(&self) -> Code {
        Code::NoIdentity
    }

    fn help(&self) -> String {
        match self {
            Self::Gone(_) => {
                "connect from a process that stays alive until it is answered".to_owned()
            }
            Self::Unreadable { .. } => "run the node as root or as the agent's user".to_owned(),
            Self::TooLarge(_) => "start a smaller executable".to_owned(),
        }
    }
}

/// Looks at the process behind `peer`. Blocking: hashes the executable unless it is cached.
pub fn attest(peer: &Peer, hashes: &Hashes) -> Result<Found, AttestError> {
    let process = Process::open(peer.pid)?;
    let found = process.examine(peer.uid, peer.gid, hashes)?;
    // If the process had exited and its id had been reused before we opened /proc/PID, the pinned process is dead now.
    if process.start_time()? != found.pid_start || !process::alive(&peer.pidfd) {
        return Err(AttestError::Gone(peer.pid));
    }
    Ok(found)
}

/// Looks at the parent of the process behind `peer`: the agent that started the stdio shim. Owner and group are the parent's own.
pub fn attest_parent(peer: &Peer, hashes: &Hashes) -> Result<Found, AttestError> {
    let child = Process::open(peer.pid)?;
    let parent_pid = child.parent()?;
    let process = Process::open(parent_pid)?;
    let (uid, gid) = process.owner()?;
    let found = process.examine(uid, gid, hashes)?;
    // The child must still be alive and still have this parent: an orphan's new parent is not the one that started it.
    if child.parent()? != parent_pid
        || process.start_time()? != found.pid_start
        || !process::alive(&peer.pidfd)
    {
        return Err(AttestError::Gone(parent_pid));
    }
    Ok(found)
}

/// Whether a peer still runs: what was told of it by its id is believed only then.
pub fn still_there(peer: &Peer) -> bool {
    process::alive(&peer.pidfd)
}

/// A child of `peer` that waits to become another program: owner and group, as the kernel has them. What it will run is not known yet.
pub fn waiting_child(peer: &Peer, pid: u32) -> Result<(Waiting, OwnedFd), AttestError> {
    let pidfd = Pid::from_raw(i32::try_from(pid).unwrap_or(0))
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
        .ok_or(AttestError::Gone(pid))?;
    // Pinned first: what is read from here on is of one process, as long as that lives.
    let process = Process::open(pid)?;
    let (uid, gid) = process.owner()?;
    let waiting = Waiting {
        pid,
        pid_start: process.start_time()?,
        uid,
        gid,
    };
    let theirs = process.parent()? == peer.pid && uid == peer.uid;
    if !theirs || !process::alive(&pidfd) || !process::alive(&peer.pidfd) {
        return Err(AttestError::Gone(pid));
    }
    Ok((waiting, pidfd))
}

/// A process that was pinned before it became another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot.
    pub pid_start: u64,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

impl Waiting {
    /// What is known of it by now.
    pub fn selectors(&self) -> Vec<Selector> {
        vec![Selector::Uid(self.uid), Selector::Gid(self.gid)]
    }
}

/// Looks at a process that was pinned while it waited, now that it runs something else. Blocking, as [`attest`].
pub fn attest_again(
    waiting: &Waiting,
    pidfd: &OwnedFd,
    hashes: &Hashes,
) -> Result<Found, AttestError> {
    let process = Process::open(waiting.pid)?;
    let found = process.examine(waiting.uid, waiting.gid, hashes)?;
    if found.pid_start != waiting.pid_start || !process::alive(pidfd) {
        return Err(AttestError::Gone(waiting.pid));
    }
    Ok(found)
}

/// Whether `agent` is registered for what was found: every selector it asks for is there.
pub fn matches(found: &[Selector], agent: &Agent) -> bool {
    agent.enabled
        && !agent.selectors.is_empty()
        && agent.selectors.iter().all(|wanted| found.contains(wanted))
}

/// Selectors of `agent` that were not found.
pub fn missing(found: &[Selector], agent: &Agent) -> Vec<Selector> {
    agent
        .selectors
        .iter()
        .filter(|wanted| !found.contains(wanted))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests;
