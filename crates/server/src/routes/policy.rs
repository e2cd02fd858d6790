//! The policy bundle: check, publish, bring back, look at.

pub mod rightsize;
pub mod rollout;
pub mod trial;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_control::policies::{PublishError, RolledBack, VersionRef};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::{Code, Digest, Problem};
use bailiwick_policy::{BundleSource, Flaw, Report};
use bailiwick_store::PolicyVersion;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{MAX_LIMIT, Page, Paging};
use crate::app::App;
use crate::http::input::parse;
use crate::http::{At, Body, Detailed, Details, MAX_POLICY_BODY, Query, Refused, guarded};

/// A bundle.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BundleBody {
    /// Text by path: `bundle.toml`, `*.cedar`, `workflows/*.toml`, `tests/*.toml`.
    files: BTreeMap<String, String>,
}

/// A bundle to publish.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishBody {
    /// Text by path.
    files: BTreeMap<String, String>,
    /// Publish only if this version is active; `"none"`: only if none is.
    if_version: Option<String>,
}

/// A version to bring back.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackBody {
    /// `active`, a number of the history, or a digest; missing: the version before the active one.
    version: Option<String>,
    /// Only if this version is active now.
    #[schema(value_type = Option<String>)]
    if_version: Option<Digest>,
}

/// A version that is active again.
#[derive(Debug, Serialize)]
struct RollbackAnswer {
    #[serde(flatten)]
    version: PolicyVersion,
    /// What of it no longer fits the registry.
    broken: Vec<Flaw>,
}

/// A bundle's text.
#[derive(Debug, Serialize)]
struct SourceAnswer {
    digest: Digest,
    files: BTreeMap<String, String>,
}

/// How a bundle would fare.
#[derive(Debug, Serialize)]
struct CheckAnswer {
    digest: Digest,
    /// What is wrong with it; empty if it may be published.
    flaws: Vec<Flaw>,
    /// What is doubtful about it and does not keep it from being published.
    warnings: Vec<Flaw>,
    /// Its tests, unless it does not compile.
    report: Option<Report>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Read, routes!(active)))
        .merge(guarded(app, Operation::Read, routes!(history)))
        .merge(guarded(app, Operation::Read, routes!(schema)))
        .merge(guarded(app, Operation::Read, routes!(source)))
        .merge(guarded(app, Operation::WritePolicy, routes!(check)))
        .merge(guarded(app, Operation::WritePolicy, routes!(publish)))
        .merge(guarded(app, Operation::WritePolicy, routes!(rollback)))
        .merge(trial::routes(app))
        .merge(rightsize::routes(app))
        .merge(rollout::routes(app))
}

/// The active version.
#[utoipa::path(get, path = "/v1/policy", operation_id = "policy.show", tag = "policy",
    responses((status = 200, description = "PolicyVersion", body = Object)))]
async fn active(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
) -> Result<Json<PolicyVersion>, Refused> {
    let active = app.control.active_policy(&actor).await?;
    active.map(Json).ok_or_else(|| {
        Refused::new(
            Code::NotFound,
            "no policy was published yet",
            "write one with `bailiwick policy init`, publish it with `bailiwick policy publish`",
        )
    })
}

/// Publications, newest first.
#[utoipa::path(get, path = "/v1/policy/history", operation_id = "policy.history", tag = "policy", params(Paging),
    responses((status = 200, description = "{items: [PolicyVersion], next}", body = Object)))]
async fn history(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<PolicyVersion>>, Refused> {
    let history = app.control.policy_history(&actor, MAX_LIMIT).await?;
    let page = Page::part(history, &paging, |version| version.number.to_string());
    Ok(Json(page))
}

/// The Cedar schema of what is registered, with the groups of the active bundle, in Cedar's JSON form.
#[utoipa::path(get, path = "/v1/policy/schema", operation_id = "policy.schema", tag = "policy",
    responses((status = 200, description = "a Cedar schema", body = Object)))]
async fn schema(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
) -> Result<Json<serde_json::Value>, Refused> {
    Ok(Json(app.control.policy_schema(&actor).await?))
}

/// The text of a published bundle.
#[utoipa::path(get, path = "/v1/policy/{version}", operation_id = "policy.source", tag = "policy",
    params(("version" = String, Path, description = "`active`, a number of the history, or a digest")), responses((status = 200, description = "{digest, files}", body = Object)))]
async fn source(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(version): At<String>,
) -> Result<Json<SourceAnswer>, Refused> {
    let version: VersionRef = parse("version", &version)?;
    let (digest, source) = app.control.policy_source(&actor, version).await?;
    let files = source.files;
    Ok(Json(SourceAnswer { digest, files }))
}

/// Compiles a bundle against the registry and runs its tests. Publishes nothing.
#[utoipa::path(post, path = "/v1/policy/check", operation_id = "policy.check", tag = "policy",
    request_body = BundleBody, responses((status = 200, description = "{digest, flaws, warnings, report}", body = Object)))]
async fn check(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<BundleBody, MAX_POLICY_BODY>,
) -> Result<Json<CheckAnswer>, Refused> {
    let source = BundleSource { files: body.files };
    let checked = app.control.check_policy(&actor, source).await?;
    Ok(Json(CheckAnswer {
        digest: checked.digest,
        flaws: checked.flaws,
        warnings: checked.warnings,
        report: checked.report,
    }))
}

/// Makes a bundle the active one. A refusal of a bundle with flaws lists all of them as `flaws`, each with its place.
#[utoipa::path(put, path = "/v1/policy", operation_id = "policy.publish", tag = "policy",
    request_body = PublishBody, responses((status = 200, description = "PolicyVersion", body = Object)))]
async fn publish(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<PublishBody, MAX_POLICY_BODY>,
) -> Result<Json<PolicyVersion>, Detailed> {
    let expected = match body.if_version.as_deref() {
        None => None,
        Some("none") => Some(None),
        Some(text) => Some(Some(text.parse::<Digest>().map_err(|error| {
            Problem::new(Code::InvalidInput, format!("if_version: {error}"), "")
        })?)),
    };
    let source = BundleSource { files: body.files };
    let published = app.control.publish_policy(&actor, source, expected).await;
    published.map(Json).map_err(flawed)
}

/// Makes an older version the active one again. What of it no longer fits the registry is in `broken`, and narrows.
#[utoipa::path(post, path = "/v1/policy/rollback", operation_id = "policy.rollback", tag = "policy",
    request_body = RollbackBody, responses((status = 200, description = "PolicyVersion, and {broken}", body = Object)))]
async fn rollback(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<RollbackBody>,
) -> Result<Json<RollbackAnswer>, Refused> {
    let version = body.version.as_deref();
    let version = version
        .map(|text| parse::<VersionRef>("version", text))
        .transpose()?;
    let rolled = app
        .control
        .roll_policy_back(&actor, version, body.if_version)
        .await?;
    let RolledBack { version, broken } = rolled;
    Ok(Json(RollbackAnswer { version, broken }))
}

fn flawed(error: PublishError) -> Detailed {
    match error {
        PublishError::Refused(problem) => problem.into(),
        PublishError::Flawed { problem, flaws } => {
            let flaws = serde_json::to_value(flaws).unwrap_or_default();
            Detailed {
                problem,
                details: Details([("flaws".to_owned(), flaws)].into_iter().collect()),
            }
        }
    }
}
