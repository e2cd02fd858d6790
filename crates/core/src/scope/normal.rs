//! Normal form and limits: what a grant set is after everything that covers nothing, or nothing new, has gone.

use super::constraint::{Allowed, Constraint, Value};
use super::grant::Grant;
use super::{
    ELEMENT_WEIGHT, MAX_DEPTH, MAX_GRANTS, MAX_SET, MAX_TEXT, MAX_WEIGHT, Scope, ScopeError,
};

/// Normal form of a whole set: sorted, no grant under another.
pub(super) fn grants(all: Vec<Grant>) -> Result<Vec<Grant>, ScopeError> {
    let mut kept = Vec::new();
    for one in all {
        // Two sets of legal size meet in at most twice that; more is refused before any pairwise work.
        sets(&one, 2 * MAX_SET)?;
        if let Some(one) = grant(one) {
            insert(&mut kept, one)?;
        }
    }
    kept.sort();
    Ok(kept)
}

/// Normal form of one grant, or none if it can cover nothing.
pub(super) fn grant(grant: Grant) -> Option<Grant> {
    let default = if grant.closed {
        Constraint::ABSENT
    } else {
        Constraint::FREE
    };
    let mut normal = Grant {
        server: grant.server.normal(),
        tool: grant.tool.normal(),
        resources: grant.resources.map(super::Patterns::normal),
        args: grant
            .args
            .into_iter()
            .map(|(path, constraint)| {
                let allowed = constraint.allowed.normal();
                (
                    path,
                    Constraint {
                        allowed,
                        ..constraint
                    },
                )
            })
            .collect(),
        ..grant
    };
    let empty = normal.server.is_empty()
        || normal.tool.is_empty()
        || normal.effects.is_empty()
        || normal
            .resources
            .as_ref()
            .is_some_and(super::Patterns::is_empty)
        || normal.args.values().any(Constraint::impossible);
    if empty {
        return None;
    }
    normal.args.retain(|_, constraint| *constraint != default);
    Some(normal)
}

/// Adds a grant in normal form, unless one there contains it; those that it contains go.
pub(super) fn insert(kept: &mut Vec<Grant>, new: Grant) -> Result<(), ScopeError> {
    if kept.iter().any(|old| new.within(old)) {
        return Ok(());
    }
    kept.retain(|old| !old.within(&new));
    kept.push(new);
    at_most("grants", kept.len(), WORKING_GRANTS)
}

/// Holds a scope in normal form to the limits.
pub(super) fn limits(scope: &Scope) -> Result<(), ScopeError> {
    if scope.grants.is_empty() {
        return Err(ScopeError::Empty);
    }
    at_most("grants", scope.grants.len(), MAX_GRANTS)?;
    at_most("delegations", scope.depth.into(), MAX_DEPTH.into())?;
    let mut weight = 0;
    for grant in &scope.grants {
        sets(grant, MAX_SET)?;
        weight += weigh(grant);
    }
    at_most("bytes of text", weight, MAX_WEIGHT)
}

fn sets(grant: &Grant, limit: usize) -> Result<(), ScopeError> {
    at_most("server patterns", grant.server.len(), limit)?;
    at_most("tool patterns", grant.tool.len(), limit)?;
    at_most("argument paths", grant.args.len(), limit)?;
    at_most(
        "resource patterns",
        grant.resources.as_ref().map_or(0, super::Patterns::len),
        limit,
    )?;
    for constraint in grant.args.values() {
        at_most("values of one argument", constraint.allowed.len(), limit)?;
        if let Allowed::In(values) = &constraint.allowed {
            for value in values {
                if let Value::String(text) = value {
                    at_most("bytes of one value", text.len(), MAX_TEXT)?;
                }
            }
        }
    }
    Ok(())
}

fn weigh(grant: &Grant) -> usize {
    let args: usize = grant
        .args
        .iter()
        .map(|(path, constraint)| {
            path.as_str().len() + ELEMENT_WEIGHT + constraint.allowed.weight()
        })
        .sum();
    let resources = grant.resources.as_ref().map_or(0, super::Patterns::weight);
    grant.server.weight() + grant.tool.weight() + args + resources
}

fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), ScopeError> {
    if found > limit {
        return Err(ScopeError::TooLarge { what, found, limit });
    }
    Ok(())
}

/// Grants that may stand side by side while a meet is computed; later ones may still contain earlier ones.
const WORKING_GRANTS: usize = 4 * MAX_GRANTS;
