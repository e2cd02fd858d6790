//! OAuth clients that are not ours.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use bailiwick_control::clients::NewClient;
use bailiwick_control::{Actor, Operation};
use bailiwick_core::client::{ClientId, OAuthClient, RedirectUri};
use bailiwick_core::name::{AgentName, ServerName};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Page, Paging};
use crate::app::App;
use crate::http::{At, Body, Query, Refused, guarded};

/// A client to register.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientBody {
    /// Its `client_id`: 1 to 63 of a-z 0-9 -.
    #[schema(value_type = String)]
    id: ClientId,
    /// The agent that it acts as: its owner answers, its ceiling bounds.
    #[schema(value_type = String)]
    agent: AgentName,
    /// Where its users may be sent back to: https, http on loopback (the port of 127.0.0.1 and [::1] is free), or a private scheme with a dot.
    #[schema(value_type = Vec<String>)]
    redirect_uris: Vec<RedirectUri>,
    /// The tool server it wants if its request names no `resource`.
    #[schema(value_type = Option<String>)]
    default_server: Option<ServerName>,
    /// The public keys that it proves itself with (`private_key_jwt`), as a JWKS document: 1 to 8, each with a `kid`, for ES256 or RS256.
    #[schema(value_type = Option<Object>)]
    jwks: Option<serde_json::Value>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Read, routes!(list)))
        .merge(guarded(app, Operation::WriteAgents, routes!(add)))
        .merge(guarded(app, Operation::WriteAgents, routes!(remove)))
}

/// All clients, by id.
#[utoipa::path(get, path = "/v1/clients", operation_id = "clients.list", tag = "clients", params(Paging),
    responses((status = 200, description = "{items: [Client], next}", body = Object)))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<OAuthClient>>, Refused> {
    let clients = app.control.clients(&actor).await?;
    Ok(Json(Page::part(clients, &paging, |client| {
        client.id.to_string()
    })))
}

/// Registers a client.
#[utoipa::path(post, path = "/v1/clients", operation_id = "clients.add", tag = "clients", request_body = ClientBody,
    responses((status = 201, description = "Client", body = Object)))]
async fn add(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<ClientBody>,
) -> Result<(StatusCode, Json<OAuthClient>), Refused> {
    let new = NewClient {
        id: body.id,
        agent: body.agent,
        redirect_uris: body.redirect_uris,
        default_server: body.default_server,
        jwks: body.jwks,
    };
    let client = app.control.add_client(&actor, new).await?;
    Ok((StatusCode::CREATED, Json(client)))
}

/// Removes a client: it gets no code and no token any more.
#[utoipa::path(delete, path = "/v1/clients/{name}", operation_id = "clients.remove", tag = "clients",
    params(("name" = String, Path)), responses((status = 204, description = "it is gone")))]
async fn remove(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(name): At<ClientId>,
) -> Result<StatusCode, Refused> {
    app.control.remove_client(&actor, name).await?;
    Ok(StatusCode::NO_CONTENT)
}
