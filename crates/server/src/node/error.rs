//! Why a node does not start, or does not go on.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

use bailiwick_core::name::ServerName;
use bailiwick_core::{Code, Fault};
use bailiwick_crypto::keys::KeyError;
use bailiwick_crypto::note::NoteError;
use bailiwick_crypto::seal::SealError;
use bailiwick_enforce::SettingsError;
use bailiwick_identity::keyring::KeyringError;
use bailiwick_store::StoreError;

use super::certificates::CertificateError;

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A directory or file of the node cannot be used.
    #[error("{} cannot be used: {what}", path.display())]
    Path {
        /// Which.
        path: PathBuf,
        /// For what.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others could read or replace what the node keeps there.
    #[error("{} has mode {mode:03o}: {why}", path.display())]
    Exposed {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What others could do.
        why: &'static str,
    },
    /// The seal file is gone, and with it the keys sealed with it.
    #[error("there is a store in {}, but no seal file: its keys and secrets cannot be opened", dir.display())]
    SealMissing {
        /// The data directory.
        dir: PathBuf,
    },
    /// The store is older than the log beside it.
    #[error(
        "the store is an older copy of itself: it remembers {remembered} signed events, and the log beside it has {signed}"
    )]
    Restored {
        /// What the store remembers.
        remembered: u64,
        /// What the log has signed.
        signed: u64,
    },
    /// The place to ship the log to cannot be used.
    #[error(transparent)]
    Place(#[from] crate::ship::PlaceError),
    /// Two things have one name.
    #[error("`{0}` is the name of a registered tool server and of a connector")]
    NameTwice(ServerName),
    /// A connector's certificates cannot be used.
    #[error(transparent)]
    Connector(#[from] crate::egress::WayError),
    /// A port is taken.
    #[error("{key} = \"{address}\" cannot be listened on: the port is taken")]
    PortInUse {
        /// The configuration key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// An address cannot be listened on.
    #[error("{key} = \"{address}\" cannot be listened on")]
    Listen {
        /// The configuration key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process serves a socket there.
    #[error("another process serves {}", path.display())]
    SocketInUse {
        /// The socket.
        path: PathBuf,
    },
    /// The seal.
    #[error("the seal does not open")]
    Seal(#[from] SealError),
    /// The configuration names a database, and there is a store in the data directory too.
    #[error("[store] url names a database, and there is a store in {} too", file.display())]
    TwoStores {
        /// The file.
        file: PathBuf,
    },
    /// The configuration names no database.
    #[error("[store] url names no database")]
    NoDatabase,
    /// The state could not be copied into a database.
    #[error("the store was not copied")]
    Transfer(#[from] bailiwick_store::TransferError),
    /// The store.
    #[error("the store does not open")]
    Open(#[from] bailiwick_store::OpenError),
    /// A read or write while starting.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// The audit log.
    #[error("the audit log does not open")]
    Log(#[from] bailiwick_audit::log::OpenError),
    /// The log's key.
    #[error("the audit log's key cannot be used")]
    LogKey(#[from] KeyError),
    /// The log's name.
    #[error("the audit log cannot have this name")]
    LogName(#[from] NoteError),
    /// The signing keys.
    #[error("the signing keys cannot be used")]
    Keys(#[from] KeyringError),
    /// The gateway.
    #[error("the gateway cannot be set up")]
    Gateway(#[from] SettingsError),
    /// The record cannot be read back.
    #[error("the record cannot be read")]
    Record(#[from] bailiwick_audit::read::ReadError),
    /// The index of the record cannot be made.
    #[error("the index of the record cannot be made")]
    Index(#[from] crate::indexer::IndexingError),
    /// An outside issuer cannot be asked.
    #[error("an issuer of [[identity.issuers]] cannot be used")]
    Issuers(#[from] crate::issuers::BadAuthorities),
    /// The file of authorities cannot be read.
    #[error("the authorities in {} cannot be read", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file of authorities is none.
    #[error("[identity] x509pop_ca cannot be used")]
    Pop(#[from] bailiwick_crypto::pop::PopError),
    /// The key of a signer cannot be read.
    #[error("the key of signer {name} in {} cannot be used: {why}", path.display())]
    Signer {
        /// Which.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A listener's certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A backend cannot be used.
    #[error("backend {name} of [[broker.backends]] cannot be used")]
    Backend {
        /// Which.
        name: bailiwick_core::name::BackendName,
        /// Why.
        #[source]
        source: bailiwick_broker::backend::BadServer,
    },
    /// Leases of an earlier run.
    #[error("leases of an earlier run cannot be ended")]
    Leases(#[from] bailiwick_broker::LeaseError),
    /// A defect.
    #[error("{0}")]
    Defect(String),
}

impl Fault for StartError {
    fn code(&self) -> Code {
        match self {
            Self::Path { source, .. } if source.kind() == ErrorKind::AlreadyExists => {
                Code::AlreadyExists
            }
            Self::Path { .. } | Self::Exposed { .. } => Code::DataDir,
            Self::SealMissing { .. } => Code::SealLocked,
            Self::Restored { .. } => Code::FeedRegressed,
            Self::PortInUse { .. } | Self::SocketInUse { .. } => Code::PortInUse,
            Self::Listen { .. }
            | Self::TwoStores { .. }
            | Self::NoDatabase
            | Self::Issuers(_)
            | Self::Authorities { .. }
            | Self::Signer { .. }
            | Self::Pop(_)
            | Self::NameTwice(_)
            | Self::Connector(_)
            | Self::Backend { .. } => Code::ConfigInvalid,
            Self::Seal(error) => error.code(),
            Self::Transfer(error) => error.code(),
            Self::Open(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Log(error) => error.code(),
            Self::LogKey(error) => error.code(),
            Self::LogName(error) => error.code(),
            Self::Keys(error) => error.code(),
            Self::Gateway(error) => error.code(),
            Self::Record(error) => error.code(),
            Self::Index(error) => error.code(),
            Self::Leases(error) => error.code(),
            Self::Place(error) => error.code(),
            Self::Certificate(error) => error.code(),
            Self::Defect(_) => Code::Internal,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Path { source, .. } if source.kind() == ErrorKind::AlreadyExists => {
                "it is left as it is; edit it, or name another place".to_owned()
            }
            Self::Path { .. } => {
                "check that it exists, belongs to this user and has space; or set [node] data_dir"
                    .to_owned()
            }
            Self::Exposed { path, .. } => format!("run: chmod 700 {}", path.display()),
            Self::SealMissing { .. } => {
                "restore seal.key from its backup, copy it from another node of the same store, or name another [node] data_dir".to_owned()
            }
            Self::TwoStores { .. } => {
                "copy it with `bailiwick store migrate`, or remove [store] url to go on with the file, or move the file away if its state is no longer wanted"
                    .to_owned()
            }
            Self::Restored { .. } => {
                "what was revoked since that copy lives again in it: put the newer store back, or take this one into use with `bailiwick store adopt --reason …`, which ends everything it holds"
                    .to_owned()
            }
            Self::PortInUse { key, .. } => {
                format!(
                    "stop what listens there, or set {key} to another port (0 takes a free one)"
                )
            }
            Self::Listen { key, .. } => format!("set {key} to an address of this machine"),
            Self::SocketInUse { .. } => {
                "stop the other node, or give this one its own [node] runtime_dir".to_owned()
            }
            Self::Seal(error) => error.help(),
            Self::NoDatabase => {
                "set [store] url to where the state is to go".to_owned()
            }
            Self::Transfer(error) => error.help(),
            Self::Open(error) => error.help(),
            Self::Store(error) => error.help(),
            Self::Log(error) => error.help(),
            Self::LogKey(error) => error.help(),
            Self::LogName(error) => error.help(),
            Self::Keys(error) => error.help(),
            Self::Gateway(error) => error.help(),
            Self::Record(error) => error.help(),
            Self::Index(error) => error.help(),
            Self::Leases(error) => error.help(),
            Self::Place(error) => error.help(),
            Self::Certificate(error) => error.help(),
            Self::Authorities { .. } => "name a file that the node may read".to_owned(),
            Self::Pop(error) => error.help(),
            Self::Signer { .. } => {
                "name a file with one public key in PEM (BEGIN PUBLIC KEY) as `key_file` of [[posture.signers]]".to_owned()
            }
            Self::Backend { .. } => {
                "look at its `url`, and at its `ca_file` if it is not on this machine".to_owned()
            }
            Self::NameTwice(_) => {
                "give the connector another name, or remove the server before: bailiwick server remove".to_owned()
            }
            Self::Connector(_) => "name a file of PEM certificates in its `ca_file`".to_owned(),
            Self::Issuers(_) => "name a file of PEM certificates in `ca_file`".to_owned(),
            Self::Defect(_) => "please report this with the node's log".to_owned(),
        }
    }
}

/// Why a node does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// A part that has to run has ended.
    #[error("the node's {0} ended")]
    Ended(&'static str),
    /// A witness holds a checkpoint of the node's log that the log does not continue.
    #[error("a witness holds a checkpoint that the node's log does not continue: the {0}")]
    Log(&'static str),
    /// A part that has to run has panicked.
    #[error("a part of the node broke: {0}")]
    Panicked(String),
}

impl Fault for NodeError {
    fn code(&self) -> Code {
        match self {
            Self::Log(_) => Code::LogAltered,
            Self::Ended(_) | Self::Panicked(_) => Code::Internal,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Log(_) => {
                "restore the newest copy of the data directory; without one, start a node of another name".to_owned()
            }
            Self::Ended(_) | Self::Panicked(_) => {
                "start it again; please report this with the node's log".to_owned()
            }
        }
    }
}
