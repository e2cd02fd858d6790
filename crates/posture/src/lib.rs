//! What stands beside code scanning: which credentials lie around an agent, in repositories and in processes.
//!
//! A scan reads and never changes, executes nothing of its target, and asks no provider. No byte of a secret that it found
//! leaves this crate: a find carries a digest, a length and what its validator knows to be public. What could not be read
//! is said ([`coverage::Gap`]).

pub mod artefact;
pub mod coverage;
pub mod evidence;
pub mod process;
pub mod repo;
pub mod report;
pub mod rightsize;
pub mod sarif;
pub mod secrets;
