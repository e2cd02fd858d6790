//! The Cedar schema of a registry (namespace `Bailiwick`): one action per tool, with its own typed `context.input`, and one per
//! built-in act; groups as the bundle declares them.
//!
//! `context.bw.discharged` is not part of it on purpose: only the rewriting of soft policies may look at it, so any other
//! mention fails strict validation.

use bailiwick_core::Effect;
use bailiwick_core::definition::Tool;
use cedar_policy_core::extensions::Extensions;
use cedar_policy_core::validator::ValidatorSchema;
use serde_json::{Map, Value, json};

use crate::act::Act;
use crate::facts;
use crate::flaw::{Flaw, PolicyErrors};
use crate::manifest::{Facet, Manifest};
use crate::registry::Registry;
use crate::shape::Record;
use crate::uid::USE;

/// The schema in Cedar's JSON form.
pub(crate) fn json(registry: &Registry, manifest: &Manifest) -> Value {
    let mut actions = Map::from_iter([(USE.to_owned(), json!({}))]);
    for effect in Effect::ALL {
        actions.insert(effect.to_string(), json!({"memberOf": [{"id": USE}]}));
    }
    let facets = Facet::ALL.map(|facet| facet.as_str().to_owned());
    let groups = manifest.action_groups().map(str::to_owned);
    actions.extend(
        facets
            .into_iter()
            .chain(groups)
            .map(|group| (group, json!({}))),
    );
    let own = registry.tools.iter().map(|tool| tool.tool.server.as_str());
    let servers = registry.servers.iter().map(|server| server.name.as_str());
    for server in own.chain(servers).filter(|name| !manifest.is_taken(name)) {
        actions.insert(server.to_owned(), json!({}));
    }
    for act in Act::ALL {
        actions.insert(act.as_str().to_owned(), of_act(act));
    }
    for tool in &registry.tools {
        let parents = manifest.groups(&tool.tool, tool.effect);
        let parents = parents.map(|id| json!({"id": id}));
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
        "commonTypes": {"Facts": facts(), "Circumstances": circumstances()},
        "entityTypes": entity_types(),
        "actions": actions,
    }})
}

/// The action of an act. `egress` is a group as well: of tools that reach out by themselves.
fn of_act(act: Act) -> Value {
    json!({
        "appliesTo": {
            "principalTypes": [act.principal()],
            "resourceTypes": [act.resource()],
            "context": context_of_act(act),
        },
    })
}

/// The type of the context of an act.
pub(crate) fn context_of_act(act: Act) -> Value {
    json!({"type": "Record", "attributes": {"input": act.input_type(), "bw": {"type": "Circumstances"}}})
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
    let (facts, circumstances) = (facts(), circumstances());
    let is = |kind: &Value, name: &str| kind.get("type").and_then(Value::as_str) == Some(name);
    let mut kind = kind;
    for name in path {
        let Some(member) = kind
            .pointer("/attributes")
            .and_then(|all| all.get(name.as_ref()))
        else {
            return Vec::new();
        };
        kind = match member {
            member if is(member, "Facts") => &facts,
            member if is(member, "Circumstances") => &circumstances,
            member => member,
        };
    }
    let members = kind.get("attributes").and_then(Value::as_object);
    let mut names: Vec<String> = members.into_iter().flat_map(Map::keys).cloned().collect();
    names.sort_unstable();
    names
}

fn entity_types() -> Value {
    let boolean = json!({"type": "Boolean"});
    let agent = record([
        ("owner", entity("Owner")),
        ("base_risk", long()),
        ("autonomous", boolean),
    ]);
    json!({
        "Agent": {"shape": agent, "memberOfTypes": ["AgentGroup"], "tags": string()},
        "AgentGroup": {},
        "Owner": {},
        "User": {"memberOfTypes": ["Group"], "tags": string()},
        "Group": {},
        "Server": {"shape": record([("trust", string())]), "memberOfTypes": ["ServerGroup"], "tags": string()},
        "ServerGroup": {},
        "Item": {"memberOfTypes": ["ItemKind", "Server"], "tags": string()},
        "ItemKind": {},
        "Task": {},
        "Credential": {"memberOfTypes": ["CredentialGroup"], "tags": string()},
        "CredentialGroup": {},
        "Opaque": {},
    })
}

/// The schema as the validator takes it.
pub(crate) fn compile(
    registry: &Registry,
    manifest: &Manifest,
) -> Result<ValidatorSchema, PolicyErrors> {
    let json = json(registry, manifest);
    ValidatorSchema::from_json_value(json, Extensions::all_available()).map_err(|error| {
        let flaw = Flaw::whole(format!(
            "the schema of the registry cannot be built: {error}"
        ));
        let help = "bailiwick tool show names the schema; a group of bundle.toml must not be named as a tool";
        PolicyErrors {
            flaws: vec![flaw.help(help)],
        }
    })
}

/// `context.bw` of calls: what Bailiwick knows beside the arguments.
fn facts() -> Value {
    let of_call = record([("effect", string())]);
    let known = circumstances().get("attributes").cloned();
    match known {
        Some(Value::Object(known)) => with(of_call, known),
        _ => of_call,
    }
}

/// `context.bw` of acts; calls have it as well.
fn circumstances() -> Value {
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
