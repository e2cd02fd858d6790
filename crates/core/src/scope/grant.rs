//! One grant: which servers, tools, effects, arguments and resources, all of which a call must match.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::constraint::Constraint;
use super::path::ArgPath;
use super::pattern::{Names, Uris};
use super::wire;
use crate::Effect;

/// A part of a scope that can cover a call on its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Servers.
    pub server: Names,
    /// Tools of these servers.
    pub tool: Names,
    /// Effects, each for itself: `write` does not include `read`.
    pub effects: BTreeSet<Effect>,
    /// What arguments may be, by path; all that are listed must hold.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "wire::arguments"
    )]
    pub args: BTreeMap<ArgPath, Constraint>,
    /// Whether arguments that are not listed must be absent; otherwise they may be anything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
    /// If set, only calls are covered that touch at least one resource, whose resources are all known and all match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Uris>,
}

impl Grant {
    /// Any arguments of these tools, with these effects.
    pub fn open(server: Names, tool: Names, effects: impl IntoIterator<Item = Effect>) -> Self {
        Self {
            server,
            tool,
            effects: effects.into_iter().collect(),
            args: BTreeMap::new(),
            closed: false,
            resources: None,
        }
    }

    /// Whether the grant names this tool with this effect, whatever the arguments.
    pub fn names_tool(&self, server: &str, tool: &str, effect: Effect) -> bool {
        self.server.matches(server) && self.tool.matches(tool) && self.effects.contains(&effect)
    }

    /// What holds at `path`: its entry, or what a path without entry has.
    pub fn constraint(&self, path: &ArgPath) -> &Constraint {
        self.args
            .get(path)
            .unwrap_or(if self.closed { &ABSENT } else { &FREE })
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effects: Vec<_> = self.effects.iter().map(|effect| effect.as_str()).collect();
        write!(
            f,
            "server [{}], tool [{}], effects [{}]",
            self.server,
            self.tool,
            effects.join(", ")
        )
    }
}

static FREE: Constraint = Constraint::FREE;
static ABSENT: Constraint = Constraint::ABSENT;
