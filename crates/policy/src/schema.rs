//! The Cedar schema of a registry (namespace `Bailiwick`): one action per tool, with its own typed `context.input`.
//!
//! `context.bw.discharged` is not part of it on purpose: only the rewriting of soft policies may look at it, so any other
//! mention fails strict validation.

use bailiwick_core::Effect;
use bailiwick_core::definition::Tool;
use cedar_policy_core::extensions::Extensions;
use cedar_policy_core::validator::ValidatorSchema;
use serde_json::{Map, Value, json};

use crate::facts;
use crate::flaw::{Flaw, PolicyErrors};
use crate::registry::Registry;
use crate::shape::Record;
use crate::uid::{RESERVED, USE, groups};

/// The schema in Cedar's JSON form.
pub(crate) fn json(registry: &Registry) -> Value {
    let mut actions = Map::from_iter([(USE.to_owned(), json!({}))]);
    for effect in Effect::ALL {
        actions.insert(effect.to_string(), json!({"memberOf": [{"id": USE}]}));
    }
    let own = registry.tools.iter().map(|tool| tool.tool.server.as_str());
    let servers = registry.servers.iter().map(|server| server.name.as_str());
    for server in own.chain(servers).filter(|name| !RESERVED.contains(name)) {
        actions.insert(server.to_owned(), json!({}));
    }
    for tool in &registry.tools {
        let parents = groups(tool.tool.server.as_str(), tool.effect).map(|id| json!({"id": id}));
        let action = json!({
            "memberOf": parents.collect::<Vec<_>>(),
            "appliesTo": {
                "principalTypes": ["Agent"],
                "resourceTypes": ["Server"],
                "context": context(tool),
            },
        });
        actions.insert(tool.tool.to_string(), action);
    }
    json!({"Bailiwick": {
        "commonTypes": {"Facts": facts()},
        "entityTypes": entity_types(),
        "actions": actions,
    }})
}

/// The type of the context of calls of a tool.
pub(crate) fn context(tool: &Tool) -> Value {
    let input = Record::of_definition(&tool.definition).cedar();
    json!({"type": "Record", "attributes": {"input": input, "bw": {"type": "Facts"}}})
}

/// The attributes of an entity type, named in full.
pub(crate) fn entity_shape(kind: &str) -> Value {
    let name = kind.strip_prefix("Bailiwick::").unwrap_or(kind);
    entity_types()
        .get(name)
        .and_then(|kind| kind.get("shape"))
        .cloned()
        .unwrap_or_else(|| json!({}))
}

/// The names of a record's members below `path`, in order.
pub(crate) fn members(kind: &Value, path: &[impl AsRef<str>]) -> Vec<String> {
    let facts = facts();
    let is_facts = |kind: &'_ Value| kind.get("type").and_then(Value::as_str) == Some("Facts");
    let mut kind = kind;
    for name in path {
        let Some(member) = kind
            .pointer("/attributes")
            .and_then(|all| all.get(name.as_ref()))
        else {
            return Vec::new();
        };
        kind = if is_facts(member) { &facts } else { member };
    }
    let members = kind.get("attributes").and_then(Value::as_object);
    let mut names: Vec<String> = members.into_iter().flat_map(Map::keys).cloned().collect();
    names.sort_unstable();
    names
}

fn entity_types() -> Value {
    json!({
        "Agent": {"shape": record([("owner", entity("Owner")), ("base_risk", long())])},
        "Owner": {},
        "User": {},
        "Server": {"shape": record([("trust", string())])},
        "Opaque": {},
    })
}

/// The schema as the validator takes it.
pub(crate) fn compile(registry: &Registry) -> Result<ValidatorSchema, PolicyErrors> {
    ValidatorSchema::from_json_value(json(registry), Extensions::all_available()).map_err(|error| {
        let flaw = Flaw::whole(format!(
            "the schema of the registry cannot be built: {error}"
        ));
        PolicyErrors { flaws: vec![flaw] }
    })
}

/// `context.bw`: what Bailiwick knows about the call beside its arguments.
fn facts() -> Value {
    let task = record([
        ("id", string()),
        ("workflow", string()),
        ("stage", string()),
        ("risk", long()),
        ("labels", json!({"type": "Set", "element": string()})),
        ("age_s", long()),
        ("calls", long()),
        ("writes", long()),
        ("escalations", long()),
        ("requested_by", string()),
    ]);
    let facts = record([
        ("user", entity("User")),
        ("chain", json!({"type": "Set", "element": entity("Agent")})),
        ("depth", long()),
        ("effect", string()),
        ("task", with(task, facts::kinds_of_task())),
        (
            "now",
            record([("epoch_s", long()), ("hour", long()), ("weekday", long())]),
        ),
    ]);
    with(facts, facts::kinds())
}

/// The record with more members.
fn with(mut record: Value, more: Map<String, Value>) -> Value {
    if let Some(attributes) = record.get_mut("attributes").and_then(Value::as_object_mut) {
        attributes.extend(more);
    }
    record
}

fn record<const N: usize>(attributes: [(&str, Value); N]) -> Value {
    let attributes = attributes
        .into_iter()
        .map(|(name, kind)| (name.to_owned(), kind));
    json!({"type": "Record", "attributes": attributes.collect::<Map<_, _>>()})
}

fn entity(name: &str) -> Value {
    json!({"type": "Entity", "name": name})
}

fn long() -> Value {
    json!({"type": "Long"})
}

fn string() -> Value {
    json!({"type": "String"})
}
