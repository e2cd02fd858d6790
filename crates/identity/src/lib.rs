//! The authority: attests processes, registers instances, issues SVIDs and task tokens, serves the SPIFFE Workload API.
//!
//! Every credential leads to a live instance of a registered agent; none is issued under a fence (02 of the design).

mod asker;
pub mod attest;
pub mod authority;
pub mod error;
pub mod exchange;
pub mod exits;
pub mod keyring;
pub mod launches;
pub mod peer;
mod refusals;
mod registration;
pub mod remote;
pub mod workload;

#[cfg(test)]
mod tests;
