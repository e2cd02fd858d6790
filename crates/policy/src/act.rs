//! What Bailiwick does for an agent, or a person with its task, beside tool calls: one built-in action of the schema each (03 of
//! the design), with its own principal, resource and input. [`Act`] is the table, [`Asked`] one such thing to be decided.
//!
//! Policies that ship with the binary (`api/acts.cedar`) permit what other rules (roles, scopes, the decision on the call) already
//! answer for; a bundle narrows it with forbids. What they do not name is denied unless the bundle permits it.

mod decide;

use bailiwick_core::Timestamp;
use bailiwick_core::budget::Usage;
use bailiwick_core::chain::Chain;
use bailiwick_core::decision::Versions;
use bailiwick_core::name::{AgentName, ServerName};
use bailiwick_core::task::Task;
use serde_json::{Map, Value, json};

pub(crate) use decide::pose;
pub use decide::{max_ttl, refusal};

use crate::facts::Facts;

/// The policies that ship, as they are shown to people.
pub const BUILT_IN: &str = include_str!("../api/acts.cedar");

/// A built-in action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// A credential is leased for the agent's calls to a server.
    Lease,
    /// The agent reaches a host.
    Egress,
    /// A task is opened for the agent.
    OpenTask,
    /// A task is opened below the agent's own.
    Delegate,
    /// The agent's token is exchanged for one of another audience.
    Exchange,
    /// A person moves a task to another stage.
    SetStage,
    /// The agent takes a prompt of a server.
    Prompt,
    /// The agent reads a resource of a server.
    ResourceRead,
    /// A server asks the agent's model.
    Sample,
    /// A server asks the agent's user.
    Elicit,
    /// A person answers an approval.
    Approve,
    /// A person lowers the risk of a task.
    LowerRisk,
    /// A person takes a label off.
    Declassify,
}

/// What a member of an act's input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Flag,
    Agent,
    Server,
}

/// One act to be decided.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What is to be done.
    pub act: Act,
    /// Who does it: the agent's name, or of what people do the account's.
    pub principal: &'a str,
    /// What it is done with, by the id of its entity.
    pub resource: &'a str,
    /// What the act's input says, by name.
    pub input: &'a [(&'static str, Told<'a>)],
    /// The task it belongs to; of one that is to be opened, as it would be.
    pub task: &'a Task,
    /// Who acts for whom in it, presenter first.
    pub chain: &'a Chain,
    /// What the task has used.
    pub usage: &'a Usage,
    /// Wall time of the decision.
    pub now: Timestamp,
    /// Kinds of duty that whoever asks performs. Any other duty is a deny.
    pub performs: &'a [&'a str],
    /// What else is known; [`crate::NO_FACTS`] if nothing is.
    pub facts: &'a Facts,
    /// What the decision is made on; copied into it.
    pub versions: Versions,
}

/// A member of an act's input.
#[derive(Debug, Clone, Copy)]
pub enum Told<'a> {
    /// A text.
    Text(&'a str),
    /// A whole number.
    Number(u64),
    /// An agent.
    Agent(&'a AgentName),
    /// Whether or not.
    Flag(bool),
    /// A server.
    Server(&'a ServerName),
    /// No server: the entity whose id is empty, which is nobody's name.
    NoServer,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Lease,
        Self::Egress,
        Self::OpenTask,
        Self::Delegate,
        Self::Exchange,
        Self::SetStage,
        Self::Prompt,
        Self::ResourceRead,
        Self::Sample,
        Self::Elicit,
        Self::Approve,
        Self::LowerRisk,
        Self::Declassify,
    ];

    /// The id of its action.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::Egress => "egress",
            Self::OpenTask => "open_task",
            Self::Delegate => "delegate",
            Self::Exchange => "exchange",
            Self::SetStage => "set_stage",
            Self::Prompt => "prompt",
            Self::ResourceRead => "resource_read",
            Self::Sample => "sample",
            Self::Elicit => "elicit",
            Self::Approve => "approve",
            Self::LowerRisk => "lower_risk",
            Self::Declassify => "declassify",
        }
    }

    /// The act whose action has this id.
    pub(crate) fn named(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.as_str() == id)
    }

    /// The type of its principal.
    pub(crate) const fn principal(self) -> &'static str {
        match self {
            Self::SetStage | Self::Approve | Self::LowerRisk | Self::Declassify => "User",
            _ => "Agent",
        }
    }

    /// The type of its resource.
    pub(crate) const fn resource(self) -> &'static str {
        match self {
            Self::Lease => "Credential",
            Self::Egress | Self::Declassify => "Item",
            Self::Prompt | Self::ResourceRead | Self::Sample | Self::Elicit => "Server",
            Self::OpenTask
            | Self::Delegate
            | Self::Exchange
            | Self::SetStage
            | Self::Approve
            | Self::LowerRisk => "Task",
        }
    }

    /// The members of its input; all are required.
    pub(crate) const fn input(self) -> &'static [(&'static str, Kind)] {
        match self {
            // A class is 0 to 4, as R0 to R4; `backstop`: whether it ends by itself where it was made.
            Self::Lease => &[
                ("server", Kind::Server),
                ("kind", Kind::Text),
                ("class", Kind::Number),
                ("backend_class", Kind::Number),
                ("delivery", Kind::Text),
                ("backstop", Kind::Flag),
                ("ttl_s", Kind::Number),
            ],
            Self::Sample => &[],
            // The connector is empty for a tunnel; `size` is that of the body, in bytes.
            Self::Egress => &[
                ("host", Kind::Text),
                ("port", Kind::Number),
                ("method", Kind::Text),
                ("path", Kind::Text),
                ("connector", Kind::Text),
                ("size", Kind::Number),
            ],
            Self::OpenTask => &[("life_s", Kind::Number)],
            Self::Delegate => &[("agent", Kind::Agent), ("life_s", Kind::Number)],
            Self::Exchange => &[("audience", Kind::Text)],
            Self::SetStage => &[("to", Kind::Text)],
            Self::Prompt => &[("name", Kind::Text)],
            Self::ResourceRead => &[("uri", Kind::Text)],
            // `form` or `url`.
            Self::Elicit => &[("mode", Kind::Text)],
            Self::Approve => &[("tool", Kind::Text), ("effect", Kind::Text)],
            // `low`, `medium`, …: 0 to 3, as `bw.task.risk`.
            Self::LowerRisk => &[("to", Kind::Number)],
            Self::Declassify => &[("label", Kind::Text)],
        }
    }

    /// What members of its input are that are not told: those of a sealed value that is injected into calls, and of a plain look at a
    /// host.
    pub(crate) const fn defaults(self) -> &'static [(&'static str, Told<'static>)] {
        match self {
            Self::Lease => &[
                ("kind", Told::Text("static")),
                ("class", Told::Number(0)),
                ("backend_class", Told::Number(0)),
                ("delivery", Told::Text("inject")),
                ("backstop", Told::Flag(false)),
                ("ttl_s", Told::Number(600)),
            ],
            Self::Egress => &[
                ("method", Told::Text("GET")),
                ("path", Told::Text("/")),
                ("connector", Told::Text("")),
                ("size", Told::Number(0)),
            ],
            _ => &[],
        }
    }

    /// The type of its input in Cedar's JSON schema format.
    pub(crate) fn input_type(self) -> Value {
        let members = self.input().iter().map(|(name, kind)| {
            let kind = match kind {
                Kind::Text => json!({"type": "String"}),
                Kind::Number => json!({"type": "Long"}),
                Kind::Flag => json!({"type": "Boolean"}),
                Kind::Agent => json!({"type": "Entity", "name": "Agent"}),
                Kind::Server => json!({"type": "Entity", "name": "Server"}),
            };
            ((*name).to_owned(), kind)
        });
        json!({"type": "Record", "attributes": members.collect::<Map<_, _>>()})
    }
}

impl Told<'_> {
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Number(_) => Kind::Number,
            Self::Agent(_) => Kind::Agent,
            Self::Flag(_) => Kind::Flag,
            Self::Server(_) | Self::NoServer => Kind::Server,
        }
    }
}
