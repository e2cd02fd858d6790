//! What an operator knows of a tool and no definition says: what its arguments are for, what its answers are made of (04 of the design).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::label::{Label, Labels};
use crate::name::ItemKind;
use crate::scope::{ArgPath, Pattern};
use crate::{Code, Fault};

/// Paths of one binding, all members together.
pub const MAX_PATHS: usize = 256;
/// Patterns of one binding.
pub const MAX_PATTERNS: usize = 256;
/// The kind that stands for a whole server; no binding may use it.
pub const WHOLE: &str = "server";

/// What an operator knows of one tool. Paths are those of scopes: `*` is any array position.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Binding {
    /// Labels of every answer, beside those of the server.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Labels of single leaves of answers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub paths: BTreeMap<ArgPath, Label>,
    /// What the call names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Named>,
    /// What arguments are for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sinks: BTreeMap<ArgPath, Sink>,
    /// Leaves of answers that the server assigns and no outsider chooses.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub facts: BTreeSet<ArgPath>,
    /// Leaves of answers that only trusted people write.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub known: BTreeSet<ArgPath>,
    /// Values of arguments that make an escalation of the call.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub escalate: BTreeMap<ArgPath, Vec<String>>,
    /// Amounts above which a person's word is needed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ask_above: BTreeMap<ArgPath, u64>,
    /// Whether it was proposed by name and nobody has looked at it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub suggested: bool,
}

/// Where a call tells which things it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// What sort of things.
    pub kind: ItemKind,
    /// Arguments that name one together, such as owner, repository and number.
    #[serde(rename = "in", default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<ArgPath>,
    /// The leaf of an answer that names what was found.
    #[serde(rename = "out", default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<ArgPath>,
}

/// What an argument is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sink {
    /// Who or where: recipient, channel, URL, host.
    Destination,
    /// Id or path of something that exists.
    Object,
    /// How much.
    Amount,
    /// Password, key, role, permission.
    Credential,
    /// Title or subject of something new.
    Name,
    /// Text for people.
    Content,
    /// Text for machines.
    Code,
    /// Nothing that matters.
    None,
}

impl Sink {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Destination => "destination",
            Self::Object => "object",
            Self::Amount => "amount",
            Self::Credential => "credential",
            Self::Name => "name",
            Self::Content => "content",
            Self::Code => "code",
            Self::None => "none",
        }
    }
}

/// A binding that cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBinding {
    /// Too much of it.
    #[error("a binding has at most {MAX_PATHS} paths and {MAX_PATTERNS} patterns")]
    TooLarge,
    /// Things that nothing names.
    #[error(
        "items of kind `{0}` are named neither by arguments (`in`) nor by answers (`out`), or by both"
    )]
    Nameless(ItemKind),
    /// A kind that is taken.
    #[error("`{WHOLE}` stands for all of a server and is no kind of its items")]
    Taken,
    /// No pattern of values.
    #[error("`{0}` is no pattern of values")]
    Pattern(String),
}

impl Fault for BadBinding {
    fn code(&self) -> Code {
        Code::InvalidInput
    }

    fn help(&self) -> String {
        "see docs/reference/bindings.md".to_owned()
    }
}

impl Binding {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses what could not be kept.
    pub fn check(&self) -> Result<(), BadBinding> {
        let named: usize = self
            .items
            .iter()
            .map(|named| named.arguments.len() + 1)
            .sum();
        let paths = self.paths.len() + self.sinks.len() + self.facts.len() + self.known.len();
        let patterns: usize = self.escalate.values().map(Vec::len).sum();
        let more = self.escalate.len() + self.ask_above.len() + named;
        if paths + more > MAX_PATHS || patterns > MAX_PATTERNS {
            return Err(BadBinding::TooLarge);
        }
        for named in &self.items {
            if named.arguments.is_empty() != named.answer.is_some() {
                return Err(BadBinding::Nameless(named.kind.clone()));
            }
            if named.kind.as_str() == WHOLE {
                return Err(BadBinding::Taken);
            }
        }
        for pattern in self.escalate.values().flatten() {
            if pattern.parse::<Pattern>().is_err() {
                return Err(BadBinding::Pattern(pattern.chars().take(64).collect()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
