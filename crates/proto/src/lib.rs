//! Generated gRPC types, committed so that building needs no protobuf compiler. `cargo xtask codegen` writes them from
//! `proto/*.proto`; a test of xtask regenerates and compares.

/// SPIFFE Workload API (SPIFFE_Workload_API.md §5-§6): messages, client and server.
#[expect(
    missing_docs,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    clippy::allow_attributes,
    unused_qualifications,
    reason = "generated code: documented in its .proto file"
)]
#[path = "generated/workload.rs"]
pub mod workload;
