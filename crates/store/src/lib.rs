//! The only SQL on our own state: noun traits, the engines behind them (SQLite, PostgreSQL), and the gap-free change feed.
//!
//! Callers see [`Store`], [`Reads`] and [`Tx`]. No engine's type is in their signatures, and a write's closure is `Fn`, so that an
//! engine that must retry (serialisation failures) can.
//!
//! **Versions.** What has a `version` is written with the next one: `put_*` stores version 1 if nothing is there, and version
//! *n + 1* if *n* is; anything else is [`StoreError::VersionConflict`]. `If-Match` rests on that and is checked by the caller.

mod accounts;
mod agents;
mod approvals;
mod artefacts;
mod batch;
mod clients;
mod directory;
mod erasures;
mod error;
mod events;
pub mod facts;
mod feed;
mod fences;
mod findings;
mod instances;
mod items;
mod job;
mod join_tokens;
mod journal;
mod keys;
mod leases;
mod meta;
mod observer;
mod observers;
mod outbox;
mod points;
mod policies;
mod postgres;
mod readers;
mod revocations;
mod secrets;
mod servers;
mod sessions;
mod spent;
mod sql;
mod sqlite;
mod store;
mod tasks;
mod tokens;
mod tools;
mod tx;
mod users;
mod vouchers;

#[cfg(test)]
mod conformance;

pub use accounts::{Accounts, AccountsMut, ApiToken};
pub use agents::{Agents, AgentsMut};
pub use approvals::{ApprovalFilter, Approvals, ApprovalsMut};
pub use artefacts::{Artefacts, ArtefactsMut};
pub use clients::{Clients, ClientsMut};
pub use erasures::{Erasures, ErasuresMut, Spoken, Words};
pub use error::{OpenError, StoreError};
pub use events::LocalIndex;
pub use feed::Feed;
pub use fences::{Fences, FencesMut};
pub use findings::{FindingFilter, Findings, FindingsMut};
pub use instances::{Instances, InstancesMut};
pub use items::{Items, ItemsMut};
pub use join_tokens::{JoinTokens, JoinTokensMut};
pub use journal::{Journal, Settled};
pub use keys::{KeyClass, KeyPublic, KeyRow, KeyState, Keys, KeysMut};
pub use leases::{LeaseFilter, Leases, LeasesMut};
pub use meta::{Meta, MetaMut};
pub use observer::Observer;
pub use outbox::{Outbox, OutboxMut, Pending};
pub use points::{Points, PointsMut};
pub use policies::{Policies, PoliciesMut, PolicyVersion};
pub use postgres::{
    BadPostgresAddress, Copied, PostgresAddress, PostgresStore, TransferError, transfer,
};
pub use revocations::{Reach, RevocationRow, Revocations, RevocationsMut};
pub use secrets::{SecretName, SecretRow, Secrets, SecretsMut};
pub use servers::{Servers, ServersMut};
pub use sessions::{Sessions, SessionsMut};
pub use spent::SpentMut;
pub use store::{Options, Store};
pub use tasks::{TaskFilter, Tasks, TasksMut};
pub use tokens::{TokenRow, Tokens, TokensMut};
pub use tools::{Tools, ToolsMut};
pub use tx::{Reads, Tx};
pub use users::{Users, UsersMut};
pub use vouchers::{Voucher, VoucherForm, Vouchers, VouchersMut};

/// Most rows of one page; a larger limit is cut to it.
pub const MAX_PAGE: usize = 1_000;
/// Writes that wait for the writer thread; the next one is refused as overloaded.
pub const MAX_QUEUED_WRITES: usize = 1_024;
/// Reads that run at the same time, each on its own connection.
pub const MAX_READERS: usize = 4;
/// Reads that wait for a connection; the next one is refused as overloaded.
pub const MAX_QUEUED_READS: usize = 1_024;
