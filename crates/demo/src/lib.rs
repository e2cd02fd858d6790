//! The two foreign parties of `bailiwick demo`: a tool server and a scripted agent, both on rmcp, the independent MCP SDK.
//!
//! Neither knows anything of Bailiwick but its URL, so that what the demo shows holds for other people's agents and servers too.

pub mod agent;
pub mod workspace;

#[cfg(test)]
mod tests;
