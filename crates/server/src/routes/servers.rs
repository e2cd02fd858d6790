//! Registered tool servers.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use bailiwick_control::servers::NewServer;
use bailiwick_control::tools::Seen;
use bailiwick_control::{Actor, Operation};
use bailiwick_core::definition::Tool;
use bailiwick_core::label::Labels;
use bailiwick_core::name::{CredentialName, ServerName};
use bailiwick_core::server::{Server, Transport, Trust};
use bailiwick_core::{Code, Problem};
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Page, Paging};
use crate::app::App;
use crate::http::{At, Body, Query, Refused, guarded};

/// A server to register.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerBody {
    /// 1 to 32 of a-z 0-9 -; a path segment of its gateway URL.
    #[schema(value_type = String)]
    name: ServerName,
    /// `{kind: "http", url}` or `{kind: "stdio", command, env, pass_env}`.
    #[schema(value_type = Object)]
    transport: TransportBody,
    /// How far its words are trusted: first_party, reviewed, unreviewed.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    trust: Trust,
    /// The credential injected into its calls.
    #[schema(value_type = Option<String>)]
    credential: Option<CredentialName>,
    /// Labels of every answer; `untrusted` if not given, none only where outsiders can write nothing.
    #[serde(default = "Labels::untrusted")]
    #[schema(value_type = Option<Vec<String>>)]
    labels: Labels,
}

/// Labels of every answer.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelsBody {
    /// Each 1 to 32 of a-z 0-9 -.
    #[schema(value_type = Vec<String>)]
    labels: Labels,
}

/// Where a server is; env and `pass_env` may be left out.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum TransportBody {
    Http {
        url: String,
    },
    Stdio {
        command: Vec<String>,
        #[serde(default)]
        env: std::collections::BTreeMap<String, String>,
        #[serde(default)]
        pass_env: Vec<String>,
    },
}

/// A server with the tools it showed.
#[derive(Debug, Serialize)]
struct ServerAnswer {
    server: Server,
    tools: Vec<Tool>,
    /// Why its tools could not be read; none if they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Read, routes!(list)))
        .merge(guarded(app, Operation::WriteServers, routes!(add)))
        .merge(guarded(app, Operation::Read, routes!(show)))
        .merge(guarded(app, Operation::WriteServers, routes!(remove)))
        .merge(guarded(app, Operation::WriteServers, routes!(refresh)))
        .merge(guarded(app, Operation::WriteServers, routes!(labels)))
}

/// All servers, by name.
#[utoipa::path(get, path = "/v1/servers", operation_id = "servers.list", tag = "servers", params(Paging),
    responses((status = 200, description = "{items: [Server], next}", body = Object)))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Server>>, Refused> {
    let page = Page::part(app.control.servers(&actor).await?, &paging, |server| {
        server.name.to_string()
    });
    Ok(Json(page))
}

/// Registers a server, connects to it once and takes note of its tools; they wait for review. A server that cannot be reached is
/// registered all the same, and the answer says why its tools are not known.
#[utoipa::path(post, path = "/v1/servers", operation_id = "servers.add", tag = "servers", request_body = ServerBody,
    responses((status = 201, description = "{server, tools, problem?}", body = Object)))]
async fn add(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<ServerBody>,
) -> Result<(StatusCode, Json<ServerAnswer>), Refused> {
    if app.gateway.is_connector(&body.name) {
        let message = format!("{} is the name of a connector", body.name);
        let help = "take another name: scopes and policies tell them apart by it";
        return Err(Problem::new(Code::AlreadyExists, message, help).into());
    }
    let transport = match body.transport {
        TransportBody::Http { url } => Transport::Http { url },
        TransportBody::Stdio {
            command,
            env,
            pass_env,
        } => Transport::Stdio {
            command,
            env,
            pass_env,
        },
    };
    let new = NewServer {
        name: body.name,
        transport,
        trust: body.trust,
        credential: body.credential,
        labels: body.labels,
    };
    let server = app.control.add_server(&actor, new).await?;
    let problem = discover(&app, &server).await.err();
    let tools = app.control.tools(&actor, Some(server.name.clone())).await?;
    let answer = ServerAnswer {
        server,
        tools,
        problem,
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// One server.
#[utoipa::path(get, path = "/v1/servers/{name}", operation_id = "servers.show", tag = "servers",
    params(("name" = String, Path)), responses((status = 200, description = "Server", body = Object)))]
async fn show(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(name): At<ServerName>,
) -> Result<Json<Server>, Refused> {
    Ok(Json(app.control.server(&actor, name).await?))
}

/// Removes a server with its tools; calls that run are cut.
#[utoipa::path(delete, path = "/v1/servers/{name}", operation_id = "servers.remove", tag = "servers",
    params(("name" = String, Path)), responses((status = 204, description = "removed")))]
async fn remove(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(name): At<ServerName>,
) -> Result<StatusCode, Refused> {
    app.control.remove_server(&actor, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Connects to a server and takes note of the tools it shows now.
#[utoipa::path(post, path = "/v1/servers/{name}/refresh", operation_id = "servers.refresh", tag = "servers",
    params(("name" = String, Path)), responses((status = 200, description = "{server, tools}", body = Object)))]
async fn refresh(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(name): At<ServerName>,
) -> Result<Json<ServerAnswer>, Refused> {
    let server = app.control.server(&actor, name).await?;
    discover(&app, &server).await?;
    let tools = app.control.tools(&actor, Some(server.name.clone())).await?;
    Ok(Json(ServerAnswer {
        server,
        tools,
        problem: None,
    }))
}

/// Says which labels every answer of a server carries from now on. What was labelled stays so.
#[utoipa::path(put, path = "/v1/servers/{name}/labels", operation_id = "servers.labels", tag = "servers",
    params(("name" = String, Path)), request_body = LabelsBody, responses((status = 200, description = "Server", body = Object)))]
async fn labels(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(name): At<ServerName>,
    Body(body): Body<LabelsBody>,
) -> Result<Json<Server>, Refused> {
    let server = app.control.label_server(&actor, name, body.labels).await?;
    Ok(Json(server))
}

async fn discover(app: &App, server: &Server) -> Result<(), Problem> {
    let shown = app.discovery.tools(server).await?;
    let seen = shown.into_iter().map(|tool| Seen {
        name: tool.name,
        digest: tool.digest,
        definition: tool.definition,
    });
    app.control.seen(server.name.clone(), seen.collect()).await
}
