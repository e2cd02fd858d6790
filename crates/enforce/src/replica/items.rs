//! What this point knows of items: the labels of each, and of anything that a server keeps.

use std::collections::HashMap;

use bailiwick_core::binding::WHOLE;
use bailiwick_core::item::{Item, ItemKey};
use bailiwick_core::label::Labels;
use bailiwick_core::name::ServerName;

/// The items of all servers. The store bounds how many there are ([`bailiwick_core::item::MAX_ITEMS`]).
#[derive(Debug, Default)]
pub struct Items(HashMap<ServerName, OfServer>);

#[derive(Debug, Default)]
struct OfServer {
    labels: HashMap<ItemKey, Labels>,
    any: Labels,
    whole: Labels,
}

impl Items {
    /// Takes over the new state of one item.
    pub(super) fn put(&mut self, item: Item) {
        let of = self.0.entry(item.key.server.clone()).or_default();
        of.labels.insert(item.key, item.labels);
        // Labels may have come off.
        let join = |all: &mut Labels, labels| {
            all.join(labels);
        };
        let (mut any, mut whole) = (Labels::default(), Labels::default());
        for (key, labels) in &of.labels {
            join(&mut any, labels);
            if key.kind.as_str() == WHOLE {
                join(&mut whole, labels);
            }
        }
        (of.any, of.whole) = (any, whole);
    }

    /// What is known of this very item.
    pub fn of(&self, key: &ItemKey) -> Labels {
        let of = self.0.get(&key.server);
        let known = of.and_then(|of| of.labels.get(key));
        known.cloned().unwrap_or_default()
    }

    /// What anything that a server keeps may carry: the union of all its items.
    pub fn any(&self, server: &ServerName) -> Labels {
        self.0
            .get(server)
            .map(|of| of.any.clone())
            .unwrap_or_default()
    }

    /// What everything that a server keeps carries: written by calls that did not say into what.
    pub fn whole(&self, server: &ServerName) -> Labels {
        self.0
            .get(server)
            .map(|of| of.whole.clone())
            .unwrap_or_default()
    }
}
