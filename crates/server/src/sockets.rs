//! The unix sockets that agents and their launchers connect to: the SPIFFE Workload API, the stdio shim's, and `bailiwick run`'s.

pub mod launch;
pub mod mcp;
pub mod workload;
