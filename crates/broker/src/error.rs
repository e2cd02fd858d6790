//! Why there is no lease, by who is at fault.

use bailiwick_core::fence::Subject;
use bailiwick_core::id::TaskId;
use bailiwick_core::lease::Delivery;
use bailiwick_core::name::{BackendName, CredentialName};
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_store::StoreError;

use crate::MAX_LIVE_OF_TASK;
use crate::backend::BackendError;

/// Why a credential was not leased. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// This task, instance or server may not have it.
    #[error("credential {credential} is not leased: {why}")]
    Denied {
        /// The credential.
        credential: CredentialName,
        /// Why.
        why: String,
    },
    /// There is no authority in the task any more.
    #[error("no credential is leased to task {task}: it is over")]
    Task {
        /// The task.
        task: TaskId,
        /// How it ended.
        code: Code,
    },
    /// A fence stands above it.
    #[error("no credential is leased: {subject} was revoked: {reason}")]
    Revoked {
        /// What the fence stands on.
        subject: Subject,
        /// Why it was set.
        reason: String,
    },
    /// Too many leases live.
    #[error("task {0} has {MAX_LIVE_OF_TASK} live leases already")]
    Quota(TaskId),
    /// Too many leases of a credential live.
    #[error("credential {credential} has {most} live leases already")]
    Busy {
        /// The credential.
        credential: CredentialName,
        /// How many it may have.
        most: usize,
    },
    /// It is not handed over so.
    #[error("credential {credential} is not handed over by `{delivery}`")]
    Delivery {
        /// The credential.
        credential: CredentialName,
        /// How it was wanted.
        delivery: Delivery,
        /// How it may be had; nothing if there is no such credential.
        instead: Vec<Delivery>,
    },
    /// Its backend makes none now.
    #[error("backend {backend} makes no credential now: {why}")]
    Unfit {
        /// The backend.
        backend: BackendName,
        /// `backend_down`, `backend_clock_skew` or `backend_read_only`.
        code: Code,
        /// Why.
        why: String,
    },
    /// There is no such backend.
    #[error("there is no backend {0}")]
    NoBackend(BackendName),
    /// The lease ended while it was made.
    #[error("the lease ended while it was made")]
    Ended,
    /// The backend did not make it.
    #[error("credential {credential} could not be made")]
    Backend {
        /// The credential.
        credential: CredentialName,
        /// Why.
        #[source]
        source: BackendError,
    },
    /// It could not be put on record.
    #[error("the lease could not be put on record: {0}")]
    Record(Problem),
    /// The store.
    #[error("the lease could not be kept")]
    Store(#[source] StoreError),
}

impl Fault for LeaseError {
    fn code(&self) -> Code {
        match self {
            Self::Denied { .. } => Code::LeaseDenied,
            Self::Quota(_) | Self::Busy { .. } => Code::LeaseQuota,
            Self::Delivery { .. } => Code::DeliveryForbidden,
            Self::NoBackend(_) => Code::NotFound,
            Self::Task { code, .. } | Self::Unfit { code, .. } => *code,
            Self::Revoked { .. } => Code::Revoked,
            Self::Ended => Code::LeaseFinal,
            Self::Backend { source, .. } => source.code(),
            Self::Record(problem) => problem.code,
            Self::Store(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Denied { .. } => {
                "`bailiwick server show` names a server's credential; `bailiwick task show` its task and instance".to_owned()
            }
            Self::Task { .. } => "open a new task".to_owned(),
            Self::Revoked { .. } => {
                "nothing under a fence revives; a person has to lift it, then open a new task".to_owned()
            }
            Self::Quota(_) => "end leases of the task, or split the work over several tasks".to_owned(),
            Self::Busy { .. } => {
                "`bailiwick lease list` shows who holds them; `max_live` in [broker] credentials is the bound".to_owned()
            }
            Self::Delivery { instead, .. } if instead.is_empty() => {
                "`[broker] credentials` names what is made for agents; a sealed secret is only injected into calls".to_owned()
            }
            Self::Delivery { instead, .. } => {
                let ways: Vec<&str> = instead.iter().map(|way| way.as_str()).collect();
                format!("it is handed over by: {}", ways.join(", "))
            }
            Self::Unfit { code: Code::BackendReadOnly, .. } => {
                "is this node's data an older copy? If it is the right one, an admin says so: `bailiwick backend adopt NAME`".to_owned()
            }
            Self::Unfit { code: Code::BackendClockSkew, .. } => "set both clocks right (NTP)".to_owned(),
            Self::Unfit { .. } => "try again in a moment; `bailiwick backend list` shows how it stands".to_owned(),
            Self::NoBackend(_) => "`bailiwick backend list` shows those there are".to_owned(),
            Self::Ended => "the task ended or was revoked meanwhile; look at `bailiwick task show`".to_owned(),
            Self::Backend { source, .. } => source.help(),
            Self::Record(problem) => problem.help.clone(),
            Self::Store(error) => error.help(),
        }
    }
}
