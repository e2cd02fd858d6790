//! What "permitted" means, written a second time and as plainly as possible, and small worlds of scopes and calls.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use proptest::sample::{select, subsequence};
use serde_json::Value as Json;

use crate::Effect;
use crate::json::{Leaves, Limits, check};
use crate::scope::{Allowed, Call, Constraint, Grant, Names, Path, Pattern, Patterns, Uris, Value};

pub(super) fn permitted(grants: &[Grant], asked: &Asked) -> bool {
    grants.iter().any(|grant| covers(grant, asked))
}

fn covers(grant: &Grant, asked: &Asked) -> bool {
    let mut leaves = Vec::new();
    if asked.arguments != serde_json::json!({}) {
        flatten(&asked.arguments, String::new(), &mut leaves);
    }
    plain(&grant.server, asked.server)
        && plain(&grant.tool, asked.tool)
        && grant.effects.contains(&asked.effect)
        && leaves.iter().all(|(path, leaf)| {
            let entry = grant
                .args
                .iter()
                .find(|(listed, _)| listed.as_str() == path);
            entry.map_or(!grant.closed, |(_, constraint)| {
                holds(&constraint.allowed, leaf)
            })
        })
        && grant.args.iter().all(|(listed, constraint)| {
            constraint.optional || leaves.iter().any(|(path, _)| path == listed.as_str())
        })
        && grant.resources.as_ref().is_none_or(|patterns| {
            asked.resources.is_some_and(|known| {
                !known.is_empty()
                    && known.iter().all(|uri| {
                        patterns.iter().any(|pattern| match pattern {
                            Pattern::Exact(text) => text == uri,
                            Pattern::Prefix(text) => uri.starts_with(text) && !uri.contains("/../"),
                        })
                    })
            })
        })
}

fn flatten(value: &Json, path: String, leaves: &mut Vec<(String, Json)>) {
    match value {
        Json::Array(elements) if !elements.is_empty() => {
            for element in elements {
                flatten(element, format!("{path}/*"), leaves);
            }
        }
        Json::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let name = if name == "*" { "~2" } else { name };
                flatten(member, format!("{path}/{name}"), leaves);
            }
        }
        leaf => leaves.push((path, leaf.clone())),
    }
}

fn holds(allowed: &Allowed, leaf: &Json) -> bool {
    match allowed {
        Allowed::Any => true,
        Allowed::Never => false,
        Allowed::In(values) => values.iter().any(|value| match value {
            Value::Null => leaf.is_null(),
            Value::Bool(value) => leaf.as_bool() == Some(*value),
            Value::Int(value) => leaf.as_i64() == Some(*value),
            Value::String(value) => leaf.as_str() == Some(value),
        }),
        Allowed::Ints { min, max } => leaf
            .as_i64()
            .is_some_and(|number| *min <= number && number <= *max),
        Allowed::Strings(patterns) => leaf.as_str().is_some_and(|text| plain(patterns, text)),
        Allowed::Paths(patterns) => leaf.as_str().is_some_and(|text| {
            let bad = ["..", ".", ""];
            let relative = text.strip_prefix('/').unwrap_or(text);
            let tidy =
                !relative.split('/').any(|segment| bad.contains(&segment)) && !text.contains('%');
            tidy && patterns.iter().any(|pattern| simple(pattern, text))
        }),
    }
}

fn plain(patterns: &Names, text: &str) -> bool {
    patterns.iter().any(|pattern| simple(pattern, text))
}

fn simple(pattern: &Pattern, text: &str) -> bool {
    match pattern {
        Pattern::Exact(exact) => text == exact,
        Pattern::Prefix(prefix) => text.starts_with(prefix),
    }
}

/// One call of the small world.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) server: &'static str,
    pub(super) tool: &'static str,
    pub(super) effect: Effect,
    pub(super) arguments: Json,
    leaves: &'static Leaves<'static>,
    pub(super) resources: Option<&'static [&'static str]>,
}

impl Asked {
    pub(super) fn call(&self) -> Call<'_> {
        Call {
            server: self.server,
            tool: self.tool,
            effect: self.effect,
            arguments: self.leaves,
            resources: self.resources,
        }
    }
}

/// Every call of the small world.
pub(super) static CALLS: LazyLock<Vec<Asked>> = LazyLock::new(|| {
    let arguments: Vec<(Json, &'static Leaves<'static>)> = ARGUMENTS
        .iter()
        .map(|text| {
            let leaves = check(text.as_bytes(), &Limits::ENVELOPE)
                .unwrap()
                .leaves()
                .unwrap();
            let leaves: &'static Leaves<'static> = Box::leak(Box::new(leaves));
            (serde_json::from_str(text).unwrap(), leaves)
        })
        .collect();
    let mut calls = Vec::new();
    for server in ["a", "ab"] {
        for tool in ["t", "tu"] {
            for effect in [Effect::Read, Effect::Write] {
                for (json, leaves) in &arguments {
                    for resources in RESOURCES {
                        calls.push(Asked {
                            server,
                            tool,
                            effect,
                            arguments: json.clone(),
                            leaves,
                            resources: *resources,
                        });
                    }
                }
            }
        }
    }
    calls
});

const ARGUMENTS: &[&str] = &[
    "{}",
    r#"{"p":"x"}"#,
    r#"{"p":"xy"}"#,
    r#"{"p":"x/y"}"#,
    r#"{"p":"x/../y"}"#,
    r#"{"p":"x//y"}"#,
    r#"{"p":"/x/y"}"#,
    r#"{"p":"x/%"}"#,
    r#"{"p":""}"#,
    r#"{"p":1}"#,
    r#"{"p":5}"#,
    r#"{"p":1.0}"#,
    r#"{"p":-0}"#,
    r#"{"p":true}"#,
    r#"{"p":null}"#,
    r#"{"p":[]}"#,
    r#"{"p":["x",1]}"#,
    r#"{"p":["x/y"]}"#,
    r#"{"p":{"s":"x"}}"#,
    r#"{"q":"x"}"#,
    r#"{"p":"x","q":80}"#,
    r#"{"p":"x","*":2}"#,
    r#"{"r":{}}"#,
];

const RESOURCES: &[Option<&[&str]>] = &[
    None,
    Some(&[]),
    Some(&["u:/a/b"]),
    Some(&["u:/a/c"]),
    Some(&["u:/a/../b"]),
    Some(&["u:/a/b", "u:/c"]),
];

/// Grants over the small world; about a third have arguments, resources or both.
pub(super) fn grants() -> impl Strategy<Value = Vec<Grant>> {
    prop::collection::vec(grant(), 1..4)
}

fn grant() -> impl Strategy<Value = Grant> {
    let args = prop::collection::btree_map(
        select(vec!["/p", "/q", "/p/*", "/p/s", "/~2"]).prop_map(|path| path.parse().unwrap()),
        constraint(),
        0..3,
    );
    let resources = prop_oneof![
        2 => Just(None),
        1 => subsequence(vec!["u:/a/*", "u:/a/b", "u:/*", "u:/a/../b"], 0..3).prop_map(Some),
    ];
    let effects = subsequence(Effect::ALL.to_vec(), 0..=3);
    (
        subsequence(vec!["a", "ab", "a*", "*"], 1..3),
        subsequence(vec!["t", "tu", "t*", "u"], 0..3),
        effects,
        args,
        any::<bool>(),
        resources,
    )
        .prop_map(|(server, tool, effects, args, closed, resources)| Grant {
            server: Names::parse(server).unwrap(),
            tool: Names::parse(tool).unwrap(),
            effects: effects.into_iter().collect(),
            args,
            closed,
            resources: resources.map(|patterns| Uris::parse(patterns).unwrap()),
        })
}

pub(super) fn constraint() -> impl Strategy<Value = Constraint> {
    (allowed(), any::<bool>()).prop_map(|(allowed, optional)| Constraint { allowed, optional })
}

fn allowed() -> impl Strategy<Value = Allowed> {
    let text = |text: &str| Value::String(text.to_owned());
    let values = vec![
        Value::Null,
        Value::Bool(true),
        Value::Int(1),
        Value::Int(5),
        text("x"),
        text("x/y"),
        text("x/../y"),
        text("/x/y"),
    ];
    let strings = vec!["x", "x/y", "x*", "x/*", "x/../*", "/*", "*"];
    let paths = vec!["x", "x/y", "x*", "x/*", "/x/*", "*"];
    prop_oneof![
        2 => Just(Allowed::Any),
        1 => Just(Allowed::Never),
        3 => subsequence(values, 0..6).prop_map(|values| Allowed::In(values.into_iter().collect::<BTreeSet<_>>())),
        2 => select(vec![(-1, 3), (0, 100), (5, 5), (5, 1), (i64::MIN, 64)])
            .prop_map(|(min, max)| Allowed::Ints { min, max }),
        3 => subsequence(strings, 0..4).prop_map(|texts| Allowed::Strings(Names::parse(texts).unwrap())),
        3 => subsequence(paths, 0..4).prop_map(|texts| Allowed::Paths(Patterns::<Path>::parse(texts).unwrap())),
    ]
}
