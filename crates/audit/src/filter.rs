//! Which events a reader wants. Every member given must match; a repeated key takes the last value.

use bailiwick_core::{Code, Fault, Timestamp};

use crate::leaf::Leaf;

/// Keys that [`Filter::set`] knows, as messages list them.
pub const KEYS: &[&str] = &[
    "type", "id", "task", "agent", "instance", "user", "actor", "server", "tool", "effect",
    "decision", "code", "lease", "cause", "label", "since", "until",
];

/// A filter over leaves. The empty filter takes every event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    equal: Vec<(Key, String)>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Type,
    Id,
    Task,
    Agent,
    Instance,
    User,
    Actor,
    Server,
    Tool,
    Effect,
    Decision,
    Code,
    Lease,
    Cause,
    Label,
}

/// A key or value that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    /// Unknown key.
    #[error("`{key}` is not something to filter by")]
    Key {
        /// The key given.
        key: String,
    },
    /// Not an instant.
    #[error("`{value}` is not an RFC 3339 instant")]
    Instant {
        /// The value given.
        value: String,
    },
}

impl Fault for BadFilter {
    fn code(&self) -> Code {
        Code::InvalidInput
    }

    fn help(&self) -> String {
        match self {
            Self::Key { .. } => format!("Use one of: {}.", KEYS.join(", ")),
            Self::Instant { .. } => "Write it like 2026-11-23T09:00:00Z.".into(),
        }
    }
}

impl Filter {
    /// Adds a condition. A `type` matches whole or as a prefix before a dot: `tool` takes `tool.intent`.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), BadFilter> {
        let instant = || {
            value.parse::<Timestamp>().map_err(|_| BadFilter::Instant {
                value: shortened(value),
            })
        };
        let key = match key {
            "since" => {
                self.since = Some(instant()?);
                return Ok(());
            }
            "until" => {
                self.until = Some(instant()?);
                return Ok(());
            }
            "type" => Key::Type,
            "id" => Key::Id,
            "task" => Key::Task,
            "agent" => Key::Agent,
            "instance" => Key::Instance,
            "user" => Key::User,
            "actor" => Key::Actor,
            "server" => Key::Server,
            "tool" => Key::Tool,
            "effect" => Key::Effect,
            "decision" => Key::Decision,
            "code" => Key::Code,
            "lease" => Key::Lease,
            "cause" => Key::Cause,
            "label" => Key::Label,
            other => {
                return Err(BadFilter::Key {
                    key: shortened(other),
                });
            }
        };
        self.equal.retain(|(present, _)| *present != key);
        self.equal.push((key, value.to_owned()));
        Ok(())
    }

    /// Whether the leaf is wanted. A task matches its own events and those that name it as root or parent.
    pub fn matches(&self, leaf: &Leaf) -> bool {
        let in_time = self.since.is_none_or(|since| leaf.ts >= since)
            && self.until.is_none_or(|until| leaf.ts < until);
        in_time
            && self
                .equal
                .iter()
                .all(|(key, value)| matches_one(leaf, *key, value))
    }
}

fn matches_one(leaf: &Leaf, key: Key, value: &str) -> bool {
    let event = &leaf.event;
    let text = |member: Option<String>| member.as_deref() == Some(value);
    let action = event.action.as_ref();
    match key {
        Key::Type => {
            let kind = event.kind.as_str();
            kind == value
                || kind
                    .strip_prefix(value)
                    .is_some_and(|rest| rest.starts_with('.'))
        }
        Key::Id => event.id.to_string() == value,
        Key::Task => event.task.as_ref().is_some_and(|task| {
            [Some(task.id), Some(task.root), task.parent]
                .into_iter()
                .flatten()
                .any(|id| id.to_string() == value)
        }),
        Key::Agent => {
            event
                .agent
                .as_ref()
                .is_some_and(|agent| agent.id.as_str() == value)
                || event.chain.iter().any(|link| link.agent.as_str() == value)
        }
        Key::Instance => text(
            event
                .agent
                .as_ref()
                .and_then(|agent| agent.instance)
                .map(|id| id.to_string()),
        ),
        Key::User => event.user.as_deref() == Some(value),
        Key::Actor => event.actor.as_deref() == Some(value),
        Key::Server => action
            .and_then(|action| action.server.as_ref())
            .is_some_and(|server| server.as_str() == value),
        Key::Tool => action
            .and_then(|action| action.tool.as_ref())
            .is_some_and(|tool| tool.as_str() == value),
        Key::Effect => word(action.and_then(|action| action.effect)) == Some(value.to_owned()),
        Key::Decision => {
            word(event.decision.as_ref().map(|decision| decision.effect)) == Some(value.to_owned())
        }
        Key::Code => text(
            event
                .outcome
                .as_ref()
                .and_then(|outcome| outcome.code.clone()),
        ),
        Key::Lease => text(event.lease.as_ref().map(|lease| lease.id.to_string())),
        Key::Cause => text(event.cause.map(|id| id.to_string())),
        Key::Label => event
            .task
            .as_ref()
            .is_some_and(|task| task.labels.iter().any(|label| label.as_str() == value)),
    }
}

/// The word that a small enum is written as.
fn word<T: serde::Serialize>(value: Option<T>) -> Option<String> {
    match serde_json::to_value(value?) {
        Ok(serde_json::Value::String(word)) => Some(word),
        _ => None,
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
