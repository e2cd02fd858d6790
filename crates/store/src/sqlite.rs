//! The SQLite engine: one file, one writer thread with group commit, a few read-only connections.
//!
//! A row is the columns that something is looked up by, and the JSON of the whole thing: the feed carries the same JSON, and a
//! new field of a noun needs no migration.

mod accounts;
mod agents;
mod approvals;
mod clients;
mod directory;
mod engine;
mod erasures;
pub(crate) mod events;
mod feed;
mod fences;
mod instances;
mod items;
mod join_tokens;
mod keys;
mod leases;
mod meta;
mod migrate;
mod outbox;
mod points;
mod policies;
mod readers;
mod revocations;
mod secrets;
mod servers;
mod sessions;
mod spent;
mod tasks;
mod tokens;
mod tools;
mod users;
mod view;
mod vouchers;
mod writer;

pub(crate) use engine::Engine;
