//! The PostgreSQL engine: one database that several nodes share. Each has one connection that writes, one that follows the feed, and a
//! few that read.
//!
//! **One writer at a time in the whole deployment.** A transaction begins by locking one table, so that it sees everything committed
//! before, takes the next numbers of the feed, and gives the lock back when its commit can be seen. So the feed has no gap and no number
//! appears after a higher one, and what the nouns check cannot change under them. SERIALIZABLE holds even against a writer that does not
//! lock. A transaction that the server gives up is run again, a bounded number of times.

mod address;
mod dialect;
mod engine;
mod follower;
mod link;
mod migrate;
mod readers;
mod transfer;
mod writer;

pub use address::{BadPostgresAddress, PostgresAddress};
pub(crate) use engine::Engine;
pub use engine::PostgresStore;
pub use transfer::{Copied, TransferError, transfer};

#[cfg(test)]
mod tests;
