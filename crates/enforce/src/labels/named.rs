//! Which items a call is about, by its arguments or its answer.

use std::collections::BTreeSet;

use bailiwick_core::binding::{Binding, Named, WHOLE};
use bailiwick_core::item::{ItemKey, MAX_NAMED};
use bailiwick_core::json::{Leaves, Text};
use bailiwick_core::name::{ItemKind, ServerName};
use bailiwick_core::{Code, Problem};
use bailiwick_crypto::hash::item_id;

use crate::content::{Content, text_of};

/// Items that arguments name.
#[derive(Debug, Default)]
pub(super) struct Things {
    pub(super) keys: Vec<ItemKey>,
    /// As policies name them: `server/kind/name`, of several arguments each with `%` and `/` escaped.
    pub(super) ids: BTreeSet<String>,
    /// Whether the binding names items by arguments, and each is there.
    pub(super) complete: bool,
}

/// What the arguments name. A call that names more than can be told apart is refused.
pub(super) fn named_in_arguments(
    binding: &Binding,
    server: &ServerName,
    arguments: &Text<'_>,
) -> Result<Things, Problem> {
    let by_arguments = || binding.items.iter().filter(|named| named.answer.is_none());
    let mut things = Things {
        keys: Vec::new(),
        ids: BTreeSet::new(),
        complete: by_arguments().next().is_some(),
    };
    if !things.complete {
        return Ok(things);
    }
    let leaves = arguments
        .leaves()
        .map_err(|_| Problem::new(Code::ArgumentsInvalid, "the arguments cannot be read", ""))?;
    let mut room = MAX_IDS;
    for named in by_arguments() {
        let tuples = tuples(named, &leaves)?;
        things.complete &= !tuples.is_empty();
        let keys = tuples.iter().map(|parts| ItemKey {
            server: server.clone(),
            kind: named.kind.clone(),
            id: item_id(parts),
        });
        things.keys.extend(keys);
        let ids = tuples
            .iter()
            .map(|parts| format!("{server}/{}/{}", named.kind, joined(parts)));
        for id in ids {
            room = room.checked_sub(id.len()).ok_or_else(too_long)?;
            things.ids.insert(id);
        }
    }
    if things.keys.len() > MAX_NAMED {
        return Err(too_many());
    }
    Ok(things)
}

/// What an answer names; none if it names more than can be told apart.
pub(super) fn named_in_answer(
    binding: &Binding,
    server: &ServerName,
    content: &Content<'_>,
) -> Option<Vec<ItemKey>> {
    let mut keys = Vec::new();
    for named in &binding.items {
        let Some(path) = &named.answer else { continue };
        for name in content.at(path.as_str()) {
            if keys.len() >= MAX_NAMED_IN_ANSWER {
                return None;
            }
            keys.push(ItemKey {
                server: server.clone(),
                kind: named.kind.clone(),
                id: item_id(&[name]),
            });
        }
    }
    Some(keys)
}

/// The key that stands for everything a server keeps.
pub(super) fn whole(server: &ServerName) -> Option<ItemKey> {
    let kind: ItemKind = WHOLE.parse().ok()?;
    Some(ItemKey {
        server: server.clone(),
        kind,
        id: item_id(&[] as &[&str]),
    })
}

/// The names of one kind: each part with each other, where a part is there several times.
fn tuples<'l>(named: &Named, leaves: &'l Leaves<'_>) -> Result<Vec<Vec<&'l str>>, Problem> {
    let mut tuples: Vec<Vec<&str>> = vec![Vec::new()];
    for path in &named.arguments {
        let scalars = leaves
            .at(path.as_str())
            .map_or(&[][..], |node| node.scalars());
        let parts: Vec<&str> = scalars.iter().filter_map(text_of).collect();
        if tuples.len().saturating_mul(parts.len()) > MAX_NAMED {
            return Err(too_many());
        }
        tuples = tuples
            .iter()
            .flat_map(|tuple| {
                parts.iter().map(move |part| {
                    let mut longer = tuple.clone();
                    longer.push(*part);
                    longer
                })
            })
            .collect();
    }
    Ok(tuples)
}

/// Parts that tell one name and no other.
fn joined(parts: &[&str]) -> String {
    if let [one] = parts {
        return (*one).to_owned();
    }
    let parts = parts.iter();
    let parts = parts.map(|part| part.replace('%', "%25").replace('/', "%2F"));
    parts.collect::<Vec<_>>().join("/")
}

fn too_long() -> Problem {
    Problem::new(
        Code::ArgumentsInvalid,
        format!("the names of what the call is about take more than {MAX_IDS} bytes"),
        "make several calls",
    )
}

fn too_many() -> Problem {
    Problem::new(
        Code::ArgumentsInvalid,
        format!("the call names more than {MAX_NAMED} things at once"),
        "make several calls",
    )
}

/// Bytes of all ids that one call may name.
const MAX_IDS: usize = 128 << 10;
/// Things that one answer names; of one that names more, everything is taken to be in it.
const MAX_NAMED_IN_ANSWER: usize = 4_096;
