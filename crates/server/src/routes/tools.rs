//! Tools and their review.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::binding::Binding;
use bailiwick_core::definition::Tool;
use bailiwick_core::name::{ServerName, ToolName, ToolRef};
use bailiwick_core::{Digest, Effect};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{OfServer, Page};
use crate::app::App;
use crate::http::{At, Body, Query, Refused, guarded};

/// What is accepted.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptBody {
    /// What a call does: read, write or escalate; as it was if not given.
    #[schema(value_type = Option<String>)]
    effect: Option<Effect>,
    /// Digest of the definition that was reviewed; refused if the server shows another by now.
    #[schema(value_type = Option<String>)]
    digest: Option<Digest>,
}

/// What a call does.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EffectBody {
    /// read, write or escalate.
    #[schema(value_type = String)]
    effect: Effect,
}

/// What is known of a tool's arguments and answers.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BindingBody {
    /// See docs/reference/bindings.md; empty to know nothing.
    #[schema(value_type = Object)]
    binding: Binding,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Read, routes!(list)))
        .merge(guarded(app, Operation::Read, routes!(show)))
        .merge(guarded(app, Operation::WriteServers, routes!(accept)))
        .merge(guarded(app, Operation::WriteServers, routes!(reject)))
        .merge(guarded(app, Operation::WriteServers, routes!(effect)))
        .merge(guarded(app, Operation::WriteServers, routes!(bind)))
}

/// Tools with their review state, by name.
#[utoipa::path(get, path = "/v1/tools", operation_id = "tools.list", tag = "tools", params(OfServer),
    responses((status = 200, description = "{items: [Tool], next}", body = Object)))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(of): Query<OfServer>,
) -> Result<Json<Page<Tool>>, Refused> {
    let (server, paging) = of.parts();
    let tools = app.control.tools(&actor, server).await?;
    let page = Page::part(tools, &paging, |tool| tool.tool.to_string());
    Ok(Json(page))
}

/// One tool.
#[utoipa::path(get, path = "/v1/tools/{server}/{tool}", operation_id = "tools.show", tag = "tools",
    params(("server" = String, Path), ("tool" = String, Path)),
    responses((status = 200, description = "Tool", body = Object)))]
async fn show(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At((server, tool)): At<(ServerName, ToolName)>,
) -> Result<Json<Tool>, Refused> {
    Ok(Json(
        app.control.tool(&actor, ToolRef { server, tool }).await?,
    ))
}

/// Approves the definition last seen: from now on the tool is listed and callable.
#[utoipa::path(post, path = "/v1/tools/{server}/{tool}/accept", operation_id = "tools.accept", tag = "tools",
    params(("server" = String, Path), ("tool" = String, Path)), request_body = AcceptBody,
    responses((status = 200, description = "Tool", body = Object)))]
async fn accept(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At((server, tool)): At<(ServerName, ToolName)>,
    Body(body): Body<AcceptBody>,
) -> Result<Json<Tool>, Refused> {
    let accepted =
        app.control
            .accept_tool(&actor, ToolRef { server, tool }, body.effect, body.digest);
    Ok(Json(accepted.await?))
}

/// Refuses a tool; calls to it that run are cut.
#[utoipa::path(post, path = "/v1/tools/{server}/{tool}/reject", operation_id = "tools.reject", tag = "tools",
    params(("server" = String, Path), ("tool" = String, Path)),
    responses((status = 200, description = "Tool", body = Object)))]
async fn reject(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At((server, tool)): At<(ServerName, ToolName)>,
) -> Result<Json<Tool>, Refused> {
    let rejected = app.control.reject_tool(&actor, ToolRef { server, tool });
    Ok(Json(rejected.await?))
}

/// Says what a call of the tool does.
#[utoipa::path(post, path = "/v1/tools/{server}/{tool}/effect", operation_id = "tools.effect", tag = "tools",
    params(("server" = String, Path), ("tool" = String, Path)), request_body = EffectBody,
    responses((status = 200, description = "Tool", body = Object)))]
async fn effect(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At((server, tool)): At<(ServerName, ToolName)>,
    Body(body): Body<EffectBody>,
) -> Result<Json<Tool>, Refused> {
    let changed = app
        .control
        .set_effect(&actor, ToolRef { server, tool }, body.effect);
    Ok(Json(changed.await?))
}

/// Says what is known of the tool's arguments and answers.
#[utoipa::path(put, path = "/v1/tools/{server}/{tool}/binding", operation_id = "tools.bind", tag = "tools",
    params(("server" = String, Path), ("tool" = String, Path)), request_body = BindingBody,
    responses((status = 200, description = "Tool", body = Object)))]
async fn bind(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At((server, tool)): At<(ServerName, ToolName)>,
    Body(body): Body<BindingBody>,
) -> Result<Json<Tool>, Refused> {
    let bound = app
        .control
        .bind_tool(&actor, ToolRef { server, tool }, body.binding);
    Ok(Json(bound.await?))
}
