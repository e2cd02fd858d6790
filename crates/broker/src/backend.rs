//! What makes credentials and takes them away. A backend never writes the store: it returns what it made, the protocol keeps it.

pub mod static_secret;

use std::future::Future;
use std::pin::Pin;

use bailiwick_core::lease::Lease;
use bailiwick_core::{Code, Fault, Secret};

pub use static_secret::StaticSecret;

/// The answer of a backend.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, BackendError>> + Send + 'a>>;

/// Makes and removes credentials. Every operation may be repeated.
pub trait Backend: Send + Sync {
    /// Makes the credential of this lease.
    fn create<'a>(&'a self, lease: &'a Lease) -> Answer<'a, Secret<String>>;

    /// Takes it away at its source.
    fn drop_remote<'a>(&'a self, lease: &'a Lease) -> Answer<'a, ()>;

    /// Whether it is gone there and holds no session.
    fn verify_gone<'a>(&'a self, lease: &'a Lease) -> Answer<'a, bool>;
}

/// Why a backend did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// It does not answer now; trying again may help.
    #[error("the backend does not answer: {0}")]
    Transient(String),
    /// It will not do this.
    #[error("the backend refuses: {0}")]
    Permanent(String),
}

impl Fault for BackendError {
    fn code(&self) -> Code {
        match self {
            Self::Transient(_) => Code::BackendDown,
            Self::Permanent(_) => Code::LeaseDenied,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Transient(_) => "try again in a moment",
            Self::Permanent(_) => {
                "look at the credential: `bailiwick secret list` shows which have a value"
            }
        }
        .to_owned()
    }
}
