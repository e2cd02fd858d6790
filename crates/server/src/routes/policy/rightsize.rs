//! A smaller grant for an agent or a workflow, from what is on record.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_control::policies::{RightSized, RightSizing, Window};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::name::{AgentName, ToolRef, WorkflowName};
use bailiwick_core::{Code, Problem, Timestamp};
use bailiwick_posture::rightsize::{Subject, Terms};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::flawed;
use crate::app::App;
use crate::http::{Body, Detailed, guarded};

/// Most tools that are kept by name.
const MAX_KEEP: usize = 256;

/// Whose authority, and on what record: exactly one of `agent` and `workflow`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RightSizeBody {
    /// One agent's.
    #[schema(value_type = Option<String>)]
    agent: Option<AgentName>,
    /// That of all tasks of one workflow.
    #[schema(value_type = Option<String>)]
    workflow: Option<WorkflowName>,
    /// Recorded not before this instant, RFC 3339; missing: from the beginning.
    #[schema(value_type = Option<String>)]
    since: Option<Timestamp>,
    /// Recorded before this instant, RFC 3339; missing: up to now.
    #[schema(value_type = Option<String>)]
    until: Option<Timestamp>,
    /// Tools that stay in any case, `server/tool`; at most 256.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    keep: Vec<ToolRef>,
    /// So many ended tasks suffice, whatever the effect; missing: 20 to take away an `escalate`, 59 a `write`, 299 a `read`.
    min_tasks: Option<u64>,
    /// Over so many days; missing: 14.
    min_days: Option<u64>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().merge(guarded(app, Operation::WritePolicy, routes!(rightsize)))
}

/// Compares what is granted with what was used, and proposes a policy and a scope without the rest. Every recorded decision is made again
/// under the proposal: `proven` says that none that was allowed or held came out otherwise. That sealed inputs are opened for it is on
/// record first; nothing of them is in the answer, and nothing is published.
#[utoipa::path(post, path = "/v1/rightsize", operation_id = "policy.rightsize", tag = "policy", request_body = RightSizeBody,
    responses((status = 200, description = "{subject, sample, kept, removed, hold_out, base, guard: {path, text}, candidate, scope, proof, proven}", body = Object)))]
async fn rightsize(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<RightSizeBody>,
) -> Result<Json<RightSized>, Detailed> {
    let invalid = |message: &str, help: &str| Problem::new(Code::InvalidInput, message, help);
    let subject = match (body.agent, body.workflow) {
        (Some(agent), None) => Subject::Agent(agent),
        (None, Some(workflow)) => Subject::Workflow(workflow),
        _ => {
            let message = "exactly one of `agent` and `workflow` is sized";
            return Err(invalid(message, "").into());
        }
    };
    if body.keep.len() > MAX_KEEP {
        let message = "more than 256 tools are to be kept";
        return Err(invalid(message, "write a policy by hand").into());
    }
    if let (Some(since), Some(until)) = (body.since, body.until)
        && since >= until
    {
        let message = "the window ends before it begins";
        return Err(invalid(message, "give an earlier `since`").into());
    }
    let mut terms = Terms::USUAL;
    if let Some(tasks) = body.min_tasks {
        terms = terms.after_tasks(tasks);
    }
    if let Some(days) = body.min_days {
        terms = terms.over_days(days);
    }
    let asked = RightSizing {
        subject,
        window: Window {
            since: body.since,
            until: body.until,
        },
        keep: body.keep.into_iter().collect(),
        terms,
    };
    let sized = app.control.right_size(&actor, &app.log, asked).await;
    sized.map(Json).map_err(flawed)
}
