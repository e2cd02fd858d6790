//! The part of the end-to-end tests' harness that the bench needs: a node, and this process as an agent on it.

#[path = "../../../../tests/e2e/harness/agent.rs"]
pub(crate) mod agent;
#[path = "../../../../tests/e2e/harness/child.rs"]
pub(crate) mod child;
#[path = "../../../../tests/e2e/harness/deps.rs"]
pub(crate) mod deps;
#[path = "../../../../tests/e2e/harness/http.rs"]
pub(crate) mod http;
#[path = "../../../../tests/e2e/harness/mcp.rs"]
pub(crate) mod mcp;
#[path = "../../../../tests/e2e/harness/node.rs"]
pub(crate) mod node;
#[path = "../../../../tests/e2e/harness/pki.rs"]
pub(crate) mod pki;
#[path = "../../../../tests/e2e/harness/tools.rs"]
pub(crate) mod tools;
#[path = "../../../../tests/e2e/harness/world.rs"]
pub(crate) mod world;

use std::time::Duration;

pub(crate) use agent::Agent;
pub(crate) use child::Process;
pub(crate) use mcp::Mcp;
pub(crate) use node::{Node, Setup};
pub(crate) use tools::Tools;

/// How long any one event may take to come. It is a net, not a measure.
pub(crate) const DEADLINE: Duration = Duration::from_mins(2);
