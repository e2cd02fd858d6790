//! Scope: what a task may do at most, as a set of grants with budget, deadline and depth. A call is permitted iff **one**
//! grant covers it; an effect never implies another.
//!
//! A [`Scope`] is always in normal form and within its limits; beyond them it is refused, never cut short. [`Scope::meet`]
//! and [`Scope::within`] are the algebra that delegation rests on: the meet permits exactly what both permit, and what is
//! within another permits nothing more. Time is not an input here: whoever holds a clock compares the deadline.

mod arguments;
mod constraint;
mod delegate;
mod draft;
mod explain;
mod grant;
mod meet;
mod normal;
mod path;
mod pattern;
mod shorthand;
mod subset;
mod wire;
mod wish;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::json::{Limits, Numbers, check};
use crate::{Code, Effect, Fault, Timestamp};

pub use constraint::{Allowed, Constraint, Value};
pub use delegate::{DelegateError, Delegated, Narrowing, delegate};
pub use draft::{Bounds, Draft, DraftError};
pub use explain::{Call, Field, Missing};
pub use grant::Grant;
pub use path::{ArgPath, BadArgPath};
pub use pattern::{BadPattern, Names, Path, Pattern, Patterns, Plain, Rule, Uri, Uris};
pub use shorthand::{BadShorthand, from_oauth};
pub use subset::{Element, Widening};
pub use wish::Wish;

/// Most grants of a scope.
pub const MAX_GRANTS: usize = 128;
/// Most members of any set inside a grant: patterns, values, argument paths.
pub const MAX_SET: usize = 64;
/// Longest pattern, value or argument path, in bytes.
pub const MAX_TEXT: usize = 2_048;
/// Bound on a whole scope: the bytes of all its texts, and [`ELEMENT_WEIGHT`] for each element.
pub const MAX_WEIGHT: usize = 64 * 1_024;
/// What one pattern, value or path adds to the weight besides its bytes.
pub const ELEMENT_WEIGHT: usize = 8;
/// Deepest delegation below a task.
pub const MAX_DEPTH: u8 = 8;
/// Put before [`Scope::canonical`] when the scope digest is computed (SHA-256).
pub const DIGEST_CONTEXT: &[u8] = b"bailiwick/scope/v1\0";

/// What a task may do at most.
///
/// As JSON or TOML: `grants`, `deadline` and `depth` must be there; a number left out of `budget` is unlimited. What people
/// write is read as a [`Draft`], where more may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "wire::ScopeWire")]
pub struct Scope {
    grants: Vec<Grant>,
    budget: Budget,
    deadline: Timestamp,
    depth: u8,
}

impl Scope {
    /// Brings `grants` into normal form. Fails if nothing is left, or if a limit is passed.
    pub fn new(
        grants: Vec<Grant>,
        budget: Budget,
        deadline: Timestamp,
        depth: u8,
    ) -> Result<Self, ScopeError> {
        let grants = normal::grants(grants)?;
        let scope = Self {
            grants,
            budget,
            deadline,
            depth,
        };
        normal::limits(&scope)?;
        Ok(scope)
    }

    /// The grants, in normal form and sorted.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// How much may be done.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Until when.
    pub fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// How many delegations may follow.
    pub fn depth(&self) -> u8 {
        self.depth
    }

    /// A scope with other grants and the rest of this one's: what a token carries of its task.
    pub fn with_grants(&self, grants: Vec<Grant>) -> Result<Self, ScopeError> {
        Self::new(grants, self.budget, self.deadline, self.depth)
    }

    /// The rest of this scope if it has grants with this effect. None if it has none.
    pub fn without(&self, effect: Effect) -> Result<Option<Self>, ScopeError> {
        let has = |grant: &Grant| grant.effects.contains(&effect);
        if !self.grants.iter().any(has) {
            return Ok(None);
        }
        let mut grants = self.grants.clone();
        for grant in &mut grants {
            grant.effects.remove(&effect);
        }
        self.with_grants(grants).map(Some)
    }

    /// Whether any grant is about this server.
    pub fn names_server(&self, server: &str) -> bool {
        self.grants.iter().any(|grant| grant.server.matches(server))
    }

    /// Whether any grant names this tool with this effect, whatever the arguments: what a tool list may show.
    pub fn names_tool(&self, server: &str, tool: &str, effect: Effect) -> bool {
        self.grants
            .iter()
            .any(|grant| grant.names_tool(server, tool, effect))
    }

    /// Canonical JSON (RFC 8785, integers digit for digit, so that no two scopes share it beyond 2⁵³).
    ///
    /// # Panics
    ///
    /// Never: a scope has string keys and exact integers only.
    pub fn canonical(&self) -> Vec<u8> {
        #[expect(
            clippy::expect_used,
            reason = "a scope has string keys and exact integers only; an empty result would make digests collide"
        )]
        let written = serde_json::to_vec(self).expect("a scope serialises");
        let bound = Limits {
            bytes: usize::MAX,
            members: usize::MAX,
            ..Limits::JOSE
        };
        #[expect(
            clippy::expect_used,
            reason = "the serializer wrote it, and a scope is 7 deep"
        )]
        check(&written, &bound)
            .and_then(|text| text.canonical(Numbers::AsWritten))
            .expect("a serialised scope is valid JSON")
    }

    /// What the scope digest is computed over: [`DIGEST_CONTEXT`], then [`Scope::canonical`].
    pub fn digest_input(&self) -> Vec<u8> {
        [DIGEST_CONTEXT, &self.canonical()].concat()
    }
}

/// Why grants do not make a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// No grant is left, so nothing would be permitted.
    #[error("nothing is left of the scope: it has no grant that could cover a call")]
    Empty,
    /// Over one of the limits of this module.
    #[error("the scope is over a limit: {found} {what}, at most {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is (or how much had been counted when the bound was passed).
        found: usize,
        /// How much there may be.
        limit: usize,
    },
}

impl Fault for ScopeError {
    fn code(&self) -> Code {
        match self {
            Self::Empty => Code::ScopeEmpty,
            Self::TooLarge { .. } => Code::ScopeTooLarge,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Empty => {
                "name a server, tool and effect that the agent's ceiling and the policy allow"
            }
            Self::TooLarge { .. } => {
                "use prefixes such as `get_*` for lists, or split the work over several tasks"
            }
        }
        .to_owned()
    }
}
