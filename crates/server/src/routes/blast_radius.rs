//! What somebody touched against what they could have reached.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_audit::read::ReadError;
use bailiwick_control::audit::{Fold, Radius, Window};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::{Code, Fault, Timestamp};
use bailiwick_enforce::decider::PERFORMS;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::audit::blocking;
use crate::app::App;
use crate::http::{Body, Refused, guarded};
use crate::indexer::Behind;

/// Events of one kind that are looked at for one answer; it says if that was not all of them.
const MAX_EVENTS: usize = 1_000_000;

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
    /// Wait until everything on record now is in the index, at most a minute.
    #[serde(default)]
    wait: bool,
}

/// The answer, and how far the index was if events may be missing for that.
#[derive(Debug, Serialize)]
struct RadiusAnswer {
    #[serde(flatten)]
    radius: Radius,
    #[serde(skip_serializing_if = "Option::is_none")]
    index_behind: Option<Behind>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().merge(guarded(app, Operation::Read, routes!(blast_radius)))
}

/// What was touched against what scope, stage and policy of the time allowed: tools touched, allowed and unused, those that need approval or
/// depend on arguments, those tried and refused; leases; a scope cut to what was touched. The index says where the events are; what it does not
/// know is read, at most 1,000,000 events. `complete` says whether that was all, `index_behind` if not.
#[utoipa::path(post, path = "/v1/audit/blast-radius", operation_id = "audit.blast_radius", tag = "audit", request_body = RadiusBody,
    responses((status = 200, description = "{kind, id, window, tasks, counts, tools, leases, widest_unused, proposal, notes, complete, index_behind?: {indexed, size}}", body = Object)))]
async fn blast_radius(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<RadiusBody>,
) -> Result<Json<RadiusAnswer>, Refused> {
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
    if body.wait {
        app.index.caught_up().await;
    }
    let mut fold = Fold::new(whose, window);
    let questions = fold.questions().map_err(|error| Refused(error.problem()))?;
    let (log, index) = (Arc::clone(&app.log), Arc::clone(&app.index));
    let read = blocking(move || {
        let size = log.size();
        let places = index.any_of(&questions, MAX_EVENTS)?;
        for entry in log.directory().pick(places.iter()) {
            let entry = entry?;
            if fold.wants(&entry.leaf) {
                fold.take(&entry.parse()?);
            }
        }
        let behind = (places.unread > 0).then(|| Behind {
            indexed: size.saturating_sub(places.unknown()),
            size,
        });
        Ok::<_, ReadError>((fold, behind, places.cut))
    });
    let (fold, index_behind, cut) = read.await?.map_err(|error| Refused(error.problem()))?;
    let read_all = index_behind.is_none() && !cut;
    let radius = app
        .control
        .blast_radius(&actor, fold, read_all, PERFORMS)
        .await?;
    Ok(Json(RadiusAnswer {
        radius,
        index_behind,
    }))
}
