//! The audit log: nothing that grants authority happens before it is durably on record, and the record can be checked with other
//! people's tools.
//!
//! A node has one log with one writer. An event becomes a *leaf* (`leaf`, `seal`), is made durable in batches (`wal`), and is published
//! as static files in the layout of C2SP tlog-tiles (`tile`, `bundle`, `tiler`) under signed checkpoints (`checkpoint`). What is on disk
//! is enough to read, prove and verify without a running node (`read`, `proof`, `verify`).
//!
//! Limits: the log proves the integrity of what was recorded, not that nothing bypassed an enforcement point. Bits flipped in the last,
//! unpublished batch look like a torn write.

pub mod blobs;
pub mod bundle;
pub mod checkpoint;
pub mod disk;
pub mod elapsed;
pub mod erase;
pub mod export;
pub mod filter;
#[cfg(test)]
mod fixtures;
pub mod hlc;
#[cfg(test)]
mod hostile;
mod housekeeping;
mod intents;
pub mod leaf;
pub mod log;
pub mod lookup;
#[cfg(test)]
mod oracle;
mod payload;
pub mod projection;
pub mod proof;
pub mod published;
pub mod read;
pub mod record;
pub mod repair;
pub mod retention;
pub mod scrub;
pub mod seal;
pub mod signers;
pub mod standing;
mod state;
pub mod tile;
mod tiler;
pub mod timeline;
pub mod tree;
pub mod verify;
mod wal;
pub mod witness;
pub mod witnessed;

pub use leaf::Leaf;
pub use log::{Log, Options};
pub use record::{Class, Receipt, RecordError, Recorder};
pub use state::StateError;
pub use wal::recover::RecoverError;

use bailiwick_core::Digest;

/// What segments carry of their log's origin.
fn origin_hash(origin: &str) -> Digest {
    bailiwick_crypto::hash::sha256(&[origin.as_bytes()])
}
