//! Reports of scans, and the findings that come of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_control::findings::{Scan, Seen, Shown, Standing};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::finding::Severity;
use bailiwick_core::id::{FindingId, RevocationId};
use bailiwick_core::name::OwnerName;
use bailiwick_core::{Digest, Timestamp};
use bailiwick_crypto::fingerprint::SecretDigest;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Page, Paging, limit_of};
use crate::app::App;
use crate::http::input::parse;
use crate::http::{At, Body, Query, Refused, guarded};

/// Bytes of a report of a scan.
const MAX_SCAN_BODY: usize = 8 << 20;

/// What a scan found.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScanBody {
    /// `repo`, `process` or `host`.
    kind: String,
    /// Where it ran.
    host: String,
    /// What was scanned.
    target: String,
    /// Whether all of it was read.
    complete: bool,
    /// Who answers for what is not an agent's.
    #[schema(value_type = String)]
    owner: OwnerName,
    /// Each secret once; at most 1,000.
    secrets: Vec<SeenBody>,
}

/// One secret, without it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeenBody {
    /// `sha256:` and 64 hexadecimal digits: SHA-256 of `bailiwick/secret/v1`, a zero byte and the secret. It is not kept.
    #[schema(value_type = String)]
    digest: Digest,
    /// The rule that found it.
    check: String,
    /// `info`, `low`, `medium`, `high` or `critical`.
    #[schema(value_type = String)]
    severity: Severity,
    /// The name that stood before it.
    key: Option<String>,
    /// What its validator knows and may be shown.
    #[serde(default)]
    public: BTreeMap<String, String>,
    /// Where it lies; at most 20.
    places: Vec<String>,
    /// In how many places.
    count: u64,
}

/// Somebody's word.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimBody {
    /// What was done.
    note: String,
}

/// Until when, and why.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptBody {
    /// RFC 3339; at most 90 days away.
    #[schema(value_type = String)]
    until: Timestamp,
    /// Why; at most 1,024 bytes.
    reason: String,
}

/// Why.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DismissBody {
    /// At most 1,024 bytes.
    reason: String,
}

/// A finding whose lease was ended.
#[derive(Debug, Serialize)]
struct FixAnswer {
    #[serde(flatten)]
    finding: Shown,
    /// The revocation that ended it.
    revocation: RevocationId,
    /// Whether its credential may still live where it was issued.
    pending: bool,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::WriteFindings, routes!(report)))
        .merge(guarded(app, Operation::Read, routes!(list)))
        .merge(guarded(app, Operation::Read, routes!(standing)))
        .merge(guarded(app, Operation::Read, routes!(show)))
        .merge(guarded(app, Operation::Revoke, routes!(fix)))
        .merge(guarded(app, Operation::WriteFindings, routes!(rotated)))
        .merge(guarded(app, Operation::WriteFindings, routes!(accept)))
        .merge(guarded(app, Operation::WriteFindings, routes!(dismiss)))
}

/// Takes what a scan found, and says of each secret, in the order given, whose it is: a live lease's, a dead one's, a sealed value of this
/// node, or none that it knows. Digests are printed with the deployment's key and not kept. A complete scan closes findings of the same
/// target that somebody claimed to have replaced and that are not there any more.
#[utoipa::path(post, path = "/v1/scans", operation_id = "scans.report", tag = "posture", request_body = ScanBody,
    responses((status = 200, description = "{items: [Finding with link, overdue, age_s, fix], next}", body = Object)))]
async fn report(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<ScanBody, MAX_SCAN_BODY>,
) -> Result<Json<Page<Shown>>, Refused> {
    let secrets = body.secrets.into_iter().map(|secret| Seen {
        digest: SecretDigest::from_bytes(secret.digest.0),
        check: secret.check,
        severity: secret.severity,
        key: secret.key,
        public: secret.public,
        places: secret.places,
        count: secret.count,
    });
    let scan = Scan {
        kind: body.kind,
        host: body.host,
        target: body.target,
        complete: body.complete,
        owner: body.owner,
        secrets: secrets.collect(),
    };
    let shown = app.control.report_scan(&actor, scan).await?;
    Ok(Json(Page::whole(shown)))
}

/// Findings, newest first, as they stand now.
#[utoipa::path(get, path = "/v1/findings", operation_id = "findings.list", tag = "posture", params(Paging),
    responses((status = 200, description = "{items: [Finding with link, overdue, age_s, fix], next}", body = Object)))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Shown>>, Refused> {
    let limit = limit_of(paging.limit);
    let after = paging.after.as_deref();
    let after = after
        .map(|after| parse::<FindingId>("after", after))
        .transpose()?;
    let items = app.control.findings(&actor, after, limit).await?;
    let full = items.len() == limit;
    let last = items.last().filter(|_| full);
    let next = last.map(|last| last.finding.id.to_string());
    Ok(Json(Page { items, next }))
}

/// How findings stand together: how many wait, how many for longer than they should, and how long it took to remediate those that are fixed.
#[utoipa::path(get, path = "/v1/findings/standing", operation_id = "findings.standing", tag = "posture",
    responses((status = 200, description = "{open, overdue, fixed, in_time, due, median_s, p90_s}", body = Object)))]
async fn standing(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
) -> Result<Json<Standing>, Refused> {
    Ok(Json(app.control.finding_standing(&actor).await?))
}

/// One finding with its newest steps.
#[utoipa::path(get, path = "/v1/findings/{id}", operation_id = "findings.show", tag = "posture", params(("id" = String, Path)),
    responses((status = 200, description = "Finding with link, overdue, age_s, fix", body = Object)))]
async fn show(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<FindingId>,
) -> Result<Json<Shown>, Refused> {
    Ok(Json(app.control.finding(&actor, id).await?))
}

/// Ends the lease whose secret was found, and waits until its credential is verified dead, for a minute at most; that closes the finding. What
/// is not a live lease's is `conflict`, with what to do instead.
#[utoipa::path(post, path = "/v1/findings/{id}/fix", operation_id = "findings.fix", tag = "posture", params(("id" = String, Path)),
    responses((status = 200, description = "Finding, and {revocation, pending}", body = Object)))]
async fn fix(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<FindingId>,
) -> Result<Json<FixAnswer>, Refused> {
    let (finding, report) = app.control.fix_finding(&actor, id).await?;
    Ok(Json(FixAnswer {
        finding,
        revocation: report.id,
        pending: !report.pending.is_empty(),
    }))
}

/// Takes somebody's word that the secret was replaced where it was issued. The next complete scan without it closes the finding.
#[utoipa::path(post, path = "/v1/findings/{id}/rotated", operation_id = "findings.rotated", tag = "posture", params(("id" = String, Path)), request_body = ClaimBody,
    responses((status = 200, description = "Finding", body = Object)))]
async fn rotated(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<FindingId>,
    Body(body): Body<ClaimBody>,
) -> Result<Json<Shown>, Refused> {
    let shown = app.control.claim_rotated(&actor, id, body.note).await?;
    Ok(Json(shown))
}

/// Bears it until a date; then it waits again.
#[utoipa::path(post, path = "/v1/findings/{id}/accept", operation_id = "findings.accept", tag = "posture", params(("id" = String, Path)), request_body = AcceptBody,
    responses((status = 200, description = "Finding", body = Object)))]
async fn accept(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<FindingId>,
    Body(body): Body<AcceptBody>,
) -> Result<Json<Shown>, Refused> {
    let accepted = app
        .control
        .accept_finding(&actor, id, body.until, body.reason);
    Ok(Json(accepted.await?))
}

/// Says that this rule on this secret is no finding, wherever it is seen.
#[utoipa::path(post, path = "/v1/findings/{id}/dismiss", operation_id = "findings.dismiss", tag = "posture", params(("id" = String, Path)), request_body = DismissBody,
    responses((status = 200, description = "Finding", body = Object)))]
async fn dismiss(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<FindingId>,
    Body(body): Body<DismissBody>,
) -> Result<Json<Shown>, Refused> {
    let dismissed = app.control.dismiss_finding(&actor, id, body.reason);
    Ok(Json(dismissed.await?))
}
