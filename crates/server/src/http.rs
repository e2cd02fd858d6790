//! What holds for every request to the API: bounds, who asks, how refusals look, and the listeners that take them.

pub mod dpop;
pub mod guard;
pub mod input;
pub mod listen;
pub mod outer;
pub mod refusal;
pub mod session;

pub use guard::{Via, guarded};
pub use input::{At, Body, Query};
pub use refusal::{Detailed, Details, Refused};

/// Longest body of a request.
pub const MAX_BODY: usize = 1 << 20;
/// Longest body that carries a policy bundle.
pub const MAX_POLICY_BODY: usize = 4 << 20;
