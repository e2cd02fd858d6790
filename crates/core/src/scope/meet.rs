//! The meet `A ∧ B`: what both scopes permit. Grants pair by pair and field by field; beyond a limit refused, never cut.

use std::collections::{BTreeMap, BTreeSet};

use super::grant::Grant;
use super::normal;
use super::{Scope, ScopeError};

impl Scope {
    /// The scope that permits exactly what both permit, with the tighter budget, deadline and depth.
    pub fn meet(&self, other: &Self) -> Result<Self, ScopeError> {
        let mut grants = Vec::new();
        for a in &self.grants {
            for b in &other.grants {
                if let Some(both) = a.meet(b) {
                    normal::insert(&mut grants, both)?;
                }
            }
        }
        Self::new(
            grants,
            self.budget.meet(&other.budget),
            self.deadline.min(other.deadline),
            self.depth.min(other.depth),
        )
    }
}

impl Grant {
    /// What both cover, in normal form; none if nothing.
    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        // The cheap fields first: most pairs part here.
        let effects: BTreeSet<_> = self.effects.intersection(&other.effects).copied().collect();
        if effects.is_empty() {
            return None;
        }
        let server = self.server.meet(&other.server);
        if server.is_empty() {
            return None;
        }
        let tool = self.tool.meet(&other.tool);
        if tool.is_empty() {
            return None;
        }
        let paths = self.args.keys().chain(other.args.keys());
        let args: BTreeMap<_, _> = paths
            .map(|path| {
                let both = self.constraint(path).meet(other.constraint(path));
                (path.clone(), both)
            })
            .collect();
        let resources = match (&self.resources, &other.resources) {
            (Some(a), Some(b)) => Some(a.meet(b)),
            (one, None) | (None, one) => one.clone(),
        };
        normal::grant(Self {
            server,
            tool,
            effects,
            args,
            closed: self.closed || other.closed,
            resources,
        })
    }
}
