//! Enforcement points in other processes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use bailiwick_control::points::Standing;
use bailiwick_control::{Actor, Operation};
use bailiwick_core::name::PointName;
use bailiwick_core::point::Registration;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Page, Paging};
use crate::app::App;
use crate::http::{At, Body, Query, Refused, guarded};

/// A point to add.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PointBody {
    /// Its name: 1 to 63 of a-z 0-9 -.
    #[schema(value_type = String)]
    name: PointName,
}

/// What a point follows the feed with. The token is shown once.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PointAnswer {
    /// Its name.
    name: String,
    /// The node's URL.
    url: String,
    /// Its token.
    token: String,
    /// Public keys that heads are signed with: base64url of Ed25519 keys.
    head_keys: Vec<String>,
}

/// A point and where it stands.
#[derive(Debug, Serialize)]
struct PointRow {
    #[serde(flatten)]
    point: Registration,
    /// Whether it can hold a lease now.
    open: bool,
    /// The newest change that it said it has applied.
    applied: Option<u64>,
    /// Changes that it is behind.
    behind: Option<u64>,
    /// Milliseconds since it was heard.
    heard_ms: Option<u64>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Read, routes!(list)))
        .merge(guarded(app, Operation::WritePoints, routes!(add)))
        .merge(guarded(app, Operation::WritePoints, routes!(remove)))
}

/// Enforcement points in other processes, and where each stands.
#[utoipa::path(get, path = "/v1/points", operation_id = "points.list", tag = "revocations", params(Paging),
    responses((status = 200, description = "{items: [Point], next}", body = Object)))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<PointRow>>, Refused> {
    let points = app.control.points(&actor).await?;
    let head = app.store.head();
    let row = |(point, standing): (Registration, Standing)| PointRow {
        point,
        open: standing.open,
        applied: standing.applied,
        behind: standing.applied.map(|applied| head.saturating_sub(applied)),
        heard_ms: standing
            .heard
            .map(|heard| u64::try_from(heard.as_millis()).unwrap_or(u64::MAX)),
    };
    let rows = points.into_iter().map(row).collect();
    let page = Page::part(rows, &paging, |row: &PointRow| row.point.name.to_string());
    Ok(Json(page))
}

/// Adds a point. The answer is what it follows the feed with; the token in it is never shown again.
#[utoipa::path(post, path = "/v1/points", operation_id = "points.add", tag = "revocations", request_body = PointBody,
    responses((status = 201, description = "what it follows the feed with", body = PointAnswer)))]
async fn add(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<PointBody>,
) -> Result<(StatusCode, Json<PointAnswer>), Refused> {
    let (token, point) = app.control.add_point(&actor, body.name).await?;
    let answer = PointAnswer {
        name: point.name.to_string(),
        url: app.console_url.clone(),
        token: token.expose().clone(),
        head_keys: app.control.head_keys(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Removes a point: its token is refused at once, and the answer comes when its lease has run out, 2.25 s at most.
#[utoipa::path(delete, path = "/v1/points/{name}", operation_id = "points.remove", tag = "revocations",
    params(("name" = String, Path)), responses((status = 204, description = "gone")))]
async fn remove(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(name): At<PointName>,
) -> Result<StatusCode, Refused> {
    app.control.remove_point(&actor, name).await?;
    Ok(StatusCode::NO_CONTENT)
}
