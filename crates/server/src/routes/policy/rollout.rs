//! Rolling policy out: a bundle that is tried beside the active one, and policy that is observed for a time.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use bailiwick_control::policies::{Proven, Shown};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::rollout::Rollout;
use bailiwick_core::{Code, Problem};
use bailiwick_enforce::trial::Counted;
use bailiwick_policy::{BundleSource, Shift};
use bailiwick_store::PolicyVersion;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{BundleBody, flawed};
use crate::app::App;
use crate::http::{Body, Detailed, MAX_POLICY_BODY, Refused, guarded};

/// How policy is rolled out, and what the enforcement point has counted.
#[derive(Debug, Serialize)]
struct RolloutAnswer {
    /// `enforce`, or `observe` while what policy refuses goes through.
    mode: &'static str,
    #[serde(flatten)]
    rollout: Rollout,
    /// What the bundle that is tried says otherwise.
    counted: Option<Counted>,
}

/// Enforce or observe.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModeBody {
    /// `enforce` or `observe`.
    mode: String,
    /// With `observe`: seconds after which policy is enforced again; at most 14 days.
    for_s: Option<u64>,
    /// With `observe`: why; it goes on record.
    reason: Option<String>,
}

/// What a trial must have shown.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoteBody {
    /// It has run at least so many seconds; missing: any time.
    #[serde(default)]
    after_s: u64,
    /// It has denied or held at most so many calls that went through; missing: none.
    #[serde(default)]
    max_new_denials: u64,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Read, routes!(rollout)))
        .merge(guarded(app, Operation::WritePolicy, routes!(mode)))
        .merge(guarded(app, Operation::WritePolicy, routes!(shadow)))
        .merge(guarded(app, Operation::WritePolicy, routes!(end)))
        .merge(guarded(app, Operation::WritePolicy, routes!(promote)))
}

/// Whether policy is enforced, which bundle is tried beside it, and what that says otherwise.
#[utoipa::path(get, path = "/v1/policy/rollout", operation_id = "policy.rollout", tag = "policy",
    responses((status = 200, description = "{mode, observe, shadow, version, counted}", body = Object)))]
async fn rollout(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
) -> Result<Json<RolloutAnswer>, Refused> {
    let rollout = app.control.rollout(&actor).await?;
    Ok(Json(answer(&app, rollout)))
}

/// Observes policy for a time, or enforces it again. Fences, task state, definitions, scope, stage and budget are enforced always.
#[utoipa::path(put, path = "/v1/policy/mode", operation_id = "policy.mode", tag = "policy", request_body = ModeBody,
    responses((status = 200, description = "{mode, observe, shadow, version, counted}", body = Object)))]
async fn mode(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<ModeBody>,
) -> Result<Json<RolloutAnswer>, Refused> {
    let rollout = match (body.mode.as_str(), body.for_s, body.reason) {
        ("enforce", None, None) => app.control.enforce_policy(&actor).await?,
        ("observe", Some(seconds), Some(reason)) => {
            let lasts = Duration::from_secs(seconds);
            app.control.observe_policy(&actor, lasts, &reason).await?
        }
        _ => {
            return Err(Refused::new(
                Code::InvalidInput,
                "the mode is `enforce` alone, or `observe` with `for_s` and `reason`",
                "",
            ));
        }
    };
    Ok(Json(answer(&app, rollout)))
}

/// Tries a bundle on live calls beside the active one. It must be fit to be published.
#[utoipa::path(put, path = "/v1/policy/shadow", operation_id = "policy.shadow", tag = "policy", request_body = BundleBody,
    responses((status = 200, description = "{mode, observe, shadow, version, counted}", body = Object)))]
async fn shadow(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<BundleBody, MAX_POLICY_BODY>,
) -> Result<Json<RolloutAnswer>, Detailed> {
    let source = BundleSource { files: body.files };
    let rollout = app.control.try_policy(&actor, source).await;
    Ok(Json(answer(&app, rollout.map_err(flawed)?)))
}

/// Ends the trial without publishing.
#[utoipa::path(delete, path = "/v1/policy/shadow", operation_id = "policy.shadow_end", tag = "policy",
    responses((status = 200, description = "{mode, observe, shadow, version, counted}", body = Object)))]
async fn end(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
) -> Result<Json<RolloutAnswer>, Refused> {
    let rollout = app.control.end_trial(&actor).await?;
    Ok(Json(answer(&app, rollout)))
}

/// Publishes the bundle that is tried, if the trial has shown what is asked for.
#[utoipa::path(post, path = "/v1/policy/shadow/promote", operation_id = "policy.promote", tag = "policy", request_body = PromoteBody,
    responses((status = 200, description = "PolicyVersion", body = Object)))]
async fn promote(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<PromoteBody>,
) -> Result<Json<PolicyVersion>, Detailed> {
    let proven = Proven {
        after: Duration::from_secs(body.after_s),
        max_new_denials: body.max_new_denials,
    };
    let shown = app.gateway.trial().map_or_else(Shown::default, |counted| {
        let tally = &counted.tally;
        Shown {
            bundle: Some(counted.bundle),
            compared: tally.compared,
            new_denials: tally.count(Shift::Denied) + tally.count(Shift::SteppedUp),
        }
    });
    let active = app.control.active_policy(&actor).await;
    let active = match active {
        Ok(active) => active.map(|active| active.digest),
        Err(problem) => return Err(Problem::into(problem)),
    };
    let published = app
        .control
        .promote_policy(&actor, proven, shown, Some(active))
        .await;
    published.map(Json).map_err(flawed)
}

fn answer(app: &App, rollout: Rollout) -> RolloutAnswer {
    let tried = rollout.shadow.as_ref().map(|shadow| shadow.digest);
    let counted = app.gateway.trial();
    RolloutAnswer {
        mode: if rollout.observes(app.clock.wall()) {
            "observe"
        } else {
            "enforce"
        },
        counted: counted.filter(|counted| Some(counted.bundle) == tried),
        rollout,
    }
}
