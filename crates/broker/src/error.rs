//! Why there is no lease, by who is at fault.

use bailiwick_core::fence::Subject;
use bailiwick_core::id::TaskId;
use bailiwick_core::name::CredentialName;
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
            Self::Denied { .. } | Self::Quota(_) => Code::LeaseDenied,
            Self::Task { code, .. } => *code,
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
            Self::Ended => "the task ended or was revoked meanwhile; look at `bailiwick task show`".to_owned(),
            Self::Backend { source, .. } => source.help(),
            Self::Record(problem) => problem.help.clone(),
            Self::Store(error) => error.help(),
        }
    }
}
