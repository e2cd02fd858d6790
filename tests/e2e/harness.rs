//! What the tests share: a node, tool servers and agents as real processes, and plain HTTP to talk to them.

pub(crate) mod agent;
pub(crate) mod browser;
pub(crate) mod child;
pub(crate) mod console;
pub(crate) mod deps;
pub(crate) mod http;
pub(crate) mod login;
pub(crate) mod mcp;
pub(crate) mod node;
pub(crate) mod pki;
pub(crate) mod publisher;
pub(crate) mod tools;
pub(crate) mod witness;
pub(crate) mod world;

use std::time::Duration;

pub(crate) use agent::Agent;
pub(crate) use browser::Browser;
pub(crate) use child::Process;
pub(crate) use login::Login;
pub(crate) use mcp::Mcp;
pub(crate) use node::{Node, Setup};
pub(crate) use tools::Tools;
pub(crate) use world::World;

/// How long any one event may take to come. It is a net, not a measure: nothing waits this long when all is well.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
