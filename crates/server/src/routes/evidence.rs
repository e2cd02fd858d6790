//! Evidence for frameworks, measured on the running node.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_control::evidence::Period;
use bailiwick_control::{Actor, Operation};
use bailiwick_core::{Code, Timestamp};
use bailiwick_posture::evidence::{FrameworkName, Report};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::http::{At, Query, Refused, guarded};

/// The time that is looked at.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Time {
    /// From then on, RFC 3339; missing: from the beginning.
    #[param(value_type = Option<String>)]
    since: Option<Timestamp>,
    /// Before then, RFC 3339; missing: up to now.
    #[param(value_type = Option<String>)]
    until: Option<Timestamp>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().merge(guarded(app, Operation::Read, routes!(evidence)))
}

/// The items of a framework, how far each is covered by what the node measured in a period, and the facts it rests on: what was counted, by
/// which query, with events and rows for and against. A fact that is missing or not measured makes its items *not covered*. At most 1,000,000
/// events are read; `basis.complete` says whether that was all, and if not, nothing is covered.
#[utoipa::path(get, path = "/v1/evidence/{framework}", operation_id = "evidence", tag = "posture", params(("framework" = String, Path, description = "owasp-agentic, owasp-nhi, maestro or nist-ai-rmf"), Time),
    responses((status = 200, description = "{framework, title, version, source, basis, counts, claims: [{number, title, status, cap, facts, because, outside}], facts: [{id, title, says, query, status, because, measured: {good, of, against, examples}}], silent}", body = Object)))]
async fn evidence(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(framework): At<String>,
    Query(time): Query<Time>,
) -> Result<Json<Report>, Refused> {
    let framework: FrameworkName = framework.parse().map_err(|help: String| {
        Refused::new(Code::NotFound, "there are no rows of this framework", help)
    })?;
    let period = Period {
        since: time.since.unwrap_or_default(),
        until: time.until.unwrap_or_else(|| app.clock.wall()),
    };
    let report = app
        .control
        .evidence(&actor, &app.log, framework, period)
        .await?;
    Ok(Json(report))
}
