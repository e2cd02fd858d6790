//! What a bundle would do before it is live, and why a recorded call was decided as it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_control::policies::{
    BundleRef, Compared, Explained, Grounds, Replayed, VersionRef, Window,
};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::id::EventId;
use bailiwick_core::{Code, Digest, Fault, Problem, Timestamp};
use bailiwick_policy::{BundleSource, Case, Diff, Flaw};
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::flawed;
use crate::app::App;
use crate::http::input::parse;
use crate::http::{Body, Detailed, MAX_POLICY_BODY, Refused, guarded};
use crate::routes::audit::find;
use crate::routes::privacy::said;

/// A bundle: exactly one of `version` and `files`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BundleChoice {
    /// One that was published: `active`, a number of the history, or a digest.
    version: Option<String>,
    /// Text by path.
    files: Option<BTreeMap<String, String>>,
}

/// Two bundles to compare.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiffBody {
    /// The one.
    from: BundleChoice,
    /// The other.
    to: BundleChoice,
}

/// What changes from one to the other.
#[derive(Debug, Serialize)]
struct DiffAnswer {
    from: Digest,
    to: Digest,
    #[serde(flatten)]
    diff: Diff,
    /// What of published versions no longer fits the registry.
    broken: Vec<Flaw>,
}

/// Which decisions to make again under which bundle.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayBody {
    /// The proposed bundle.
    bundle: BundleChoice,
    /// Recorded not before this instant, RFC 3339; missing: from the beginning.
    #[schema(value_type = Option<String>)]
    since: Option<Timestamp>,
    /// Recorded before this instant, RFC 3339; missing: up to now.
    #[schema(value_type = Option<String>)]
    until: Option<Timestamp>,
}

/// Which decision to explain.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainBody {
    /// The event of the decision.
    #[schema(value_type = String)]
    event: EventId,
    /// Why; it goes on record.
    reason: String,
}

/// A request to explain, and the bundle that decides it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainInputBody {
    /// As a case of `tests/` gives it, without `expect`: agent, tool, arguments, …
    #[schema(value_type = Object)]
    input: Case,
    /// Missing: the active one.
    bundle: Option<BundleChoice>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::WritePolicy, routes!(diff)))
        .merge(guarded(app, Operation::WritePolicy, routes!(replay)))
        .merge(guarded(app, Operation::Reveal, routes!(explain)))
        .merge(guarded(app, Operation::WritePolicy, routes!(explain_input)))
}

/// Which permissions agents gain and lose from one bundle to another, on the registry as it is.
#[utoipa::path(post, path = "/v1/policy/diff", operation_id = "policy.diff", tag = "policy", request_body = DiffBody,
    responses((status = 200, description = "{from, to, permissions, changed, workflows, pairs, complete, broken}", body = Object)))]
async fn diff(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<DiffBody, MAX_POLICY_BODY>,
) -> Result<Json<DiffAnswer>, Detailed> {
    let (from, to) = (chosen(body.from)?, chosen(body.to)?);
    let compared = app.control.diff_policy(&actor, from, to).await;
    let Compared {
        from,
        to,
        diff,
        broken,
    } = compared.map_err(flawed)?;
    Ok(Json(DiffAnswer {
        from,
        to,
        diff,
        broken,
    }))
}

/// Makes the recorded decisions of a window again under a bundle, and counts those that come out otherwise. That sealed inputs are
/// opened for it is on record first; nothing of them is in the answer.
#[utoipa::path(post, path = "/v1/policy/replay", operation_id = "policy.replay", tag = "policy", request_body = ReplayBody,
    responses((status = 200, description = "{bundle, decisions, before_policy, unkept, drifted, complete, compared, shifts, groups, …}", body = Object)))]
async fn replay(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<ReplayBody, MAX_POLICY_BODY>,
) -> Result<Json<Replayed>, Detailed> {
    let window = Window {
        since: body.since,
        until: body.until,
    };
    let bundle = chosen(body.bundle)?;
    let replayed = app
        .control
        .replay_policy(&actor, &app.log, bundle, window)
        .await;
    replayed.map(Json).map_err(flawed)
}

/// Why a recorded call was decided as it was and what would allow it, under the bundle of its time and under the active one. It shows
/// argument values, so it is a reveal and on record first.
#[utoipa::path(post, path = "/v1/policy/explain", operation_id = "policy.explain", tag = "policy", request_body = ExplainBody,
    responses((status = 200, description = "{event, decision, code, then, now, note}", body = Object)))]
async fn explain(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<ExplainBody>,
) -> Result<Json<Explained>, Refused> {
    let reason = said("reason", &body.reason)?;
    let entry = find(&app, body.event).await?;
    let leaf = entry.parse().map_err(|error| Refused(error.problem()))?;
    let found = (entry.index, leaf);
    let explained = app
        .control
        .explain_decision(&actor, &app.log, found, reason)
        .await?;
    Ok(Json(explained))
}

/// How a request would be decided, why, and what would allow it. It is decided on the registry as it is; nothing is done and nothing of
/// the record is opened.
#[utoipa::path(post, path = "/v1/policy/explain-input", operation_id = "policy.explain_input", tag = "policy", request_body = ExplainInputBody,
    responses((status = 200, description = "{bundle, stage, decision, because, would_allow}", body = Object)))]
async fn explain_input(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<ExplainInputBody, MAX_POLICY_BODY>,
) -> Result<Json<Grounds>, Detailed> {
    let bundle = match body.bundle {
        Some(bundle) => chosen(bundle)?,
        None => BundleRef::Version(VersionRef::Active),
    };
    let explained = app.control.explain_case(&actor, bundle, body.input).await;
    explained.map(Json).map_err(flawed)
}

fn chosen(choice: BundleChoice) -> Result<BundleRef, Problem> {
    match (choice.version, choice.files) {
        (Some(version), None) => parse("version", &version)
            .map(BundleRef::Version)
            .map_err(|refused| refused.0),
        (None, Some(files)) => Ok(BundleRef::Source(BundleSource { files })),
        _ => Err(Problem::new(
            Code::InvalidInput,
            "a bundle is named by exactly one of `version` and `files`",
            "",
        )),
    }
}
