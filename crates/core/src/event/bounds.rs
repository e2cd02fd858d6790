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
    fn list<T: Serialize>(
        &mut self,
        name: &str,
        list: &mut Vec<T>,
        most: usize,
        is_long: impl Fn(&T) -> bool,
        shorten: impl Fn(&mut T),
    ) {
        let over = list.len().saturating_sub(most);
        if over == 0 && !list.iter().any(is_long) {
            return;
        }
        // What serialises in an event serialises here.
        let whole = serde_json::to_value(&*list).unwrap_or_default();
        self.whole.insert(name.to_owned(), whole);
        list.truncate(most);
        list.iter_mut().for_each(shorten);
        if over > 0 {
            self.more.insert(name.to_owned(), over as u64);
        }
    }

    fn strings(&mut self, name: &str, list: &mut Vec<String>) {
        self.list(name, list, MAX_LIST, |text| is_long(text), shorten);
    }
}

impl Event {
    /// Cuts every list that is over its bound.
    pub fn bound(&mut self) {
        let mut cut = Cut::default();
        cut.list("chain", &mut self.chain, MAX_CHAIN, |_| false, |_| {});
        cut.list("parents", &mut self.parents, MAX_LIST, |_| false, |_| {});
        if let Some(task) = &mut self.task
            && task.labels.iter().count() > MAX_LABELS
        {
            let mut labels: Vec<_> = task.labels.iter().cloned().collect();
            cut.list("task.labels", &mut labels, MAX_LABELS, |_| false, |_| {});
            task.labels = labels.into_iter().collect::<Labels>();
        }
        if let Some(decision) = &mut self.decision {
            cut.strings("decision.policies", &mut decision.policies);
            cut.strings("decision.reasons", &mut decision.reasons);
            let duties = &mut decision.obligations;
            cut.list(
                "decision.obligations",
                duties,
                MAX_LIST,
                |duty| is_long(&duty.kind) || is_long(&duty.argument),
                |duty| {
                    shorten(&mut duty.kind);
                    shorten(&mut duty.argument);
                },
            );
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

fn is_long(text: &str) -> bool {
    text.len() > MAX_ITEM
}

/// Keeps the first [`MAX_ITEM`] bytes.
fn shorten(text: &mut String) {
    if is_long(text) {
        text.truncate(text.floor_char_boundary(MAX_ITEM));
    }
}

#[cfg(test)]
mod tests;
