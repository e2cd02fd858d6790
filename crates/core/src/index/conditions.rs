//! What is asked for. Every condition given must hold; each key is given once at most.

use super::row::{Key, Row, Token, millis};
use super::words::words;
use crate::decision::Outcome as Verdict;
use crate::effect::Effect;
use crate::event::EventType;
use crate::id::{EventId, InstanceId, LeaseId, TaskId};
use crate::{Code, Fault, Timestamp};

/// Keys that [`Conditions::set`] knows, as messages list them.
pub const KEYS: &[&str] = &[
    "type", "id", "task", "agent", "instance", "user", "actor", "server", "tool", "effect",
    "decision", "code", "label", "lease", "resource", "node", "cause", "text", "since", "until",
];

/// Longest value, in bytes.
pub const MAX_VALUE: usize = 512;

/// Conditions on events. The empty ones take every event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    equal: Vec<(Key, String)>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    token: Option<Token>,
}

/// A condition that is none. `position` counts the conditions from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    /// Unknown key.
    #[error("condition {position}: `{key}` is not something to filter by")]
    Key {
        /// Which condition.
        position: usize,
        /// The key given.
        key: String,
    },
    /// A key that was given before.
    #[error("condition {position}: `{key}` is given twice, and no event has two")]
    Repeated {
        /// Which condition.
        position: usize,
        /// The key given.
        key: String,
    },
    /// Not a value of this key.
    #[error("condition {position}: `{value}` is not {wanted}")]
    Value {
        /// Which condition.
        position: usize,
        /// The value given, cut short.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
}

impl Fault for BadFilter {
    fn code(&self) -> Code {
        Code::BadFilter
    }

    fn help(&self) -> String {
        match self {
            Self::Key { .. } => format!("Use one of: {}.", KEYS.join(", ")),
            Self::Repeated { .. } => "Give it once; search twice for two values.".into(),
            Self::Value { wanted, .. } if *wanted == INSTANT => {
                "Write it like 2026-11-23T09:00:00Z or 2026-11-23.".into()
            }
            Self::Value { wanted, .. } if *wanted == TYPE => {
                "Write one such as tool.intent, or the part before its dot.".into()
            }
            Self::Value { .. } => "Take it as `audit show` prints it.".into(),
        }
    }
}

const INSTANT: &str = "an RFC 3339 instant or a day";
const TYPE: &str = "a type of event";

impl Conditions {
    /// Adds a condition.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), BadFilter> {
        let position = self.len() + 1;
        let bad = |wanted| BadFilter::Value {
            position,
            value: shortened(value),
            wanted,
        };
        if !KEYS.contains(&key) {
            let key = shortened(key);
            return Err(BadFilter::Key { position, key });
        }
        let repeated = || BadFilter::Repeated {
            position,
            key: key.to_owned(),
        };
        let bound = match key {
            "since" => Some(&mut self.since),
            "until" => Some(&mut self.until),
            _ => None,
        };
        if let Some(bound) = bound {
            if bound.is_some() {
                return Err(repeated());
            }
            *bound = Some(instant(value).ok_or_else(|| bad(INSTANT))?);
            return Ok(());
        }
        let key = Key::ALL.iter().copied().find(|known| known.as_str() == key);
        let key = key.ok_or_else(repeated)?;
        if self.value(key).is_some() {
            return Err(repeated());
        }
        check(key, value).map_err(bad)?;
        self.equal.push((key, value.to_owned()));
        Ok(())
    }

    /// Conditions with one more; for callers that know it to be good.
    pub fn and(mut self, key: Key, value: &str) -> Result<Self, BadFilter> {
        self.set(key.as_str(), value)?;
        Ok(self)
    }

    /// Says what stands for the resource asked for. Without that a condition on one takes nothing.
    #[must_use]
    pub fn with_token(self, token: Token) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }

    /// Conditions on time too: not before the first instant, and before the second.
    #[must_use]
    pub fn between(self, since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        Self {
            since,
            until,
            ..self
        }
    }

    /// The conditions but for that on one key.
    #[must_use]
    pub fn without(&self, key: Key) -> Self {
        let mut rest = self.clone();
        rest.equal.retain(|(found, _)| *found != key);
        rest
    }

    /// How many conditions there are.
    pub fn len(&self) -> usize {
        self.equal.len() + usize::from(self.since.is_some()) + usize::from(self.until.is_some())
    }

    /// Whether every event is taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The conditions but for those on time.
    pub fn values(&self) -> impl Iterator<Item = (Key, &str)> {
        self.equal.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// The condition on one key.
    pub fn value(&self, key: Key) -> Option<&str> {
        let found = self.values().find(|(found, _)| *found == key);
        found.map(|(_, value)| value)
    }

    /// What stands for the resource asked for.
    pub fn token(&self) -> Option<Token> {
        self.token
    }

    /// Types that the condition on it takes; none without one.
    pub fn types(&self) -> Option<Vec<EventType>> {
        let wanted = self.value(Key::Type)?;
        Some(types_of(wanted).collect())
    }

    /// Milliseconds since 1970 that the events taken lie between: from the first on, before the second. Bounds are rounded outwards, since
    /// logical time has no finer unit.
    pub fn millis(&self) -> (i64, i64) {
        let since = self.since.map(|since| since.as_micros().div_euclid(1_000));
        let until = self
            .until
            .map(|until| until.as_micros().saturating_add(999).div_euclid(1_000));
        (since.unwrap_or(i64::MIN), until.unwrap_or(i64::MAX))
    }

    /// Whether they take an event. An index answers as this does.
    pub fn take(&self, row: &Row) -> bool {
        let (since, until) = self.millis();
        let at = millis(row.hlc);
        since <= at && at < until && self.values().all(|(key, value)| self.one(row, key, value))
    }

    fn one(&self, row: &Row, key: Key, value: &str) -> bool {
        match key {
            Key::Type => types_of(value).any(|kind| kind == row.kind),
            Key::Id => row.id.to_string() == value,
            Key::Cause => row.cause.is_some_and(|cause| cause.to_string() == value),
            Key::Node => row.node() == value,
            Key::Resource => self.token.is_some_and(|token| row.tokens.contains(&token)),
            Key::Text => words(value).iter().all(|word| row.words.contains(word)),
            _ => row.all(key).any(|found| found == value),
        }
    }
}

/// Types that a name means: itself, or all below it.
fn types_of(name: &str) -> impl Iterator<Item = EventType> {
    EventType::ALL.iter().copied().filter(move |kind| {
        let rest = kind.as_str().strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// Says what a value of this key is, if this is none.
fn check(key: Key, value: &str) -> Result<(), &'static str> {
    let (good, wanted) = match key {
        Key::Type => (types_of(value).next().is_some(), TYPE),
        Key::Id | Key::Cause => (value.parse::<EventId>().is_ok(), "the id of an event"),
        Key::Task => (value.parse::<TaskId>().is_ok(), "the id of a task"),
        Key::Instance => (value.parse::<InstanceId>().is_ok(), "the id of an instance"),
        Key::Lease => (value.parse::<LeaseId>().is_ok(), "the id of a lease"),
        Key::Effect => (is_word::<Effect>(value), "read, write or escalate"),
        Key::Decision => (is_word::<Verdict>(value), "allow, deny or step_up"),
        Key::Text => (!words(value).is_empty(), "a text with words in it"),
        _ => (true, ""),
    };
    if !good {
        return Err(wanted);
    }
    if value.is_empty() || value.len() > MAX_VALUE {
        return Err("1 to 512 bytes long");
    }
    Ok(())
}

fn is_word<T: serde::de::DeserializeOwned>(value: &str) -> bool {
    serde_json::from_value::<T>(serde_json::Value::from(value)).is_ok()
}

fn instant(value: &str) -> Option<Timestamp> {
    let day = || format!("{value}T00:00:00Z").parse();
    value.parse().or_else(|_| day()).ok()
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
