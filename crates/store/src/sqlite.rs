//! The SQLite engine: one file, one writer thread with group commit, a few read-only connections; and the index of the record.

mod connection;
mod engine;
pub(crate) mod events;
mod migrate;
mod readers;
mod writer;

pub(crate) use engine::{Engine, open_file};
