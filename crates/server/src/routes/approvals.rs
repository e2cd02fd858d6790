//! Approvals: what waits for people, and their answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_control::approvals::{Answer, More};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::Digest;
use bailiwick_core::approval::{Approval, ApprovalState};
use bailiwick_core::id::{ApprovalId, TaskId};
use bailiwick_store::ApprovalFilter;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Page, limit_of};
use crate::app::App;
use crate::http::input::parse;
use crate::http::{At, Body, Query, Refused, guarded};

/// An approval with exactly what an approver is shown.
#[derive(Debug, Serialize)]
struct ApprovalAnswer {
    approval: Approval,
    shown: serde_json::Value,
    shown_digest: Digest,
}

/// A yes.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveBody {
    /// In the approver's words.
    #[serde(default)]
    reason: String,
    /// `shown_digest` of what the approver saw; the yes counts only if that is still what would run.
    #[schema(value_type = String)]
    shown_digest: Digest,
    /// More calls that the yes is for. Without it, for this one alone.
    #[serde(default)]
    standing: Option<StandingBody>,
}

/// More calls alike in the same task that a yes is for, where policy lets it (`standing_at_most`).
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StandingBody {
    /// How many, 1 to `standing_at_most`.
    calls: u32,
    /// Names of outermost arguments that may be otherwise or missing in them, at most 16; all others are the same.
    #[serde(default)]
    vary: BTreeSet<String>,
}

/// A no.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DenyBody {
    /// In the approver's words.
    reason: String,
    /// `shown_digest` of what the approver saw, if anything.
    #[schema(value_type = Option<String>)]
    shown_digest: Option<Digest>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only those in this state: pending, approved, consumed, denied, expired, void.
    #[param(value_type = Option<String>)]
    state: Option<ApprovalState>,
    /// Only those of this task.
    #[param(value_type = Option<String>)]
    task: Option<TaskId>,
    /// Rows, 1 to 1000; 50 if not given.
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<String>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::ReadApprovals, routes!(list)))
        .merge(guarded(app, Operation::ReadApprovals, routes!(show)))
        .merge(guarded(app, Operation::AnswerApprovals, routes!(approve)))
        .merge(guarded(app, Operation::AnswerApprovals, routes!(deny)))
}

/// Approvals, newest first.
#[utoipa::path(get, path = "/v1/approvals", operation_id = "approvals.list", tag = "approvals", params(Which),
    responses((status = 200, description = "{items: [Approval], next}", body = Object)))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(which): Query<Which>,
) -> Result<Json<Page<Approval>>, Refused> {
    let after = which
        .after
        .map(|after| parse("after", &after))
        .transpose()?;
    let limit = limit_of(which.limit);
    let filter = ApprovalFilter {
        state: which.state,
        task: which.task,
    };
    let approvals = app.control.approvals(&actor, filter, after, limit + 1);
    let page = Page::cut(approvals.await?, limit, |approval| approval.id.to_string());
    Ok(Json(page))
}

/// One approval with everything that would run, and the digest that an answer has to name.
#[utoipa::path(get, path = "/v1/approvals/{id}", operation_id = "approvals.show", tag = "approvals",
    params(("id" = String, Path)),
    responses((status = 200, description = "{approval, shown, shown_digest}", body = Object)))]
async fn show(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<ApprovalId>,
) -> Result<Json<ApprovalAnswer>, Refused> {
    let view = app.control.approval(&actor, id).await?;
    Ok(Json(ApprovalAnswer {
        approval: view.approval,
        shown: view.shown,
        shown_digest: view.shown_digest,
    }))
}

/// Says yes to exactly the call that was shown, and to more alike where policy lets it.
#[utoipa::path(post, path = "/v1/approvals/{id}/approve", operation_id = "approvals.approve", tag = "approvals",
    params(("id" = String, Path)), request_body = ApproveBody,
    responses((status = 200, description = "Approval", body = Object)))]
async fn approve(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<ApprovalId>,
    Body(body): Body<ApproveBody>,
) -> Result<Json<Approval>, Refused> {
    let answer = Answer {
        approve: true,
        reason: body.reason,
        shown_digest: Some(body.shown_digest),
        more: body.standing.map(|standing| More {
            calls: standing.calls,
            vary: standing.vary,
        }),
    };
    Ok(Json(app.control.answer(&actor, id, answer).await?))
}

/// Says no.
#[utoipa::path(post, path = "/v1/approvals/{id}/deny", operation_id = "approvals.deny", tag = "approvals",
    params(("id" = String, Path)), request_body = DenyBody,
    responses((status = 200, description = "Approval", body = Object)))]
async fn deny(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<ApprovalId>,
    Body(body): Body<DenyBody>,
) -> Result<Json<Approval>, Refused> {
    let answer = Answer {
        approve: false,
        reason: body.reason,
        shown_digest: body.shown_digest,
        more: None,
    };
    Ok(Json(app.control.answer(&actor, id, answer).await?))
}
