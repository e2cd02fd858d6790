//! What makes credentials and takes them away. A backend never writes the store: it returns what it made, the protocol keeps it.
//! Every operation may be repeated, and meets what an interrupted one left.

mod kinds;
mod lines;
pub mod mariadb;
mod members;
pub mod openbao;
pub mod postgres;
pub mod redis;
mod server_at;
pub mod static_secret;
mod web;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bailiwick_core::id::LeaseId;
use bailiwick_core::lease::{BackendKind, Deployment, LeaseClass, RemoteRef};
use bailiwick_core::name::CredentialName;
use bailiwick_core::{Code, Fault, Secret, Timestamp};

pub use kinds::{AccountOf, BackendAt};
pub use lines::CONNECTIONS;
pub use mariadb::{MariaDb, MemberOf};
pub use members::{BadMember, Members};
pub use openbao::{OpenBao, TokenOf};
pub use postgres::{Postgres, RoleOf};
pub use redis::{Redis, UserOf};
pub use server_at::{BadServer, ServerAt};
pub use static_secret::StaticSecret;

/// The answer of a backend.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, BackendError>> + Send + 'a>>;

/// What a backend can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// What it is.
    pub kind: BackendKind,
    /// How surely what it makes can be taken away.
    pub class: LeaseClass,
    /// Whether what it makes ends there by itself, even if this node never comes back.
    pub native_end: bool,
    /// Whether there is anything elsewhere at all.
    pub remote: bool,
}

/// A credential to be made.
#[derive(Debug)]
pub struct Order {
    /// What it is made from.
    pub credential: CredentialName,
    /// What it is to be called there.
    pub name: RemoteRef,
    /// The value that it is to have, drawn only once its lease was on record.
    pub secret: Secret<String>,
    /// When it is to end there by itself.
    pub until: Timestamp,
    /// How long that is from now, for those who count from their own clock.
    pub lives: Duration,
}

/// What was made.
#[derive(Debug)]
pub struct Made {
    /// What proves its holder.
    pub secret: Secret<String>,
    /// Where and as whom to use it: `scheme`, `host`, `port`, `database`, `username`. Not secret.
    pub access: BTreeMap<String, String>,
    /// What the backend numbers it by.
    pub serial: Option<u64>,
}

/// An account to be taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What it is called there.
    pub name: String,
    /// What it was made from; none if nobody knows.
    pub credential: Option<CredentialName>,
    /// What the backend numbers it by: filled in by [`Backend::disable`] if it is not known.
    pub serial: Option<u64>,
}

/// What is left of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// That there is no such account.
    pub absent: bool,
    /// Its open sessions.
    pub sessions: u64,
}

/// An account of ours that a backend has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The lease that its name leads to.
    pub lease: LeaseId,
    /// What it is called there.
    pub name: String,
    /// What the backend numbers it by.
    pub serial: Option<u64>,
}

/// A session whose account is gone, by what can still be told of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stray {
    /// What the backend numbers it by; whether it was ours, our own rows tell.
    Number(u64),
    /// What it is called: one of ours.
    Name(String),
}

/// How a backend stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Its release.
    pub version: String,
    /// Its clock.
    pub clock: Timestamp,
    /// The highest generation that a marker of this deployment tells; none if there is no marker.
    pub generation: Option<u64>,
}

/// Makes and removes credentials.
pub trait Backend: Send + Sync {
    /// What it can do.
    fn describe(&self) -> Description;

    /// Asks it how it stands.
    fn probe<'a>(&'a self, ours: &'a Deployment) -> Answer<'a, Probe>;

    /// Makes a credential.
    fn create<'a>(&'a self, order: &'a Order) -> Answer<'a, Made>;

    /// Accounts whose names are those of this deployment's leases.
    fn list<'a>(&'a self, ours: &'a Deployment) -> Answer<'a, Vec<Object>>;

    /// Accounts that are gone and have sessions all the same.
    fn strays<'a>(&'a self, ours: &'a Deployment) -> Answer<'a, Vec<Stray>>;

    /// Lets nobody log in any more. Accounts that are not there are no error.
    fn disable<'a>(&'a self, slice: &'a mut [Target]) -> Answer<'a, ()>;

    /// Ends sessions; how many there were.
    fn kill_sessions<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, u64>;

    /// Removes the accounts. What they owned goes to somebody else. Accounts that are not there are no error.
    fn remove<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, ()>;

    /// What is left of them, in the order of the slice.
    fn verify<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, Vec<Left>>;

    /// Leaves the marker of this generation there, and none of an earlier one.
    fn mark<'a>(&'a self, ours: &'a Deployment, generation: u64) -> Answer<'a, ()>;
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
            Self::Transient(_) => "try again in a moment; `bailiwick backend probe` shows what it says",
            Self::Permanent(_) => {
                "look at the credential: `bailiwick secret list` shows which have a value, `bailiwick backend list` the backends"
            }
        }
        .to_owned()
    }
}

/// An answer that needs no question.
fn done<T: Send + 'static>(value: T) -> Answer<'static, T> {
    Box::pin(std::future::ready(Ok(value)))
}
