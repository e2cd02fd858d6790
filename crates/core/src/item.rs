//! What tools name: an entity of a memory, a file, an issue. Known by the digest of its name, with the labels of what was written into it.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::digest::Digest;
use crate::id::{EventId, TaskId};
use crate::label::{Label, Labels};
use crate::name::{ItemKind, ServerName};

/// Items of one server that are kept apart; what is written into one more is as if it were written into all of them.
pub const MAX_ITEMS: u64 = 100_000;
/// Items that one call names; a call that names more is refused.
pub const MAX_NAMED: usize = 256;

/// Which item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemKey {
    /// The server that keeps it.
    pub server: ServerName,
    /// What sort of thing it is; `server` is all of the server.
    pub kind: ItemKind,
    /// Digest of its name in normal form.
    pub id: Digest,
}

/// An item that has taken labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Which.
    #[serde(flatten)]
    pub key: ItemKey,
    /// What was written into it carried these.
    pub labels: Labels,
    /// The task that wrote last what added one.
    pub task: TaskId,
    /// The event of that call, or of the person who took one off.
    pub event: EventId,
    /// When.
    pub changed_at: Timestamp,
    /// Grows with each change.
    pub version: u64,
}

impl Item {
    /// Takes a label off; false if it has none such. Only for a person who saw what is in it.
    pub fn declassify(&mut self, label: &Label) -> bool {
        if !self.labels.contains(label) {
            return false;
        }
        self.labels = self
            .labels
            .iter()
            .filter(|own| *own != label)
            .cloned()
            .collect();
        true
    }
}

impl std::fmt::Display for ItemKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.server, self.kind, self.id)
    }
}
