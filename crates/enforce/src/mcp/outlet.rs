//! Where messages go that reach a caller before the answer to its request: progress and other notifications.

use bytes::Bytes;
use tokio::sync::mpsc;

/// Messages waiting for a slow caller; beyond this, notifications are dropped.
pub(crate) const MAX_WAITING: usize = 64;

/// The way back to the caller of one request, besides its answer.
#[derive(Debug, Clone)]
pub(crate) struct Outlet(mpsc::Sender<Bytes>);

impl Outlet {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Bytes>) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        (Self(sender), receiver)
    }

    /// Over a channel that somebody else reads.
    pub(crate) fn over(sender: mpsc::Sender<Bytes>) -> Self {
        Self(sender)
    }

    /// Passes a notification on if the caller keeps up; true if it did.
    pub(crate) fn offer(&self, message: Bytes) -> bool {
        self.0.try_send(message).is_ok()
    }

    /// Resolves when the caller is gone.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// The answer to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// HTTP status, where the transport has one.
    pub(crate) status: u16,
    /// One JSON-RPC message.
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn ok(body: Bytes) -> Self {
        Self { status: 200, body }
    }
}
