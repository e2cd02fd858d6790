//! What an index holds of one event.

use std::sync::Arc;

use crate::Timestamp;
use crate::event::EventType;
use crate::id::EventId;

macro_rules! keys {
    ($($key:ident $name:literal $doc:literal;)*) => {
        /// What events can be found by.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Key {
            $(#[doc = $doc] $key,)*
        }

        impl Key {
            /// Every key.
            pub const ALL: &'static [Self] = &[$(Self::$key),*];

            /// As it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$key => $name,)* }
            }

            /// What it finds.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$key => $doc,)* }
            }
        }
    };
}

keys! {
    Type "type" "events of this type, or of those below it: `tool` means all of `tool.…`";
    Id "id" "the event with this id";
    Task "task" "events of this task, or that name it as root, as parent, in the chain or as what changed";
    Agent "agent" "events of this agent, or with it in the chain";
    Instance "instance" "events of this instance, or with it in the chain";
    User "user" "events on behalf of this user, by pseudonym (`usr_…`)";
    Actor "actor" "events of this account (`acct_…`) or unix user (`uid:N`)";
    Server "server" "events at this tool server";
    Tool "tool" "events about this tool";
    Effect "effect" "read, write or escalate";
    Decision "decision" "allow, deny or step_up";
    Code "code" "events that ended with this code";
    Label "label" "events of tasks that carried this label";
    Lease "lease" "events of this lease";
    Resource "resource" "calls that named this in their arguments, exactly";
    Node "node" "events recorded by this node";
    Cause "cause" "events that this event set off";
    Text "text" "events with all these words in tool, server, operation, code, policies or reasons";
}

/// What stands for a sealed resource: the first 64 bits of an HMAC under the index's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub i64);

/// What an index holds of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The log: `<trust domain>/<node>`.
    pub origin: Arc<str>,
    /// Its place there.
    pub index: u64,
    /// Logical time, 48 bits of milliseconds since 1970 and 16 bits of counter.
    pub hlc: u64,
    /// Its id.
    pub id: EventId,
    /// Its type.
    pub kind: EventType,
    /// What set it off.
    pub cause: Option<EventId>,
    /// What it is found by, but for type, id, cause, node, resource and text. Of several values of one key the first is the event's own: its
    /// agent, the root of its task's tree.
    pub values: Vec<(Key, String)>,
    /// Resources, each once, ascending.
    pub tokens: Vec<Token>,
    /// Words, each once.
    pub words: Vec<String>,
}

impl Row {
    /// The UTC day of its logical time: `2026-11-23`.
    pub fn day(&self) -> String {
        day_of(self.hlc)
    }

    /// The node whose log it is in.
    pub fn node(&self) -> &str {
        node_of(&self.origin)
    }

    /// The event's own value of a key.
    pub fn value(&self, key: Key) -> Option<&str> {
        self.all(key).next()
    }

    /// All values of a key.
    pub fn all(&self, key: Key) -> impl Iterator<Item = &str> {
        let values = self.values.iter().filter(move |(found, _)| *found == key);
        values.map(|(_, value)| value.as_str())
    }
}

/// The node of a log: what stands behind the last slash of its origin.
pub(super) fn node_of(origin: &str) -> &str {
    origin.rsplit_once('/').map_or(origin, |(_, node)| node)
}

/// Milliseconds since 1970 of a logical time.
pub(super) fn millis(hlc: u64) -> i64 {
    i64::try_from(hlc >> 16).unwrap_or(i64::MAX)
}

/// The UTC day of a logical time: `2026-11-23`. 48 bits reach beyond the last day that RFC 3339 can write; what is later counts to that one.
pub fn day_of(hlc: u64) -> String {
    let instant = Timestamp::from_micros(millis(hlc).saturating_mul(1_000)).to_string();
    match instant.split_once('T') {
        Some((day, _)) => day.to_owned(),
        None => LAST_DAY.to_owned(),
    }
}

const LAST_DAY: &str = "9999-12-31";
