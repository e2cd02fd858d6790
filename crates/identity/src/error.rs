//! Why a process gets no identity, with what its operator can do about it.

use bailiwick_core::fence::Subject;
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_store::StoreError;

/// Why there is no identity for a process.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No registration matches.
    #[error("no registered agent matches this process; it has {found}")]
    NoIdentity {
        /// Its selectors.
        found: String,
        /// The registration that nearly matched, and what is missing.
        nearest: Option<String>,
    },
    /// A fence stands on the agent, its owner or the instance.
    #[error("{subject} is revoked: {reason}")]
    Revoked {
        /// What is fenced.
        subject: Subject,
        /// The reason of the revocation.
        reason: String,
    },
    /// What was shown over HTTP proves nothing.
    #[error("{}", .0.message)]
    Evidence(Problem),
    /// The caller asked for an identity that is not its own.
    #[error("{0} is not an identity of this process")]
    NotYours(String),
    /// An argument.
    #[error("{0}")]
    Invalid(String),
    /// The store.
    #[error("the identity cannot be kept")]
    Store(#[from] StoreError),
    /// The event is not on record.
    #[error("the identity cannot be put on record")]
    Record(#[source] Problem),
    /// Signing failed.
    #[error("the identity cannot be signed: {0}")]
    Signing(String),
}

impl Fault for IdentityError {
    fn code(&self) -> Code {
        match self {
            Self::NoIdentity { .. } | Self::NotYours(_) => Code::NoIdentity,
            Self::Revoked { .. } => Code::Revoked,
            Self::Invalid(_) => Code::InvalidInput,
            Self::Store(error) => error.code(),
            Self::Record(problem) | Self::Evidence(problem) => problem.code,
            Self::Signing(_) => Code::Internal,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::NoIdentity {
                nearest: Some(nearest),
                ..
            } => format!("{nearest}; see `bailiwick agent show`"),
            Self::NoIdentity { nearest: None, .. } => {
                "register it: `bailiwick agent add`".to_owned()
            }
            Self::Revoked { .. } => {
                "an operator can lift a fence on an agent or owner: `bailiwick fence list`"
                    .to_owned()
            }
            Self::Store(error) => error.help(),
            Self::Record(problem) | Self::Evidence(problem) => problem.help.clone(),
            Self::NotYours(_) | Self::Invalid(_) | Self::Signing(_) => String::new(),
        }
    }
}
