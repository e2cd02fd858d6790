//! Join tokens.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use bailiwick_control::{Actor, Operation};
use bailiwick_core::id::JoinTokenId;
use bailiwick_core::join_token::JoinToken;
use bailiwick_core::name::AgentName;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Page, Paging};
use crate::app::App;
use crate::http::{At, Body, Query, Refused, guarded};

/// Life of a join token if the request does not say.
const DEFAULT_TTL_S: u64 = 600;

/// A join token to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinTokenBody {
    /// The agent that its bearer becomes an instance of; registered with `join:agent=` and its own name.
    #[schema(value_type = String)]
    agent: AgentName,
    /// Seconds, at most 1 h; 10 min if not given.
    ttl_s: Option<u64>,
}

/// A join token, shown once.
#[derive(Serialize, utoipa::ToSchema)]
pub struct JoinTokenAnswer {
    /// The token.
    token: String,
    /// Its id, by which it can be taken back.
    id: String,
    /// The agent.
    agent: String,
    /// From then on it is worth nothing.
    expires_at: String,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Read, routes!(list)))
        .merge(guarded(app, Operation::WriteAgents, routes!(add)))
        .merge(guarded(app, Operation::WriteAgents, routes!(remove)))
}

/// Join tokens that have not expired, oldest first; used ones tell which instance they made.
#[utoipa::path(get, path = "/v1/join-tokens", operation_id = "join_tokens.list", tag = "agents", params(Paging),
    responses((status = 200, description = "{items: [JoinToken], next}", body = Object)))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<JoinToken>>, Refused> {
    let page = Page::part(app.control.join_tokens(&actor).await?, &paging, |token| {
        token.id.to_string()
    });
    Ok(Json(page))
}

/// Makes a join token for one agent and one use. It is shown in this answer and never again.
#[utoipa::path(post, path = "/v1/join-tokens", operation_id = "join_tokens.add", tag = "agents", request_body = JoinTokenBody,
    responses((status = 201, description = "the token", body = JoinTokenAnswer)))]
async fn add(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<JoinTokenBody>,
) -> Result<(StatusCode, Json<JoinTokenAnswer>), Refused> {
    let life = Duration::from_secs(body.ttl_s.unwrap_or(DEFAULT_TTL_S));
    let (secret, token) = app
        .control
        .make_join_token(&actor, body.agent, life)
        .await?;
    let answer = JoinTokenAnswer {
        token: secret.expose().clone(),
        id: token.id.to_string(),
        agent: token.agent.to_string(),
        expires_at: token.expires_at.to_string(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Takes a join token back. The instance that it made, if it was used, lives on.
#[utoipa::path(delete, path = "/v1/join-tokens/{id}", operation_id = "join_tokens.remove", tag = "agents",
    params(("id" = String, Path)), responses((status = 204, description = "gone")))]
async fn remove(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<JoinTokenId>,
) -> Result<StatusCode, Refused> {
    app.control.remove_join_token(&actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
