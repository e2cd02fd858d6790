//! The broker: credentials exist only as leases, and a lease lives only as long as its task may use it (05 of the design).
//!
//! Issue: the lease is on record before anything is made ([`LeaseState::Intent`](bailiwick_core::lease::LeaseState)), its ancestry is
//! checked again when it becomes active, and its value leaves only once that is durable. Revoke: the state changes in the revoking
//! transaction; the backend then says that the credential is gone. Values are never in a row, an event or a log line.
//! What is made elsewhere has a name that was fixed before: whatever is found there is some lease's, or an orphan that is removed.

mod ancestry;
pub mod backend;
mod backends;
mod broker;
mod desk;
mod error;
mod events;
mod held;
mod secrets;
mod steps;

pub use backends::{Backends, MAX_TTL, MIN_TTL, Template};
pub use broker::{Broker, Differences, Leased, LeasesOf, Parts, Taken};
pub use desk::{MAX_SKEW, Standing};
pub use error::LeaseError;
pub use secrets::SealValueError;

use std::time::Duration;

/// A lease lives at most this long, and never longer than its task. A task that still needs the credential then gets a new one.
pub const LEASE_LIFE: Duration = Duration::from_mins(10);
/// A lease whose creation has not ended by then is taken away: whoever made it is gone.
pub const CREATION_LIMIT: Duration = Duration::from_secs(30);
/// A lease that its holder did not say to have got by then is taken away: its value may have been lost on the way.
pub const ACKNOWLEDGE_LIMIT: Duration = Duration::from_secs(10);
/// How much longer than its lease an account lives elsewhere, so that its own end is never before ours.
pub const BACKSTOP: Duration = Duration::from_secs(5);
/// Live leases of one task; the next one is refused.
pub const MAX_LIVE_OF_TASK: usize = 20;
/// Longest value that can be sealed.
pub const MAX_SECRET: usize = 64 << 10;
