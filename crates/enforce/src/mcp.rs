//! The MCP gateway: strict envelopes, the revisions spoken, both transports in front and behind, and what each method may do (04).

mod authn;
pub mod envelope;
pub(crate) mod forward;
pub(crate) mod headers;
pub mod http;
mod inbound;
pub(crate) mod lists;
pub(crate) mod methods;
mod outlet;
pub mod presented;
pub mod revision;
pub(crate) mod session;
mod sessions;
pub mod splice;
pub mod sse;
mod stdio;
pub(crate) mod upstream;

pub(crate) use authn::Authenticator;
pub(crate) use outlet::{Outlet, Reply};
pub(crate) use sessions::Sessions;
