//! One node of Bailiwick, wired: configuration, listeners, routes, sockets, telemetry, supervision, shutdown.

pub mod app;
pub mod config;
pub mod console;
pub mod discovery;
pub mod egress;
pub mod erasures;
pub mod exports;
pub mod feed;
pub mod http;
pub mod indexer;
pub mod init;
pub mod issuers;
pub mod login;
pub mod node;
pub mod outbound;
pub mod point;
pub mod published_clients;
pub mod routes;
mod secret_file;
pub mod ship;
pub mod sign_ins;
pub mod sockets;
pub mod telemetry;
pub mod uds;
pub mod witness;
pub mod witnesses;

pub use config::Config;
pub use node::{Addresses, Node, NodeError, StartError};
