//! Why a tool did not do what it was asked. The caller reads these as the text of a failed tool result.

use bailiwick_core::{Code, Fault};

/// A failed tool call.
#[derive(Debug, thiserror::Error)]
pub(super) enum ToolFailure {
    /// The arguments do not fit the tool's schema.
    #[error("the arguments do not fit: {0}")]
    Arguments(#[source] serde_json::Error),
    /// A path that leaves the root or could be read two ways.
    #[error(
        "the path `{0}` is refused: only relative paths below the workspace, without `..`, links or control characters"
    )]
    Path(String),
    /// No such file.
    #[error("there is no file `{0}`")]
    NoFile(String),
    /// A name that is taken.
    #[error("`{0}` exists already")]
    Exists(String),
    /// Content over the bound.
    #[error("{what} is over {limit} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// A title that leaves nothing to name a file by.
    #[error("the title has no letter or digit to name the note by")]
    Title,
    /// No such order.
    #[error("there is no order {0}")]
    NoOrder(i64),
    /// The caller or the server ended the call.
    #[error("the call was cancelled")]
    Cancelled,
    /// The journal could not be written, so the tool did not act.
    #[error("the call cannot be written to the journal, so it did not run")]
    Journal(#[source] std::io::Error),
    /// The file system failed.
    #[error("the file system failed")]
    Files(#[from] std::io::Error),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] rusqlite::Error),
    /// Work on a blocking thread did not come back.
    #[error("the work was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl Fault for ToolFailure {
    fn code(&self) -> Code {
        match self {
            Self::Arguments(_) | Self::Path(_) | Self::Title => Code::ArgumentsInvalid,
            Self::NoFile(_) | Self::NoOrder(_) => Code::NotFound,
            Self::Exists(_) => Code::AlreadyExists,
            Self::TooLarge { .. } => Code::TooLarge,
            Self::Cancelled => Code::CallCut,
            Self::Journal(_) => Code::AuditUnavailable,
            Self::Files(_) | Self::Database(_) => Code::StoreUnavailable,
            Self::Interrupted(_) => Code::Internal,
        }
    }
}
