//! Registered agents.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use bailiwick_control::agents::NewAgent;
use bailiwick_control::{Actor, Operation};
use bailiwick_core::Code;
use bailiwick_core::agent::Agent;
use bailiwick_core::name::{AgentName, OwnerName};
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::Draft;
use bailiwick_core::selector::Selector;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Page, Paging};
use crate::app::App;
use crate::http::{At, Body, Query, Refused, guarded};

/// An agent to register.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentBody {
    /// 1 to 63 of a-z 0-9 -.
    #[schema(value_type = String)]
    name: AgentName,
    /// Who answers for it.
    #[schema(value_type = String)]
    owner: OwnerName,
    /// What its processes look like, all of them: `unix:path=`, `unix:sha256=`, `unix:uid=`, `unix:gid=`; or elsewhere `join:agent=`, `oidc:…`, `x509pop:…`.
    #[schema(value_type = Vec<String>)]
    selectors: Vec<Selector>,
    /// The widest scope of its tasks: `{grants, budget?, deadline?, depth?}`.
    #[schema(value_type = Option<Object>)]
    ceiling: Option<Draft>,
    /// Risk its tasks start with at least: low, medium, high, critical.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    base_risk: Risk,
    /// Users that may start it through `bailiwick mcp`.
    #[serde(default)]
    launch_uids: Vec<u32>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Read, routes!(list)))
        .merge(guarded(app, Operation::WriteAgents, routes!(add)))
        .merge(guarded(app, Operation::Read, routes!(show)))
        .merge(guarded(app, Operation::WriteAgents, routes!(enable)))
        .merge(guarded(app, Operation::WriteAgents, routes!(disable)))
}

/// All agents, by name.
#[utoipa::path(get, path = "/v1/agents", operation_id = "agents.list", tag = "agents", params(Paging),
    responses((status = 200, description = "{items: [Agent], next}", body = Object)))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Agent>>, Refused> {
    let page = Page::part(app.control.agents(&actor).await?, &paging, |agent| {
        agent.name.to_string()
    });
    Ok(Json(page))
}

/// Registers an agent.
#[utoipa::path(post, path = "/v1/agents", operation_id = "agents.add", tag = "agents", request_body = AgentBody,
    responses((status = 201, description = "Agent", body = Object)))]
async fn add(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<AgentBody>,
) -> Result<(StatusCode, Json<Agent>), Refused> {
    let ceiling = body.ceiling.ok_or_else(|| {
        Refused::new(
            Code::InvalidInput,
            "an agent needs a ceiling: the widest scope of its tasks",
            "for example {\"grants\": [{\"server\": [\"files\"], \"tool\": [\"*\"], \"effects\": [\"read\"]}]}",
        )
    })?;
    let new = NewAgent {
        name: body.name,
        owner: body.owner,
        selectors: body.selectors,
        ceiling,
        base_risk: body.base_risk,
        launch_uids: body.launch_uids,
    };
    let agent = app.control.register(&actor, new).await?;
    Ok((StatusCode::CREATED, Json(agent)))
}

/// One agent.
#[utoipa::path(get, path = "/v1/agents/{name}", operation_id = "agents.show", tag = "agents",
    params(("name" = String, Path)), responses((status = 200, description = "Agent", body = Object)))]
async fn show(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(name): At<AgentName>,
) -> Result<Json<Agent>, Refused> {
    Ok(Json(app.control.agent(&actor, name).await?))
}

/// Lets an agent attest and get tasks.
#[utoipa::path(post, path = "/v1/agents/{name}/enable", operation_id = "agents.enable", tag = "agents",
    params(("name" = String, Path)), responses((status = 200, description = "Agent", body = Object)))]
async fn enable(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(name): At<AgentName>,
) -> Result<Json<Agent>, Refused> {
    Ok(Json(
        app.control.set_agent_enabled(&actor, name, true).await?,
    ))
}

/// Lets an agent attest to nothing and get no task.
#[utoipa::path(post, path = "/v1/agents/{name}/disable", operation_id = "agents.disable", tag = "agents",
    params(("name" = String, Path)), responses((status = 200, description = "Agent", body = Object)))]
async fn disable(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(name): At<AgentName>,
) -> Result<Json<Agent>, Refused> {
    Ok(Json(
        app.control.set_agent_enabled(&actor, name, false).await?,
    ))
}
