//! Backends of leases: how they stand, and how what they have compares with what we know.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_broker::{Differences, Standing};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::name::BackendName;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Page, Paging};
use crate::app::App;
use crate::http::{At, Query, Refused, guarded};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct How {
    /// Only tells what differs.
    #[serde(default)]
    dry_run: bool,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    guarded(app, Operation::Read, routes!(list))
        .merge(guarded(app, Operation::Revoke, routes!(probe)))
        .merge(guarded(app, Operation::Revoke, routes!(reconcile)))
        .merge(guarded(app, Operation::WriteSecrets, routes!(adopt)))
}

/// Backends, by name.
#[utoipa::path(get, path = "/v1/backends", operation_id = "backends.list", tag = "leases", params(Paging),
    responses((status = 200, description = "{items: [{name, kind, class, version, skew_ms, healthy, read_only, reconciled_at, last_error}], next}", body = Object)))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Standing>>, Refused> {
    let items = app.control.backends(&actor)?;
    let page = Page::part(items, &paging, |standing: &Standing| {
        standing.name.to_string()
    });
    Ok(Json(page))
}

/// Asks a backend how it stands.
#[utoipa::path(post, path = "/v1/backends/{name}/probe", operation_id = "backends.probe", tag = "leases",
    params(("name" = String, Path)), responses((status = 200, description = "how it stands; `last_error` if it did not answer", body = Object)))]
async fn probe(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(name): At<BackendName>,
) -> Result<Json<Standing>, Refused> {
    Ok(Json(app.control.probe_backend(&actor, &name).await?))
}

/// Compares a backend's accounts with the leases, and mends what differs.
#[utoipa::path(post, path = "/v1/backends/{name}/reconcile", operation_id = "backends.reconcile", tag = "leases",
    params(("name" = String, Path), How), responses((status = 200, description = "{orphans, lost, strays, read_only}", body = Object)))]
async fn reconcile(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(name): At<BackendName>,
    Query(how): Query<How>,
) -> Result<Json<Differences>, Refused> {
    let found = app.control.reconcile_backend(&actor, &name, how.dry_run);
    Ok(Json(found.await?))
}

/// Takes this node's data for the right ones, though a backend has seen newer ones.
#[utoipa::path(post, path = "/v1/backends/{name}/adopt", operation_id = "backends.adopt", tag = "leases",
    params(("name" = String, Path)), responses((status = 200, description = "what was mended: {orphans, lost, strays, read_only}", body = Object)))]
async fn adopt(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(name): At<BackendName>,
) -> Result<Json<Differences>, Refused> {
    Ok(Json(app.control.adopt_backend(&actor, &name).await?))
}
