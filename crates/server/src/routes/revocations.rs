//! Revocations and the fences they set.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use bailiwick_control::revocation::{Branch, Cut, RevocationReport, Subtree, Wait};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::{FenceId, InstanceId, LeaseId, RevocationId, TaskId};
use bailiwick_core::name::AgentName;
use bailiwick_core::receipt::Point;
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
    /// What to wait for: `none`, `all` (every enforcement point closed) or `dead` (and each lease verified dead, 60 s at most).
    #[serde(default)]
    #[schema(value_type = String)]
    wait: Waited,
}

/// What an order waits for.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Waited {
    None,
    #[default]
    All,
    Dead,
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
    /// Leases that may still live where they were issued.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pending: Vec<LeaseId>,
    /// The enforcement points, each closed to the subjects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    points: Vec<Point>,
    /// Open tasks below the subjects, for a dry run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subtree: Vec<BranchAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
}

#[derive(Debug, Serialize)]
struct CutAnswer {
    tasks: u64,
    approvals: u64,
    instances: u64,
    leases: u64,
    streams: u64,
}

#[derive(Debug, Serialize)]
struct BranchAnswer {
    task: TaskId,
    depth: usize,
    agent: AgentName,
    instance: Option<InstanceId>,
    approvals: u64,
    leases: Vec<LeaseId>,
}

/// A signed receipt.
#[derive(Debug, Serialize)]
struct ReceiptAnswer {
    receipt: String,
}

impl From<Cut> for CutAnswer {
    fn from(cut: Cut) -> Self {
        Self {
            tasks: cut.tasks,
            approvals: cut.approvals,
            instances: cut.instances,
            leases: cut.leases,
            streams: cut.streams,
        }
    }
}

impl From<Subtree> for RevocationAnswer {
    fn from(subtree: Subtree) -> Self {
        let branch = |branch: Branch| BranchAnswer {
            task: branch.task,
            depth: branch.depth,
            agent: branch.agent,
            instance: branch.instance,
            approvals: branch.approvals,
            leases: branch.leases,
        };
        Self {
            id: None,
            fences: Vec::new(),
            seq: 0,
            cut: subtree.cut.into(),
            pending: Vec::new(),
            points: Vec::new(),
            subtree: subtree.tasks.into_iter().map(branch).collect(),
            receipt: None,
        }
    }
}

impl From<RevocationReport> for RevocationAnswer {
    fn from(report: RevocationReport) -> Self {
        Self {
            id: Some(report.id),
            fences: report.fences,
            seq: report.seq,
            cut: report.cut.into(),
            pending: report.pending,
            points: report.points,
            subtree: Vec::new(),
            receipt: report.receipt,
        }
    }
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Revoke, routes!(revoke)))
        .merge(guarded(app, Operation::Read, routes!(show)))
        .merge(guarded(app, Operation::Read, routes!(receipt)))
        .merge(guarded(app, Operation::Read, routes!(fences)))
        .merge(guarded(app, Operation::LiftFences, routes!(lift)))
}

/// Revokes subjects and everything below them.
#[utoipa::path(post, path = "/v1/revocations", operation_id = "revocations.revoke", tag = "revocations",
    request_body = RevocationBody,
    responses((status = 201, description = "{id, fences, seq, cut, pending, points, receipt}; no receipt while the audit log is down", body = Object),
              (status = 200, description = "{cut, subtree} for a dry run, with id null", body = Object)))]
async fn revoke(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<RevocationBody>,
) -> Result<(StatusCode, Json<RevocationAnswer>), Refused> {
    if body.dry_run {
        let subtree = app
            .control
            .revocation_preview(&actor, body.subjects)
            .await?;
        return Ok((StatusCode::OK, Json(subtree.into())));
    }
    let wait = match body.wait {
        Waited::None => Wait::None,
        Waited::All => Wait::All,
        Waited::Dead => Wait::Dead,
    };
    let report = app
        .control
        .revoke(&actor, body.subjects, body.reason, wait)
        .await?;
    Ok((StatusCode::CREATED, Json(report.into())))
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

/// The signed receipt of a revocation: a JWS of type `revocation-receipt+jwt`, which the keys at `/oauth/receipt-jwks` verify.
#[utoipa::path(get, path = "/v1/revocations/{id}/receipt", operation_id = "revocations.receipt", tag = "revocations",
    params(("id" = String, Path)),
    responses((status = 200, description = "{receipt}", body = Object),
              (status = 409, description = "none yet: points are being closed, or its event is not on record", body = Object)))]
async fn receipt(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<RevocationId>,
) -> Result<Json<ReceiptAnswer>, Refused> {
    let receipt = app.control.receipt(&actor, id).await?;
    Ok(Json(ReceiptAnswer { receipt }))
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
