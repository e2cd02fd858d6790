//! What somebody touched against what they could have reached.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_audit::read::ReadError;
use bailiwick_control::audit::{Fold, Radius, Window};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::{Code, Fault, Timestamp};
use bailiwick_enforce::decider::PERFORMS;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::audit::blocking;
use crate::app::App;
use crate::http::{Body, Refused, guarded};

/// Leaves that are read for one answer; it says if that was not all of them.
const MAX_READ: u64 = 1_000_000;

/// Whose reach is asked for, and when.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RadiusBody {
    /// `task`, `agent`, `instance`, `user` or `lease`.
    kind: String,
    /// Which; a user as `user:<issuer>:<subject>` or by pseudonym.
    id: String,
    /// From then on; the beginning of the record if not given.
    #[schema(value_type = Option<String>)]
    since: Option<Timestamp>,
    /// Until then; now if not given.
    #[schema(value_type = Option<String>)]
    until: Option<Timestamp>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().merge(guarded(app, Operation::Read, routes!(blast_radius)))
}

/// What was touched against what scope, stage and policy of the time allowed: tools touched, allowed and unused, those that need approval or
/// depend on arguments, those tried and refused; leases; a scope cut to what was touched. Answered at once: at most 1,000,000 events are
/// read, and `complete` says whether that was all.
#[utoipa::path(post, path = "/v1/audit/blast-radius", operation_id = "audit.blast_radius", tag = "audit", request_body = RadiusBody,
    responses((status = 200, description = "{kind, id, window, tasks, counts, tools, leases, widest_unused, proposal, notes, complete}", body = Object)))]
async fn blast_radius(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<RadiusBody>,
) -> Result<Json<Radius>, Refused> {
    let window = Window {
        from: body.since.unwrap_or_default(),
        until: body.until.unwrap_or_else(|| app.clock.wall()),
    };
    if window.from >= window.until {
        let message = "the window ends before it begins";
        return Err(Refused::new(
            Code::InvalidInput,
            message,
            "give an earlier `since`",
        ));
    }
    let whose = app.control.whose(&actor, &body.kind, &body.id).await?;
    let log = Arc::clone(&app.log);
    let read = blocking(move || {
        let mut fold = Fold::new(whose, window);
        let size = log.size();
        for entry in log
            .read(0)
            .take(usize::try_from(MAX_READ).unwrap_or(usize::MAX))
        {
            let entry = entry?;
            if fold.wants(&entry.leaf) {
                fold.take(&entry.parse()?);
            }
        }
        Ok::<_, ReadError>((fold, size <= MAX_READ))
    });
    let (fold, read_all) = read.await?.map_err(|error| Refused(error.problem()))?;
    Ok(Json(
        app.control
            .blast_radius(&actor, fold, read_all, PERFORMS)
            .await?,
    ))
}
