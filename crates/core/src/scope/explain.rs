//! Deciding a call, and saying what is missing when no grant covers it: the grant that comes nearest, and where it fails.

use std::fmt;

use super::constraint::Constraint;
use super::grant::Grant;
use super::path::ArgPath;
use super::{Code, Effect, Fault, Scope};
use crate::json::Leaves;

/// What a scope is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The server.
    pub server: &'a str,
    /// The tool, by the server's name for it.
    pub tool: &'a str,
    /// The effect of this very call, after raising.
    pub effect: Effect,
    /// The arguments.
    pub arguments: &'a Leaves<'a>,
    /// URIs of all resources that the call touches; none if they are not known.
    pub resources: Option<&'a [&'a str]>,
}

impl Scope {
    /// The first grant that covers the call, or what is missing. Budget and deadline are not looked at.
    pub fn permits(&self, call: &Call<'_>) -> Result<&Grant, Missing> {
        let mut nearest: Option<(&Grant, Gap<'_>)> = None;
        for grant in &self.grants {
            match grant.gap(call) {
                None => return Ok(grant),
                Some(gap) => {
                    if nearest
                        .as_ref()
                        .is_none_or(|(_, best)| gap.stage() > best.stage())
                    {
                        nearest = Some((grant, gap));
                    }
                }
            }
        }
        Err(match nearest {
            Some((grant, gap)) => gap.missing(grant, call),
            // A scope has a grant; without one the answer is the same.
            None => Missing::server(call),
        })
    }
}

impl Grant {
    /// Whether this grant alone covers the call.
    pub fn covers(&self, call: &Call<'_>) -> bool {
        self.gap(call).is_none()
    }

    fn gap<'a>(&'a self, call: &Call<'_>) -> Option<Gap<'a>> {
        if !self.server.matches(call.server) {
            return Some(Gap::Server);
        }
        if !self.tool.matches(call.tool) {
            return Some(Gap::Tool);
        }
        if !self.effects.contains(&call.effect) {
            return Some(Gap::Effect);
        }
        if let Some(gap) = self.argument_gap(call.arguments) {
            return Some(gap);
        }
        let patterns = self.resources.as_ref()?;
        match call.resources {
            None | Some([]) => Some(Gap::ResourcesUnknown),
            Some(known) => {
                let outside = known.iter().any(|uri| !patterns.matches(uri));
                outside.then_some(Gap::Resources)
            }
        }
    }
}

/// Where one grant fails, in the order of the checks.
#[derive(Debug, Clone)]
pub(super) enum Gap<'a> {
    Server,
    Tool,
    Effect,
    Absent(&'a ArgPath, &'a Constraint),
    Refused(&'a ArgPath, &'a Constraint),
    Unlisted(String),
    ResourcesUnknown,
    Resources,
}

impl Gap<'_> {
    /// How far the grant got.
    fn stage(&self) -> u8 {
        match self {
            Self::Server => 0,
            Self::Tool => 1,
            Self::Effect => 2,
            Self::Absent(..) | Self::Refused(..) | Self::Unlisted(_) => 3,
            Self::ResourcesUnknown | Self::Resources => 4,
        }
    }

    fn missing(&self, grant: &Grant, call: &Call<'_>) -> Missing {
        let (field, why) = match self {
            Self::Server => return Missing::server(call),
            Self::Tool => (
                Field::Tool,
                format!(
                    "tool `{}` is not among {}",
                    brief(&call.tool),
                    brief(&grant.tool)
                ),
            ),
            Self::Effect => (
                Field::Effect,
                format!("effect `{}` is not granted", call.effect),
            ),
            Self::Absent(path, constraint) => (
                Field::Argument(path.to_string()),
                format!(
                    "argument {path} must be there, as {}",
                    brief(&constraint.allowed)
                ),
            ),
            Self::Refused(path, constraint) => (
                Field::Argument(path.to_string()),
                format!("argument {path} must be {}", brief(&constraint.allowed)),
            ),
            Self::Unlisted(path) => (
                Field::Argument(path.clone()),
                format!("argument {path} is not listed, and the grant is closed"),
            ),
            Self::ResourcesUnknown => (
                Field::Resources,
                "the resources that the call touches are not known, and the grant names resources"
                    .to_owned(),
            ),
            Self::Resources => (
                Field::Resources,
                format!(
                    "a resource of the call is not among {}",
                    grant.resources.as_ref().map(brief).unwrap_or_default()
                ),
            ),
        };
        Missing {
            field,
            why,
            nearest: brief(grant),
        }
    }
}

/// What a grant says something about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// `server`
    Server,
    /// `tool`
    Tool,
    /// `effects`
    Effect,
    /// `args`, at this path.
    Argument(String),
    /// `closed`
    Closed,
    /// `resources`
    Resources,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server => f.write_str("server"),
            Self::Tool => f.write_str("tool"),
            Self::Effect => f.write_str("effects"),
            Self::Argument(path) => write!(f, "args.\"{path}\""),
            Self::Closed => f.write_str("closed"),
            Self::Resources => f.write_str("resources"),
        }
    }
}

/// Why no grant covers a call. Holds no argument value: those may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("outside the task's scope: {why}")]
pub struct Missing {
    /// Where the nearest grant fails.
    pub field: Field,
    /// The same in words.
    pub why: String,
    /// The grant that comes nearest; empty if none is about the server.
    pub nearest: String,
}

impl Missing {
    fn server(call: &Call<'_>) -> Self {
        Self {
            field: Field::Server,
            why: format!("no grant is about server `{}`", brief(&call.server)),
            nearest: String::new(),
        }
    }
}

impl Fault for Missing {
    fn code(&self) -> Code {
        Code::ScopeExceeded
    }

    fn help(&self) -> String {
        if self.nearest.is_empty() {
            return "ask for a task whose scope has a grant for this server".to_owned();
        }
        format!(
            "nearest grant: {}; stay within it, or ask for a task whose scope is wider in `{}`",
            self.nearest, self.field
        )
    }
}

/// As text, for a message: long lists are cut.
pub(super) fn brief(item: &impl fmt::Display) -> String {
    let text = item.to_string();
    if text.chars().nth(SHOWN).is_none() {
        return text;
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}

/// Most characters of a list or name that a message shows.
const SHOWN: usize = 256;
