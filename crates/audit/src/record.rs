//! What the rest of Bailiwick sees of the log: an event goes in, a receipt comes out once it is durable.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bailiwick_core::event::Event;
use bailiwick_core::id::EventId;
use bailiwick_core::{Code, Digest, Fault};
use bailiwick_crypto::aead::AeadError;
use tokio::sync::oneshot;

use crate::leaf::MAX_LEAF;

/// The answer to [`Recorder::record`].
pub type Recording = Pin<Box<dyn Future<Output = Result<Receipt, RecordError>> + Send>>;

/// What comes of recording an event that the log says of itself.
pub(crate) type Answer = oneshot::Receiver<Result<Receipt, RecordError>>;

/// Puts events on record.
pub trait Recorder: Send + Sync {
    /// Records one event; resolves when it is durable. The event is taken at once if there is room, so dropping the answer does not take
    /// it back; while the queue is full it waits, and dropping the answer gives up.
    fn record(&self, event: Event, class: Class) -> Recording;
}

impl<R: Recorder + ?Sized> Recorder for Arc<R> {
    fn record(&self, event: Event, class: Class) -> Recording {
        (**self).record(event, class)
    }
}

/// What hangs on an event being on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Something is granted once it is: a permit, a token, a credential, an approval's effect, the end of an answer. Refused as soon as
    /// the log is short of space.
    Grant,
    /// Authority was narrowed or refused, which has already taken effect. Uses the reserve when space is short.
    Narrow,
}

/// Proof towards the caller that an event is durable, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The log: `<trust domain>/<node>`.
    pub origin: Arc<str>,
    /// Its place in the log, from 0.
    pub index: u64,
    /// RFC 6962 hash of its leaf.
    pub leaf_hash: Digest,
    /// The batch that made it durable.
    pub batch: u64,
    /// Its id.
    pub event: EventId,
}

/// Why an event is not on record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The log takes no such event now.
    #[error("the event could not be recorded: {0}")]
    Unavailable(Unavailable),
    /// The event is over the size of a leaf.
    #[error(
        "the event has {bytes} bytes, over the {MAX_LEAF} of a leaf; its largest member is `{field}`"
    )]
    TooLarge {
        /// Largest top-level member.
        field: String,
        /// Bytes of the whole.
        bytes: usize,
    },
    /// The event does not serialise.
    #[error("the event does not serialise: {0}")]
    Encoding(String),
    /// Its sealed values could not be sealed.
    #[error("the event's sealed values could not be sealed")]
    Sealing(#[from] AeadError),
}

/// Why the log takes no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The queue stayed full.
    #[error("the log's queue has been full for a second")]
    Busy,
    /// Space is short; only refusals and revocations are recorded.
    #[error("the log is short of disk space, so only what narrows authority is recorded")]
    Degraded,
    /// There is no space at all.
    #[error("the log's disk is full")]
    Full,
    /// The node is shutting down, or the disk failed.
    #[error("the log has stopped")]
    Stopped,
}

impl Fault for RecordError {
    fn code(&self) -> Code {
        match self {
            Self::Unavailable(_) => Code::AuditUnavailable,
            Self::TooLarge { .. } => Code::EventTooLarge,
            Self::Encoding(_) | Self::Sealing(_) => Code::Internal,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Unavailable(Unavailable::Busy) => {
                "Nothing was done. Try again in a moment.".into()
            }
            Self::Unavailable(Unavailable::Degraded | Unavailable::Full) => {
                "Nothing was done. Free space on the node's data disk; the log resumes by itself."
                    .into()
            }
            Self::Unavailable(Unavailable::Stopped) => {
                "Nothing was done. Start the node again.".into()
            }
            Self::TooLarge { field, .. } => format!("Nothing was done. Make `{field}` smaller."),
            Self::Encoding(_) | Self::Sealing(_) => String::new(),
        }
    }
}
