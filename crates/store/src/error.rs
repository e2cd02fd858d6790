//! What can go wrong here, by who is at fault.

use std::path::PathBuf;

use bailiwick_core::{Code, Fault};

use crate::BadPostgresAddress;

/// Why a read or write did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing of this name is there to be removed.
    #[error("there is no {kind} `{key}`")]
    NotFound {
        /// Kind of thing.
        kind: &'static str,
        /// Its name or id.
        key: String,
    },
    /// Something that has to be unique is there already.
    #[error("{kind} `{key}` exists already")]
    AlreadyExists {
        /// Kind of thing.
        kind: &'static str,
        /// Its name or id.
        key: String,
    },
    /// The thing was changed meanwhile.
    #[error("{kind} `{key}` is at version {stored}, so version {offered} cannot be stored")]
    VersionConflict {
        /// Kind of thing.
        kind: &'static str,
        /// Its name or id.
        key: String,
        /// The version that is stored; 0 if it is not there.
        stored: u64,
        /// The version that was to be stored.
        offered: u64,
    },
    /// A rule of the noun forbids this write.
    #[error("{kind} `{key}` cannot be stored: {why}")]
    Refused {
        /// Kind of thing.
        kind: &'static str,
        /// Its name or id.
        key: String,
        /// The rule.
        why: &'static str,
    },
    /// A bounded queue is full.
    #[error("{0} {1} wait for the store already")]
    Overloaded(usize, &'static str),
    /// The database cannot be read or cannot commit: disk full, I/O error, or the node is going down.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The connection was lost while a commit was under way, and it could not be found out in time whether it counts.
    #[error("the store does not know whether it committed: {0}")]
    Unknown(String),
    /// A row cannot be understood.
    #[error("the stored {kind} cannot be read: {why}")]
    Damaged {
        /// Kind of thing.
        kind: &'static str,
        /// Why.
        why: String,
    },
    /// A closure panicked, or SQL is wrong: a defect of ours.
    #[error("a defect in a use of the store: {0}")]
    Defect(String),
}

impl Fault for StoreError {
    fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::NotFound,
            Self::AlreadyExists { .. } => Code::AlreadyExists,
            Self::VersionConflict { .. } => Code::VersionConflict,
            Self::Refused { .. } => Code::Conflict,
            Self::Overloaded(..) => Code::Overloaded,
            Self::Unavailable(_) | Self::Unknown(_) => Code::StoreUnavailable,
            Self::Damaged { .. } | Self::Defect(_) => Code::Internal,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::NotFound { .. } => "check the name; list what there is",
            Self::AlreadyExists { .. } => "choose another name, or change the one that exists",
            Self::VersionConflict { .. } => "read it again, then repeat the change",
            Self::Refused { .. } => "read it again; its state does not allow this change",
            Self::Overloaded(..) => "try again in a moment",
            Self::Unavailable(_) => {
                "look at free space and permissions of the data directory, or at the database; nothing was changed"
            }
            Self::Unknown(_) => {
                "read it before you repeat it: it may have been stored; then look at the database"
            }
            Self::Damaged { .. } => {
                "keep a copy of the data directory, then restore the store from a backup"
            }
            Self::Defect(_) => "please report this with the node's log",
        }
        .to_owned()
    }
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it is open to others.
    #[error("{} has mode {mode:03o}: others could read or change the node's state", path.display())]
    Permissions {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What it should be.
        wanted: u32,
    },
    /// A file or directory cannot be used.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process has the store open.
    #[error("another process uses the store in {}", dir.display())]
    Locked {
        /// The data directory.
        dir: PathBuf,
    },
    /// The file is a database, but not ours.
    #[error("{} is not a Bailiwick store (application id {found:#010x})", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its application id.
        found: i64,
    },
    /// The store was written by a newer release.
    #[error("the store has schema {found}; this release knows schemas up to {known}")]
    Newer {
        /// Its schema.
        found: i64,
        /// The newest one we know.
        known: i64,
    },
    /// The SQLite linked in has a known corruption defect.
    #[error("SQLite {found} is too old: 3.51.3 is the first without the WAL-reset defect")]
    Engine {
        /// Its version.
        found: &'static str,
    },
    /// The address of a PostgreSQL server cannot be used.
    #[error("the address of the database cannot be used")]
    Address(#[from] BadPostgresAddress),
    /// A PostgreSQL server does not answer as it should.
    #[error("the store at {at} does not open: {why}")]
    Server {
        /// Host, port and database.
        at: String,
        /// Why.
        why: String,
    },
    /// A PostgreSQL server is older than what is needed.
    #[error("PostgreSQL {found} is too old: 15 is the first that is known to work")]
    OldServer {
        /// Its version.
        found: String,
    },
    /// Another process has the database, or this node's name on it.
    #[error("another process has the database for itself, or is node `{node}` on it")]
    NodeTaken {
        /// The name.
        node: String,
    },
    /// There is a schema of our name, but it is not ours.
    #[error("the schema `bailiwick` at {at} is not a Bailiwick store")]
    ForeignSchema {
        /// Host, port and database.
        at: String,
    },
    /// The database does not answer as it should.
    #[error("the store in {} does not open: {why}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl Fault for OpenError {
    fn code(&self) -> Code {
        match self {
            Self::Engine { .. } => Code::Internal,
            Self::Address(_) => Code::ConfigInvalid,
            Self::Server { .. }
            | Self::OldServer { .. }
            | Self::NodeTaken { .. }
            | Self::ForeignSchema { .. } => Code::StoreUnavailable,
            _ => Code::DataDir,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Permissions { path, wanted, .. } => {
                format!("run: chmod {wanted:03o} {}", path.display())
            }
            Self::Io { .. } => {
                "check that the directory exists, is writable by this user and has space".to_owned()
            }
            Self::Locked { .. } => {
                "stop the other process, or give this one its own data directory".to_owned()
            }
            Self::Foreign { .. } => "name another data directory".to_owned(),
            Self::Newer { .. } => {
                "start the release that wrote it; a store is not downgraded".to_owned()
            }
            Self::Address(_) => {
                "[store] url is postgresql://user@host:port/database; a password goes into password_file".to_owned()
            }
            Self::Server { .. } => {
                "check that the server runs, that its user owns the database, and what the message says".to_owned()
            }
            Self::OldServer { .. } => "use a server of release 15 or newer".to_owned(),
            Self::NodeTaken { .. } => {
                "stop the other node: one at a time runs on a database; one that was cut off is forgotten within half a minute"
                    .to_owned()
            }
            Self::ForeignSchema { .. } => "name a database of its own".to_owned(),
            Self::Engine { .. } => "build with the bundled SQLite".to_owned(),
            Self::Database { .. } => {
                "keep a copy of the data directory, then restore the store from a backup".to_owned()
            }
        }
    }
}
