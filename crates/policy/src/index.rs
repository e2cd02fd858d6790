//! Which policies a call can reach, found by their scopes and not by asking each (03 of the design).
//!
//! A policy lies in the cell of its scope: principal, action and resource, each any, `==` or `in` some entity. A call looks
//! into the cells of each of its three entities and of their ancestors. That is the same as asking each policy (P2), since a
//! scope stands before the body and cannot fail.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy_core::ast::{EntityType, EntityUID};

use crate::clause::{Anchor, Bound, Scope};

/// An entity of some scope, tagged with how it is named; numbered so that a cell is found without comparing text.
type Symbol = u32;
const ANY: Symbol = 0;
/// The type of an entity, numbered.
type Kind = u32;
/// Of entities whose type no policy asks about.
const OTHER: Kind = Kind::MAX;

/// Policies by scope. A policy is its number in the order given to [`Index::new`].
#[derive(Debug, Default)]
pub(crate) struct Index {
    entities: HashMap<Arc<EntityUID>, u32>,
    kinds: HashMap<Arc<EntityType>, Kind>,
    cells: HashMap<[Symbol; 3], Vec<Entry>>,
}

/// One policy in a cell, with what its scope asks beyond the cell.
#[derive(Debug, Clone, Copy)]
struct Entry {
    policy: u32,
    principal: Option<Kind>,
    resource: Option<Kind>,
}

/// Where to look for one entity. Good for the index that made it, and no other.
#[derive(Debug)]
pub(crate) struct Keys {
    symbols: Box<[Symbol]>,
    kind: Kind,
}

impl Index {
    /// The index of these scopes.
    pub(crate) fn new<'a>(scopes: impl IntoIterator<Item = &'a Scope>) -> Self {
        let mut index = Self::default();
        for (policy, scope) in (0..).zip(scopes) {
            let principal = index.symbol(&scope.principal.anchor);
            let resource = index.symbol(&scope.resource.anchor);
            let entry = Entry {
                policy,
                principal: index.kind(&scope.principal),
                resource: index.kind(&scope.resource),
            };
            for action in &scope.actions {
                let cell = [principal, index.symbol(action), resource];
                // Most cells hold one policy.
                let entries = index.cells.entry(cell);
                entries.or_insert_with(|| Vec::with_capacity(1)).push(entry);
            }
        }
        index
    }

    /// Where to look for an entity with these ancestors (all of them, not parents alone).
    pub(crate) fn keys<'a>(
        &self,
        uid: &EntityUID,
        ancestors: impl IntoIterator<Item = &'a EntityUID>,
    ) -> Keys {
        let mut symbols = vec![ANY];
        if let Some(&number) = self.entities.get(uid) {
            symbols.extend([exactly(number), within(number)]);
        }
        let above = ancestors
            .into_iter()
            .filter_map(|ancestor| self.entities.get(ancestor));
        symbols.extend(above.map(|&number| within(number)));
        Keys {
            symbols: symbols.into(),
            kind: self.kinds.get(uid.entity_type()).copied().unwrap_or(OTHER),
        }
    }

    /// The policies whose scope reaches a call, each once, in order.
    pub(crate) fn candidates(&self, principal: &Keys, action: &Keys, resource: &Keys) -> Vec<u32> {
        let mut found = Vec::with_capacity(16);
        for &action in &action.symbols {
            for &whose in &principal.symbols {
                for &at in &resource.symbols {
                    let cell = self.cells.get(&[whose, action, at]);
                    let entries = cell.into_iter().flatten().filter(|entry| {
                        entry.principal.is_none_or(|kind| kind == principal.kind)
                            && entry.resource.is_none_or(|kind| kind == resource.kind)
                    });
                    found.extend(entries.map(|entry| entry.policy));
                }
            }
        }
        found.sort_unstable();
        // `action in [a, b]` lies in two cells.
        found.dedup();
        found
    }

    fn symbol(&mut self, anchor: &Anchor) -> Symbol {
        let mut number = |uid: &Arc<EntityUID>| {
            // Two symbols of each; a bundle of 16 MiB cannot name so many that they run out.
            let next = u32::try_from(self.entities.len()).unwrap_or(u32::MAX >> 2);
            *self.entities.entry(Arc::clone(uid)).or_insert(next)
        };
        match anchor {
            Anchor::Any => ANY,
            Anchor::Is(uid) => exactly(number(uid)),
            Anchor::In(uid) => within(number(uid)),
        }
    }

    fn kind(&mut self, bound: &Bound) -> Option<Kind> {
        let next = u32::try_from(self.kinds.len()).unwrap_or(OTHER - 1);
        let kind = bound.kind.as_ref()?;
        Some(*self.kinds.entry(Arc::clone(kind)).or_insert(next))
    }
}

fn exactly(number: u32) -> Symbol {
    2 * number + 1
}

fn within(number: u32) -> Symbol {
    2 * number + 2
}

#[cfg(test)]
mod tests;
