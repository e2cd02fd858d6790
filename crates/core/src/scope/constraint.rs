//! What one argument may be. Integers match by their digits only, strings by their bytes: two servers that read a number
//! or a text differently never see what was not meant.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::pattern::{Names, Path, Patterns};
use crate::json::Scalar;

/// What the leaves at one path may be, and whether there may be none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Constraint {
    /// What each leaf must be.
    pub allowed: Allowed,
    /// Whether a call without a leaf at the path is covered.
    pub optional: bool,
}

/// A set of scalars.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowed {
    /// Every scalar, and empty containers, which nothing else holds.
    Any,
    /// None.
    Never,
    /// These.
    In(BTreeSet<Value>),
    /// Integers from `min` to `max`, both included.
    Ints {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// Strings that match.
    Strings(Names),
    /// Strings that match and are plain file paths (see [`Path`]).
    Paths(Patterns<Path>),
}

/// A scalar that a constraint can name. Other numbers than integers are held by [`Allowed::Any`] only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a value is a string, an integer within 64 bits, true, false or null"
)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A string.
    String(String),
}

impl Constraint {
    /// What a path without an entry has in an open grant.
    pub const FREE: Self = Self {
        allowed: Allowed::Any,
        optional: true,
    };
    /// What a path without an entry has in a closed grant.
    pub const ABSENT: Self = Self {
        allowed: Allowed::Never,
        optional: true,
    };

    /// What both allow.
    pub(super) fn meet(&self, other: &Self) -> Self {
        Self {
            allowed: self.allowed.meet(&other.allowed),
            optional: self.optional && other.optional,
        }
    }

    /// Whether whatever this allows, `other` allows too.
    pub(super) fn within(&self, other: &Self) -> bool {
        self.allowed.within(&other.allowed) && (other.optional || !self.optional)
    }

    /// Whether no call could meet it.
    pub(super) fn impossible(&self) -> bool {
        self.allowed == Allowed::Never && !self.optional
    }
}

impl Allowed {
    /// Whether this leaf is one of the set.
    pub fn holds(&self, scalar: &Scalar<'_>) -> bool {
        self.has(Atom::from(scalar))
    }

    pub(super) fn meet(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Any, rest) | (rest, Self::Any) => rest.clone(),
            (Self::In(values), rest) | (rest, Self::In(values)) => {
                let kept = values.iter().filter(|value| rest.has(Atom::from(*value)));
                Self::In(kept.cloned().collect())
            }
            (Self::Ints { min: a, max: b }, Self::Ints { min: c, max: d }) => Self::Ints {
                min: *a.max(c),
                max: *b.min(d),
            },
            (Self::Strings(a), Self::Strings(b)) => Self::Strings(a.meet(b)),
            (Self::Paths(a), Self::Paths(b)) => Self::Paths(a.meet(b)),
            (Self::Paths(a), Self::Strings(b)) | (Self::Strings(b), Self::Paths(a)) => {
                Self::Paths(a.meet(b))
            }
            (Self::Never | Self::Ints { .. }, _) | (_, Self::Never | Self::Ints { .. }) => {
                Self::Never
            }
        }
        .normal()
    }

    pub(super) fn within(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Any) | (Self::Never, _) => true,
            (Self::In(values), _) => values.iter().all(|value| other.has(Atom::from(value))),
            (Self::Ints { min: a, max: b }, Self::Ints { min: c, max: d }) => c <= a && b <= d,
            (Self::Strings(a), Self::Strings(b)) => a.within(b),
            (Self::Paths(a), Self::Paths(b)) => a.within(b),
            (Self::Paths(a), Self::Strings(b)) => a.within(b),
            // Strings in normal form have a prefix, and below a prefix there is always a text that is no plain path.
            _ => false,
        }
    }

    /// The one spelling of this set: small ranges and exact patterns are listed, an empty set is `Never`.
    #[must_use]
    pub(super) fn normal(self) -> Self {
        match self {
            Self::Ints { min, max } if min > max => Self::Never,
            Self::Ints { min, max } if max.abs_diff(min) < SMALL_RANGE => {
                Self::In((min..=max).map(Value::Int).collect())
            }
            Self::Strings(patterns) => {
                let patterns = patterns.normal();
                listed(patterns.exact()).unwrap_or(Self::Strings(patterns))
            }
            Self::Paths(patterns) => {
                let patterns = patterns.normal();
                listed(patterns.exact()).unwrap_or(Self::Paths(patterns))
            }
            Self::In(values) if values.is_empty() => Self::Never,
            Self::Any | Self::Never | Self::In(_) | Self::Ints { .. } => self,
        }
    }

    /// Members of the set as written.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Any | Self::Never | Self::Ints { .. } => 1,
            Self::In(values) => values.len(),
            Self::Strings(patterns) => patterns.len(),
            Self::Paths(patterns) => patterns.len(),
        }
    }

    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Any | Self::Never | Self::Ints { .. } => super::ELEMENT_WEIGHT,
            Self::In(values) => values.iter().map(Value::weight).sum(),
            Self::Strings(patterns) => patterns.weight(),
            Self::Paths(patterns) => patterns.weight(),
        }
    }

    fn has(&self, atom: Atom<'_>) -> bool {
        match (self, atom) {
            (Self::Any, _) => true,
            (Self::In(values), atom) => values.iter().any(|value| Atom::from(value) == atom),
            (Self::Ints { min, max }, Atom::Int(number)) => (*min..=*max).contains(&number),
            (Self::Strings(patterns), Atom::String(text)) => patterns.matches(text),
            (Self::Paths(patterns), Atom::String(text)) => patterns.matches(text),
            _ => false,
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Never => f.write_str("nothing"),
            Self::In(values) => {
                for (position, value) in values.iter().enumerate() {
                    f.write_str(if position == 0 { "one of " } else { ", " })?;
                    match value {
                        Value::Null => f.write_str("null")?,
                        Value::Bool(value) => write!(f, "{value}")?,
                        Value::Int(value) => write!(f, "{value}")?,
                        Value::String(value) => write!(f, "`{value}`")?,
                    }
                }
                Ok(())
            }
            Self::Ints { min, max } => write!(f, "an integer from {min} to {max}"),
            Self::Strings(patterns) => write!(f, "a string like {patterns}"),
            Self::Paths(patterns) => write!(f, "a plain path like {patterns}"),
        }
    }
}

impl Value {
    fn weight(&self) -> usize {
        let text = match self {
            Self::String(text) => text.len(),
            Self::Null | Self::Bool(_) | Self::Int(_) => 0,
        };
        text + super::ELEMENT_WEIGHT
    }
}

/// A leaf or a named value, in one form for comparison. `Other` is held by `Any` alone, and equals no named value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Atom<'a> {
    Null,
    Bool(bool),
    Int(i64),
    String(&'a str),
    Other,
}

impl<'a> From<&'a Value> for Atom<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::String(value) => Self::String(value),
        }
    }
}

impl<'a> From<&'a Scalar<'_>> for Atom<'a> {
    fn from(scalar: &'a Scalar<'_>) -> Self {
        match scalar {
            Scalar::Null => Self::Null,
            Scalar::Bool(value) => Self::Bool(*value),
            // `-0` parses as an integer, but many decoders make it the double −0.
            Scalar::Number("-0") | Scalar::Empty => Self::Other,
            Scalar::Number(digits) => digits.parse().map_or(Self::Other, Self::Int),
            Scalar::String(text) => Self::String(text),
        }
    }
}

fn listed<'a>(texts: Option<impl Iterator<Item = &'a str>>) -> Option<Allowed> {
    let values: BTreeSet<_> = texts?.map(|text| Value::String(text.to_owned())).collect();
    Some(if values.is_empty() {
        Allowed::Never
    } else {
        Allowed::In(values)
    })
}

/// Ranges of at most this many integers are listed one by one.
const SMALL_RANGE: u64 = 64;
