//! What a node, or a log's files, answer when asked for a task: leaves as they are stored, the way of each to the signed root, and how far
//! the log was looked at. Whoever receives it checks it ([`Answer::assemble`]) and tells the story.

use std::collections::BTreeMap;

use bailiwick_core::Digest;
use bailiwick_core::id::TaskId;
use bailiwick_crypto::note::NoteVerifier;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Found, Inclusion, KeyFrom, LogSeen, Lookup, Marker, Placed, Timeline, Witnessed, inclusion,
};
use crate::leaf::Leaf;
use crate::proof::ProveError;
use crate::read::{Directory, ReadError};
use crate::tree::leaf_hash;

/// The events of a task's tree, as sent.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Root of the tree.
    pub root: TaskId,
    /// The events, ascending by index in each log.
    pub events: Vec<SentEvent>,
    /// The logs they are from.
    pub logs: Vec<SentLog>,
    /// Whether there are more than [`super::MAX_EVENTS`].
    pub cut: bool,
}

/// One event, as sent.
#[derive(Debug, Serialize, Deserialize)]
pub struct SentEvent {
    /// Its log.
    pub origin: String,
    /// Its place there.
    pub index: u64,
    /// The leaf; its exact bytes are what is hashed.
    pub leaf: Box<RawValue>,
    /// Sibling hashes from the leaf to the root of the log's checkpoint; none if that does not cover it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Vec<Digest>>,
    /// Why there is no path, if there should be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// One log, as far as it was looked at.
#[derive(Debug, Serialize, Deserialize)]
pub struct SentLog {
    /// `<trust domain>/<node>`.
    pub origin: String,
    /// Durable events.
    pub size: u64,
    /// Events looked at, themselves or through an index.
    pub looked: u64,
    /// How they were found.
    pub lookup: Lookup,
    /// The key that the node says its checkpoints verify with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vkey: Option<String>,
    /// The checkpoint that the paths lead to, a signed note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// How far others vouch for it, as the node says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witnessed: Option<Witnessed>,
}

impl Answer {
    /// The answer of one log. `log` says all but the checkpoint, which the paths made here lead to.
    pub fn of(directory: &Directory, found: Found, log: SentLog) -> Result<Self, ProveError> {
        let indexes: Vec<u64> = found.entries.iter().map(|entry| entry.index).collect();
        let Inclusion {
            checkpoint,
            mut paths,
        } = inclusion(directory, &indexes)?;
        let mut events = Vec::with_capacity(found.entries.len());
        for entry in found.entries {
            let leaf = serde_json::from_slice(&entry.leaf).map_err(|source| ReadError::Leaf {
                index: entry.index,
                source,
            })?;
            let (path, problem) = match paths.remove(&entry.index) {
                None => (None, None),
                Some(Ok(path)) => (Some(path), None),
                Some(Err(why)) => (None, Some(why)),
            };
            events.push(SentEvent {
                origin: log.origin.clone(),
                index: entry.index,
                leaf,
                path,
                problem,
            });
        }
        Ok(Self {
            root: found.root,
            events,
            logs: vec![SentLog { checkpoint, ..log }],
            cut: found.cut,
        })
    }

    /// Adds what another log says of the same tree.
    pub fn merge(&mut self, other: Self) {
        self.events.extend(other.events);
        self.logs.extend(other.logs);
        self.cut |= other.cut;
    }

    /// Checks every leaf against the checkpoint of its log and brings all into one order. `keys` are the reader's; without them the key
    /// that each log names is used, and said so.
    pub fn assemble(self, keys: Option<&[NoteVerifier]>) -> Result<Timeline, ReadError> {
        let mut logs = Vec::new();
        let mut markers: BTreeMap<String, Marker> = BTreeMap::new();
        for log in self.logs {
            let own = log
                .vkey
                .as_deref()
                .and_then(|key| NoteVerifier::from_vkey(key).ok())
                .map(|key| [key]);
            let (keys, key) = match (keys, &own) {
                (Some(keys), _) => (Some(keys), KeyFrom::Reader),
                (None, Some(own)) => (Some(own.as_slice()), KeyFrom::Node),
                (None, None) => (None, KeyFrom::Nobody),
            };
            let marker = Marker::new(log.checkpoint.as_deref(), keys);
            logs.push(LogSeen {
                origin: log.origin.clone(),
                size: log.size,
                looked: log.looked,
                published: marker.size(),
                key,
                witnessed: log.witnessed,
                lookup: log.lookup,
            });
            markers.insert(log.origin, marker);
        }
        let unknown = Marker::new(None, None);
        let mut events = Vec::with_capacity(self.events.len());
        for event in self.events {
            let bytes = event.leaf.get().as_bytes();
            let leaf = Leaf::parse(bytes).map_err(|source| ReadError::Leaf {
                index: event.index,
                source,
            })?;
            let path = match (event.path, event.problem) {
                (_, Some(why)) => Some(Err(why)),
                (path, None) => path.map(Ok),
            };
            let marker = markers.get(&event.origin).unwrap_or(&unknown);
            events.push(Placed {
                mark: marker.mark(event.index, leaf_hash(bytes), path.as_ref()),
                origin: event.origin,
                index: event.index,
                leaf,
            });
        }
        Ok(Timeline::assemble(self.root, events, logs, self.cut))
    }
}
