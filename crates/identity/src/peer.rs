//! Who is at the other end of a unix socket, as the kernel tells it at connection time.
//!
//! From Linux 6.5 the kernel hands out a pidfd of the process that connected. Before (Debian 12 has 6.1) one is opened from the process
//! id: a process that exits right after connecting, and whose id is reused within that moment, is then taken for its successor, which
//! still has to match a registration itself. [`pins_peers`] tells which it is, and the node says so when it starts.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nix::sys::socket::{getsockopt, sockopt};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// The process that connected. Who holds the descriptor *now* the kernel does not tell; the pidfd at least pins which process it was.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Process id in our namespace; never 0.
    pub pid: u32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Pins the process: its id cannot be reused unnoticed while this is checked.
    pub pidfd: Arc<OwnedFd>,
}

/// Why a peer cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// A kernel call failed.
    #[error("the kernel does not say who connected")]
    Kernel(#[from] nix::Error),
    /// The peer is in another pid namespace.
    #[error("the peer's process id is not visible to this node (another pid namespace)")]
    Invisible,
}

impl bailiwick_core::Fault for PeerError {
    fn code(&self) -> bailiwick_core::Code {
        bailiwick_core::Code::NoIdentity
    }

    fn help(&self) -> String {
        "connect from the node's own pid namespace, on Linux 5.3 or newer".to_owned()
    }
}

/// A pidfd of the process that has this id now.
fn opened(pid: u32) -> Result<OwnedFd, PeerError> {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(PeerError::Invisible)?;
    pidfd_open(pid, PidfdFlags::empty())
        .map_err(|error| PeerError::Kernel(nix::Error::from_raw(error.raw_os_error())))
}

/// Whether this kernel pins the process that connects (Linux 6.5 or newer).
pub fn pins_peers() -> bool {
    let pair = std::os::unix::net::UnixStream::pair();
    pair.is_ok_and(|(near, _far)| getsockopt(&near, sockopt::PeerPidfd).is_ok())
}

impl Peer {
    /// Asks the kernel (`SO_PEERCRED`, `SO_PEERPIDFD`).
    pub fn of(socket: &impl AsFd) -> Result<Self, PeerError> {
        let credentials = getsockopt(socket, sockopt::PeerCredentials)?;
        let pid = u32::try_from(credentials.pid()).unwrap_or(0);
        if pid == 0 {
            return Err(PeerError::Invisible);
        }
        let pidfd = match getsockopt(socket, sockopt::PeerPidfd) {
            Err(nix::Error::ENOPROTOOPT) => opened(pid)?,
            pinned => pinned?,
        };
        Ok(Self {
            pid,
            uid: credentials.uid(),
            gid: credentials.gid(),
            pidfd: Arc::new(pidfd),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Peer, opened};
    use crate::attest::{Hashes, attest};

    #[test]
    fn a_peer_is_attested_without_the_kernels_pidfd_too() {
        let (near, _far) = std::os::unix::net::UnixStream::pair().unwrap();
        let pinned = Peer::of(&near).unwrap();
        let peer = Peer {
            pidfd: std::sync::Arc::new(opened(pinned.pid).unwrap()),
            ..pinned
        };
        assert_eq!(
            attest(&peer, &Hashes::default()).unwrap().pid,
            std::process::id()
        );
    }
}
