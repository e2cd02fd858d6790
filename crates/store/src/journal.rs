//! How a state change and its event become one: the event is written to the outbox in the change's own transaction, and
//! what the change grants leaves the process only once the event is durable on the audit log.

use std::future::Future;
use std::pin::Pin;

use bailiwick_core::Problem;
use bailiwick_core::event::Event;

use crate::{StoreError, Tx};

/// Resolves when events are durable on the audit log.
pub type Settled = Pin<Box<dyn Future<Output = Result<(), Problem>> + Send>>;

/// Carries events from transactions to the audit log. Implemented by the control plane, which drains the outbox.
pub trait Journal: Send + Sync {
    /// Adds an event to the transaction.
    fn push(&self, tx: &mut dyn Tx, event: &Event) -> Result<(), StoreError>;

    /// Resolves when every event pushed before this call is on the log; an error means that nothing may be granted.
    fn settled(&self) -> Settled;
}
