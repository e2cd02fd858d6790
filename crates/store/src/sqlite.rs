//! The SQLite engine: one file, one writer thread with group commit, a few read-only connections.

mod accounts;
mod agents;
mod approvals;
mod directory;
mod engine;
mod feed;
mod fences;
mod instances;
mod keys;
mod leases;
mod meta;
mod migrate;
mod outbox;
mod policies;
mod readers;
mod revocations;
mod secrets;
mod servers;
mod tasks;
mod tokens;
mod tools;
mod users;
mod view;
mod writer;

pub(crate) use engine::Engine;
