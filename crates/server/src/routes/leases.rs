//! Leases; never their values.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::id::TaskId;
use bailiwick_core::lease::{Lease, LeaseState};
use bailiwick_core::name::CredentialName;
use bailiwick_store::LeaseFilter;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Page, limit_of};
use crate::app::App;
use crate::http::input::parse;
use crate::http::{Query, Refused, guarded};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only those of this task.
    #[param(value_type = Option<String>)]
    task: Option<TaskId>,
    /// Only those in this state: INTENT, ACTIVE, REVOKING, TOMBSTONE.
    #[param(value_type = Option<String>)]
    state: Option<LeaseState>,
    /// Only those made from this credential.
    #[param(value_type = Option<String>)]
    credential: Option<CredentialName>,
    /// Rows, 1 to 1000; 50 if not given.
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<String>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    guarded(app, Operation::Read, routes!(list))
}

/// Leases, newest first.
#[utoipa::path(get, path = "/v1/leases", operation_id = "leases.list", tag = "leases", params(Which),
    responses((status = 200, description = "{items: [Lease], next}", body = Object)))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(which): Query<Which>,
) -> Result<Json<Page<Lease>>, Refused> {
    let after = which
        .after
        .map(|after| parse("after", &after))
        .transpose()?;
    let limit = limit_of(which.limit);
    let filter = LeaseFilter {
        task: which.task,
        state: which.state,
        credential: which.credential,
    };
    let leases = app.control.leases(&actor, filter, after, limit + 1).await?;
    Ok(Json(Page::cut(leases, limit, |lease| lease.id.to_string())))
}
