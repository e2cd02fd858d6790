//! The events of a task's tree with the way of each to the signed root: what the story of a task is told from.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_audit::proof::ProveError;
use bailiwick_audit::timeline::{Answer, Lookup, SentLog, Witnessed};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::Fault;
use bailiwick_core::id::TaskId;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::audit::blocking;
use crate::app::App;
use crate::http::{At, Query, Refused, guarded};
use crate::witnesses::{Standing, State as Vouched};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wait {
    /// Wait until everything on record now is in the index, at most a minute.
    #[serde(default)]
    wait: bool,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().merge(guarded(app, Operation::Read, routes!(timeline)))
}

/// What happened in a task and everything below it: the leaves, oldest first, and for each the path to the root of the checkpoint, so that
/// whoever asks can check it. The index says where the leaves are; what it does not know is read, at most 1,000,000 events, and `looked` below
/// `size` says that this was not enough. At most 10,000 events; `cut` says if there are more.
#[utoipa::path(get, path = "/v1/tasks/{id}/timeline", operation_id = "audit.task", tag = "audit", params(("id" = String, Path), Wait),
    responses((status = 200, description = "{root, events: [{origin, index, leaf, path}], logs: [{origin, size, looked, lookup, …}], cut}", body = Object)))]
async fn timeline(
    State(app): State<Arc<App>>,
    Extension(_reader): Extension<Actor>,
    At(id): At<TaskId>,
    Query(Wait { wait }): Query<Wait>,
) -> Result<Json<Answer>, Refused> {
    if wait {
        app.index.caught_up().await;
    }
    let (log, index) = (Arc::clone(&app.log), Arc::clone(&app.index));
    let (vkey, witnessed) = (app.log.vkey(), witnessed(&app.witnesses.standing()));
    let answer = blocking(move || {
        let (found, size, indexed) = index.trace(id)?;
        let sent = SentLog {
            origin: log.origin().to_owned(),
            size,
            looked: found.looked,
            lookup: if indexed { Lookup::Index } else { Lookup::Scan },
            vkey: Some(vkey),
            checkpoint: None,
            witnessed,
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
