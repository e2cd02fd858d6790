//! Which agent somebody is, by the selectors that were found on them.

use bailiwick_core::agent::Agent;
use bailiwick_core::selector::Selector;
use bailiwick_store::Tx;

use crate::attest::{matches, missing};
use crate::error::IdentityError;

/// The registration that these selectors match: the one that asks for most, and among equals the first by name.
pub(crate) fn matching(tx: &dyn Tx, found: &[Selector]) -> Result<Agent, IdentityError> {
    nearest(tx.agents()?, found)
}

/// The one of these that matches, as [`matching`] says.
pub(crate) fn nearest(mut agents: Vec<Agent>, found: &[Selector]) -> Result<Agent, IdentityError> {
    agents.sort_by(|a, b| {
        b.selectors
            .len()
            .cmp(&a.selectors.len())
            .then_with(|| a.name.cmp(&b.name))
    });
    if let Some(agent) = agents.iter().find(|agent| matches(found, agent)) {
        return Ok(agent.clone());
    }
    let nearest = agents
        .iter()
        .filter(|agent| agent.enabled)
        .min_by_key(|agent| missing(found, agent).len());
    Err(IdentityError::NoIdentity {
        found: found
            .iter()
            .take(SHOWN)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" "),
        nearest: nearest.map(|agent| {
            let missing: Vec<String> = missing(found, agent)
                .iter()
                .map(ToString::to_string)
                .collect();
            format!(
                "agent {} would match with {}",
                agent.name,
                missing.join(" ")
            )
        }),
    })
}

/// Most selectors that a refusal lists.
const SHOWN: usize = 32;
