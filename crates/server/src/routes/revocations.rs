//! Revocations and the fences they set.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use bailiwick_control::{Actor, Operation};
use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::{FenceId, RevocationId};
use bailiwick_store::RevocationRow;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Page, Paging};
use crate::app::App;
use crate::http::{At, Body, Query, Refused, guarded};

/// An order to kill.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevocationBody {
    /// What dies, with everything below it: `kind/id`; kinds are `trust_domain`, owner, agent, user, server, tool, credential, instance,
    /// task, token, key, lease.
    #[schema(value_type = Vec<String>)]
    subjects: Vec<Subject>,
    /// Why; it goes on record.
    reason: String,
    /// Only say what would end.
    #[serde(default)]
    dry_run: bool,
}

/// Why a fence is lifted.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LiftBody {
    /// It goes on record.
    reason: String,
}

/// What a revocation did, or would do.
#[derive(Debug, Serialize)]
struct RevocationAnswer {
    id: Option<RevocationId>,
    fences: Vec<Fence>,
    seq: u64,
    cut: CutAnswer,
}

#[derive(Debug, Serialize)]
struct CutAnswer {
    tasks: u64,
    approvals: u64,
    instances: u64,
    leases: u64,
    streams: u64,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Revoke, routes!(revoke)))
        .merge(guarded(app, Operation::Read, routes!(show)))
        .merge(guarded(app, Operation::Read, routes!(fences)))
        .merge(guarded(app, Operation::LiftFences, routes!(lift)))
}

/// Revokes subjects and everything below them.
#[utoipa::path(post, path = "/v1/revocations", operation_id = "revocations.revoke", tag = "revocations",
    request_body = RevocationBody,
    responses((status = 201, description = "{id, fences, seq, cut}", body = Object),
              (status = 200, description = "the same for a dry run, with id null", body = Object)))]
async fn revoke(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<RevocationBody>,
) -> Result<(StatusCode, Json<RevocationAnswer>), Refused> {
    let dry_run = body.dry_run;
    let report = app
        .control
        .revoke(&actor, body.subjects, body.reason, dry_run)
        .await?;
    let answer = RevocationAnswer {
        id: report.id,
        fences: report.fences,
        seq: report.seq,
        cut: CutAnswer {
            tasks: report.cut.tasks,
            approvals: report.cut.approvals,
            instances: report.cut.instances,
            leases: report.cut.leases,
            streams: report.cut.streams,
        },
    };
    let status = if dry_run {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok((status, Json(answer)))
}

/// One revocation.
#[utoipa::path(get, path = "/v1/revocations/{id}", operation_id = "revocations.show", tag = "revocations",
    params(("id" = String, Path)), responses((status = 200, description = "Revocation", body = Object)))]
async fn show(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<RevocationId>,
) -> Result<Json<RevocationRow>, Refused> {
    Ok(Json(app.control.revocation(&actor, id).await?))
}

/// All fences, lifted ones too, in the order they were set.
#[utoipa::path(get, path = "/v1/fences", operation_id = "fences.list", tag = "revocations", params(Paging),
    responses((status = 200, description = "{items: [Fence], next}", body = Object)))]
async fn fences(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Fence>>, Refused> {
    let page = Page::part(app.control.fences(&actor).await?, &paging, |fence| {
        fence.id.to_string()
    });
    Ok(Json(page))
}

/// Lifts a fence. What it killed stays dead; what is born later lives.
#[utoipa::path(post, path = "/v1/fences/{id}/lift", operation_id = "fences.lift", tag = "revocations",
    params(("id" = String, Path)), request_body = LiftBody,
    responses((status = 200, description = "Fence", body = Object)))]
async fn lift(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<FenceId>,
    Body(body): Body<LiftBody>,
) -> Result<Json<Fence>, Refused> {
    Ok(Json(app.control.lift(&actor, id, body.reason).await?))
}
