//! The unix sockets that agents connect to: the SPIFFE Workload API, and the stdio shim's.

pub mod mcp;
pub mod workload;
