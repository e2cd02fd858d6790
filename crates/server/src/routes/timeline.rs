//! The events of a task's tree with the way of each to the signed root: what the story of a task is told from.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_audit::proof::ProveError;
use bailiwick_audit::timeline::{Answer, Lookup, SentLog, Witnessed, root_of, select};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::Fault;
use bailiwick_core::id::TaskId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::audit::blocking;
use crate::app::App;
use crate::http::{At, Refused, guarded};
use crate::witnesses::{Standing, State as Vouched};

/// Leaves that are read for one answer where the index does not help; the answer says if there are more.
const MAX_READ: u64 = 1_000_000;

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().merge(guarded(app, Operation::Read, routes!(timeline)))
}

/// What happened in a task and everything below it: the leaves, oldest first, and for each the path to the root of the checkpoint, so that
/// whoever asks can check it. At most 10,000 events; `cut` says if there are more, `looked` how far the log was read.
#[utoipa::path(get, path = "/v1/tasks/{id}/timeline", operation_id = "audit.task", tag = "audit", params(("id" = String, Path)),
    responses((status = 200, description = "{root, events: [{origin, index, leaf, path}], logs, cut}", body = Object)))]
async fn timeline(
    State(app): State<Arc<App>>,
    Extension(_reader): Extension<Actor>,
    At(id): At<TaskId>,
) -> Result<Json<Answer>, Refused> {
    let log = Arc::clone(&app.log);
    let sent = SentLog {
        origin: app.log.origin().to_owned(),
        size: app.log.size(),
        looked: 0,
        lookup: Lookup::Scan,
        vkey: Some(app.log.vkey()),
        checkpoint: None,
        witnessed: witnessed(&app.witnesses.standing()),
    };
    let answer = blocking(move || {
        let some = || {
            log.read(0)
                .take(usize::try_from(MAX_READ).unwrap_or(usize::MAX))
        };
        let root = root_of(some(), id)?.unwrap_or(id);
        let found = select(some(), root)?;
        // What was recorded while the log was read is not missing.
        let size = if found.looked < MAX_READ {
            found.looked
        } else {
            sent.size
        };
        let sent = SentLog {
            looked: found.looked,
            size,
            ..sent
        };
        Answer::of(&log.directory(), found, sent)
    });
    let answer = answer
        .await?
        .map_err(|error: ProveError| Refused(error.problem()))?;
    Ok(Json(answer))
}

fn witnessed(standing: &Standing) -> Option<Witnessed> {
    if standing.state == Vouched::None {
        return None;
    }
    let vouch = standing
        .witnesses
        .iter()
        .filter(|witness| witness.at.is_some() && witness.error.is_none());
    Some(Witnessed {
        have: vouch.count() as u64,
        of: standing.witnesses.len() as u64,
        enough: standing.state == Vouched::Witnessed,
        at: standing.at,
    })
}
