//! Enforcement points: the MCP gateway, the replica it decides on, and the live index that lets a fence cut what is running.
//!
//! A message goes: authenticate → envelope → pinned definition → decide → intent durable → step up → lease → forward → result durable →
//! last byte. The crate sees no store and no control plane: it talks to [`ports`] and to [`bailiwick_audit::Recorder`].

pub mod accept;
pub mod answer;
mod ask;
pub mod budgets;
mod call;
pub mod caller;
pub mod catalogue;
mod content;
pub mod decider;
pub mod duties;
pub mod egress;
mod fetch;
mod gateway;
mod labels;
mod lease;
pub mod live;
pub mod mcp;
pub mod metrics;
pub mod point;
pub mod policies;
pub mod ports;
pub mod provenance;
mod record;
pub mod reevaluate;
pub mod replica;
mod step_up;
pub mod trial;

#[cfg(test)]
mod testing;

pub use budgets::Budgets;
pub use caller::{Caller, Token};
pub use gateway::{Gateway, Settings, SettingsError};
pub use live::Live;
pub use ports::Ports;
pub use replica::Replica;
