//! The bounds of an event's lists. A longer list keeps its first items and says how many there were more; the whole is sealed beside the event.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Event, MAX_LIST, Sealed, SealedClass};
use crate::label::Labels;

/// Most links of a chain.
pub const MAX_CHAIN: usize = 8;
/// Most labels.
pub const MAX_LABELS: usize = 32;
/// Most bytes of a string in a list; of a longer one the first so many are kept.
pub const MAX_ITEM: usize = 256;
/// Where whole lists are sealed.
pub const LISTS: &str = "/lists";

/// What was cut off an event.
#[derive(Default)]
struct Cut {
    more: BTreeMap<String, u64>,
    whole: Map<String, Value>,
}

impl Cut {
    /// Cuts a list, and its items.
    fn list<T: Clone + Serialize>(
        &mut self,
        name: &str,
        list: &mut Vec<T>,
        most: usize,
        shorten: impl Fn(&mut T) -> bool,
    ) {
        let whole = list.clone();
        let over = list.len().saturating_sub(most);
        list.truncate(most);
        let shortened = list
            .iter_mut()
            .filter_map(|item| shorten(item).then_some(()))
            .count();
        if over > 0 {
            self.more.insert(name.to_owned(), over as u64);
        }
        if over + shortened > 0 {
            // What serialises in an event serialises here.
            let whole = serde_json::to_value(whole).unwrap_or_default();
            self.whole.insert(name.to_owned(), whole);
        }
    }

    fn strings(&mut self, name: &str, list: &mut Vec<String>) {
        self.list(name, list, MAX_LIST, shorten);
    }
}

impl Event {
    /// Cuts every list that is over its bound.
    pub fn bound(&mut self) {
        let mut cut = Cut::default();
        cut.list("chain", &mut self.chain, MAX_CHAIN, |_| false);
        cut.list("parents", &mut self.parents, MAX_LIST, |_| false);
        if let Some(task) = &mut self.task {
            let mut labels: Vec<_> = task.labels.iter().cloned().collect();
            if labels.len() > MAX_LABELS {
                cut.list("task.labels", &mut labels, MAX_LABELS, |_| false);
                task.labels = labels.into_iter().collect::<Labels>();
            }
        }
        if let Some(decision) = &mut self.decision {
            cut.strings("decision.policies", &mut decision.policies);
            cut.strings("decision.reasons", &mut decision.reasons);
            let duties = &mut decision.obligations;
            cut.list("decision.obligations", duties, MAX_LIST, |duty| {
                shorten(&mut duty.kind) | shorten(&mut duty.argument)
            });
            if let Some(would_be) = &mut decision.would_be {
                cut.strings("decision.would_be.reasons", &mut would_be.reasons);
            }
            if let Some(shadow) = &mut decision.shadow {
                cut.strings("decision.shadow.reasons", &mut shadow.reasons);
            }
        }
        if let Some(approval) = &mut self.approval {
            cut.strings("approval.approvers", &mut approval.approvers);
        }
        if cut.whole.is_empty() {
            return;
        }
        self.more = cut.more;
        self.sealed.push(Sealed {
            path: LISTS,
            class: SealedClass::Meta,
            value: Value::Object(cut.whole).to_string().into_bytes(),
            keep: true,
        });
    }
}

/// Keeps the first [`MAX_ITEM`] bytes; true if there were more.
fn shorten(text: &mut String) -> bool {
    if text.len() <= MAX_ITEM {
        return false;
    }
    text.truncate(text.floor_char_boundary(MAX_ITEM));
    true
}

#[cfg(test)]
mod tests;
