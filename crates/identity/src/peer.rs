//! Who is at the other end of a unix socket, as the kernel tells it at connection time.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nix::sys::socket::{getsockopt, sockopt};

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
        "connect from the node's own pid namespace, on Linux 6.5 or newer".to_owned()
    }
}

impl Peer {
    /// Asks the kernel (`SO_PEERCRED`, `SO_PEERPIDFD`).
    pub fn of(socket: &impl AsFd) -> Result<Self, PeerError> {
        let credentials = getsockopt(socket, sockopt::PeerCredentials)?;
        let pidfd = getsockopt(socket, sockopt::PeerPidfd)?;
        let pid = u32::try_from(credentials.pid()).unwrap_or(0);
        if pid == 0 {
            return Err(PeerError::Invisible);
        }
        Ok(Self {
            pid,
            uid: credentials.uid(),
            gid: credentials.gid(),
            pidfd: Arc::new(pidfd),
        })
    }
}
