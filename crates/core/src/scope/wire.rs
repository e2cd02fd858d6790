//! Scopes in JSON and TOML. Unknown and repeated members are refused, patterns and paths are parsed, and each constraint
//! says exactly one kind of thing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::constraint::{Allowed, Constraint, Value};
use super::grant::Grant;
use super::path::ArgPath;
use super::pattern::{Patterns, Rule};
use super::{Scope, ScopeError};
use crate::Timestamp;
use crate::budget::Budget;

/// A whole scope; nothing but numbers of the budget may be left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScopeWire {
    grants: Vec<Grant>,
    budget: Budget,
    deadline: Timestamp,
    depth: u8,
}

impl TryFrom<ScopeWire> for Scope {
    type Error = ScopeError;

    fn try_from(wire: ScopeWire) -> Result<Self, ScopeError> {
        Self::new(wire.grants, wire.budget, wire.deadline, wire.depth)
    }
}

impl<R: Rule> Serialize for Patterns<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(ToString::to_string))
    }
}

impl<'de, R: Rule> Deserialize<'de> for Patterns<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Vec::<String>::deserialize(deserializer)?;
        Self::parse(written).map_err(Error::custom)
    }
}

/// `{ any = true }`, `{ never = true }`, `{ in = [..] }`, `{ ints = { min, max } }`, `{ strings = [..] }` or
/// `{ paths = [..] }`, each with `optional = true` or without.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConstraintWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    any: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    never: Option<bool>,
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    values: Option<BTreeSet<Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ints: Option<Ints>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    strings: Option<Patterns<super::Plain>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paths: Option<Patterns<super::Path>>,
    #[serde(default)]
    optional: bool,
}

/// Both ends included; one that is left out is that of 64-bit integers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ints {
    #[serde(default = "lowest")]
    min: i64,
    #[serde(default = "highest")]
    max: i64,
}

impl Serialize for Constraint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut wire = ConstraintWire {
            optional: self.optional,
            ..ConstraintWire::default()
        };
        match &self.allowed {
            Allowed::Any => wire.any = Some(true),
            Allowed::Never => wire.never = Some(true),
            Allowed::In(values) => wire.values = Some(values.clone()),
            Allowed::Ints { min, max } => {
                wire.ints = Some(Ints {
                    min: *min,
                    max: *max,
                });
            }
            Allowed::Strings(patterns) => wire.strings = Some(patterns.clone()),
            Allowed::Paths(patterns) => wire.paths = Some(patterns.clone()),
        }
        wire.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Constraint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = ConstraintWire::deserialize(deserializer)?;
        let flag = |flag: Option<bool>, allowed| match flag {
            Some(true) => Ok(Some(allowed)),
            Some(false) => Err(Error::custom("`any` and `never` are true or left out")),
            None => Ok(None),
        };
        let kinds = [
            flag(wire.any, Allowed::Any)?,
            flag(wire.never, Allowed::Never)?,
            wire.values.map(Allowed::In),
            wire.ints.map(|ints| Allowed::Ints {
                min: ints.min,
                max: ints.max,
            }),
            wire.strings.map(Allowed::Strings),
            wire.paths.map(Allowed::Paths),
        ];
        let mut kinds = kinds.into_iter().flatten();
        match (kinds.next(), kinds.next()) {
            (Some(allowed), None) => Ok(Self {
                allowed,
                optional: wire.optional,
            }),
            _ => Err(Error::custom(
                "a constraint has exactly one of any, never, in, ints, strings, paths",
            )),
        }
    }
}

/// The `args` of a grant; a path that occurs twice is refused, where a map would keep the last.
pub(super) fn arguments<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<ArgPath, Constraint>, D::Error> {
    struct Arguments;

    impl<'de> Visitor<'de> for Arguments {
        type Value = BTreeMap<ArgPath, Constraint>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("constraints by argument path")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut arguments = BTreeMap::new();
            while let Some((path, constraint)) = map.next_entry::<ArgPath, Constraint>()? {
                let twice = format!("argument path {path} occurs twice");
                if arguments.insert(path, constraint).is_some() {
                    return Err(A::Error::custom(twice));
                }
            }
            Ok(arguments)
        }
    }

    deserializer.deserialize_map(Arguments)
}

fn lowest() -> i64 {
    i64::MIN
}

fn highest() -> i64 {
    i64::MAX
}
