//! Nouns and rules of Bailiwick. No I/O, no clock, no randomness, no async: what is decided or proved here replays byte for byte.
//!
//! Each file holds one noun. Wire types (HTTP, JWT) and row types (SQL) live with their crates; these are the domain types.

pub mod account;
pub mod agent;
pub mod approval;
pub mod artefact;
pub mod binding;
pub mod budget;
pub mod chain;
pub mod change;
pub mod client;
#[cfg(test)]
mod corpora;
pub mod decision;
pub mod definition;
pub mod digest;
pub mod effect;
pub mod error;
pub mod event;
pub mod feed;
pub mod fence;
pub mod finding;
pub mod id;
pub mod index;
pub mod instance;
pub mod item;
pub mod join_token;
pub mod json;
pub mod label;
pub mod lease;
pub mod name;
pub mod normal;
pub mod point;
pub mod receipt;
pub mod risk;
pub mod rng;
pub mod rollout;
pub mod scope;
pub mod secret;
pub mod selector;
pub mod server;
pub mod session;
pub mod spiffe_id;
pub mod task;
mod text;
pub mod time;
pub mod trigger;
pub mod visible;
pub mod zone;

pub use digest::Digest;
pub use effect::Effect;
pub use error::{Code, Fault, Problem};
pub use id::Id;
pub use rng::Rng;
pub use secret::Secret;
pub use time::{Clock, Timestamp};
