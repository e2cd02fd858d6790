//! The broker: credentials exist only as leases, and a lease lives only as long as its task may use it (05 of the design).
//!
//! Issue: the lease is on record before anything is made ([`LeaseState::Intent`](bailiwick_core::lease::LeaseState)), its ancestry is
//! checked again when it becomes active, and its value leaves only once that is durable. Revoke: the state changes in the revoking
//! transaction; the backend then says that the credential is gone. Values are never in a row, an event or a log line.

mod ancestry;
pub mod backend;
mod broker;
mod error;
mod events;
mod held;
mod secrets;

pub use broker::{Broker, Leased, LeasesOf};
pub use error::LeaseError;
pub use secrets::SealValueError;

use std::time::Duration;

/// A lease lives at most this long, and never longer than its task. A task that still needs the credential then gets a new one.
pub const LEASE_LIFE: Duration = Duration::from_mins(10);
/// A lease whose creation has not ended by then is taken away: whoever made it is gone.
pub const CREATION_LIMIT: Duration = Duration::from_secs(30);
/// Live leases of one task; the next one is refused.
pub const MAX_LIVE_OF_TASK: usize = 20;
/// Longest value that can be sealed.
pub const MAX_SECRET: usize = 64 << 10;
