//! The peer: the same question to `cedar_policy`, asked in the quickest way its API has: entities, ids and schema ahead; per
//! call the arguments from JSON, the context from values, the request validated against the schema, the authorizer. The
//! demo's one soft policy, which Cedar takes for a plain permit, does not reach the call.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use bailiwick_policy::Bundle;
use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityId, EntityTypeName, EntityUid, PolicySet,
    Request, RestrictedExpression as Expression, Schema,
};
use serde_json::{Value, json};

use crate::world::{Caller, World};

pub(crate) struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    schema: Schema,
    action: EntityUid,
    resource: EntityUid,
}

impl Cedar {
    pub(crate) fn new(world: &World) -> Result<Self> {
        let text: String = world
            .source
            .files
            .iter()
            .filter(|(path, _)| path.strip_suffix(".cedar").is_some())
            .map(|(_, text)| text.as_str())
            .collect();
        let schema = Schema::from_json_value(Bundle::schema_json(&world.registry, &world.source))?;
        Ok(Self {
            authorizer: Authorizer::new(),
            policies: text.parse()?,
            entities: Entities::from_json_value(entities(world), Some(&schema))?,
            action: uid("Action", &world.tool.tool.to_string())?,
            resource: uid("Server", world.server.name.as_str())?,
            schema,
        })
    }

    /// Whether it allows the call.
    pub(crate) fn allows(&self, world: &World, caller: &Caller, arguments: &str) -> Result<bool> {
        let agent = uid("Agent", caller.agent.name.as_str())?;
        let context = Context::from_pairs([
            ("input".to_owned(), input(arguments)?),
            ("bw".to_owned(), facts(world, caller, &agent)?),
        ])?;
        let request = Request::new(
            agent,
            self.action.clone(),
            self.resource.clone(),
            context,
            Some(&self.schema),
        )?;
        let response = self
            .authorizer
            .is_authorized(&request, &self.policies, &self.entities);
        if let Some(error) = response.diagnostics().errors().next() {
            bail!("{error}");
        }
        Ok(response.decision() == Decision::Allow)
    }
}

fn facts(world: &World, caller: &Caller, agent: &EntityUid) -> Result<Expression> {
    let task = &caller.task;
    let seconds = world.now.as_secs();
    let task = record([
        ("id", text(&task.id.to_string())),
        ("workflow", text(task.workflow.as_str())),
        ("stage", text(task.stage.as_str())),
        ("risk", Expression::new_long(task.risk.as_long())),
        ("labels", Expression::new_set([])),
        ("age_s", Expression::new_long(0)),
        ("calls", Expression::new_long(0)),
        ("writes", Expression::new_long(0)),
        ("escalations", Expression::new_long(0)),
        ("requested_by", text("user")),
    ])?;
    let now = record([
        ("epoch_s", Expression::new_long(seconds)),
        (
            "hour",
            Expression::new_long(seconds.rem_euclid(86_400) / 3_600),
        ),
        ("weekday", Expression::new_long(2)),
    ])?;
    let user = uid("User", caller.chain.user.as_str())?;
    let agent = Expression::new_entity_uid(agent.clone());
    record([
        ("user", Expression::new_entity_uid(user)),
        ("chain", Expression::new_set([agent])),
        ("depth", Expression::new_long(0)),
        ("effect", text(world.tool.effect.as_str())),
        ("task", task),
        ("now", now),
    ])
}

/// The arguments, all of which are strings.
fn input(arguments: &str) -> Result<Expression> {
    let arguments: BTreeMap<String, String> = serde_json::from_str(arguments)?;
    let members = arguments
        .into_iter()
        .map(|(key, value)| (key, Expression::new_string(value)));
    Ok(Expression::new_record(members)?)
}

fn record<const N: usize>(members: [(&str, Expression); N]) -> Result<Expression> {
    let members = members.map(|(key, value)| (key.to_owned(), value));
    Ok(Expression::new_record(members)?)
}

fn text(value: &str) -> Expression {
    Expression::new_string(value.to_owned())
}

fn uid(kind: &str, id: &str) -> Result<EntityUid> {
    let kind: EntityTypeName = format!("Bailiwick::{kind}")
        .parse()
        .context("an entity type")?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

fn entities(world: &World) -> Value {
    let entity = |kind: &str, id: &str| json!({"type": format!("Bailiwick::{kind}"), "id": id});
    let agents = world.registry.agents.iter().map(|agent| {
        json!({
            "uid": entity("Agent", agent.name.as_str()),
            "attrs": {"owner": entity("Owner", agent.owner.as_str()), "base_risk": agent.base_risk.as_long(), "autonomous": false},
            "parents": [],
        })
    });
    let servers = world.registry.servers.iter().map(|server| {
        json!({
            "uid": entity("Server", server.name.as_str()),
            "attrs": {"trust": server.trust.as_str()},
            "parents": [],
        })
    });
    agents.chain(servers).collect()
}
