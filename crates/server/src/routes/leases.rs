//! Leases. What an agent takes is answered once; no other operation shows a value.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, FromRequest, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bailiwick_broker::{MAX_TTL, Taken};
use bailiwick_control::leases::{Holder, Shown, Take};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::id::{LeaseId, TaskId};
use bailiwick_core::lease::{Delivery, Lease, LeaseState};
use bailiwick_core::name::CredentialName;
use bailiwick_core::{Code, Problem};
use bailiwick_store::LeaseFilter;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::holder::{answered, holder};
use super::{Page, limit_of};
use crate::app::App;
use crate::http::input::parse;
use crate::http::{At, Body, Query, Refused, guarded};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only those of this task.
    #[param(value_type = Option<String>)]
    task: Option<TaskId>,
    /// Only those in this state: INTENT, ACTIVE, REVOKING, TOMBSTONE.
    #[param(value_type = Option<String>)]
    state: Option<LeaseState>,
    /// Only those made from this credential.
    #[param(value_type = Option<String>)]
    credential: Option<CredentialName>,
    /// Rows, 1 to 1000; 50 if not given.
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<String>,
}

/// A credential that an agent wants to hold.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct TakeBody {
    /// Which.
    #[schema(value_type = String)]
    credential: CredentialName,
    /// For how many seconds at most, 1 to 3600; what the credential says, if not given. It ends with the task in any case.
    ttl_s: Option<u64>,
    /// The agent's own name for this request: asked again, the lease before ends and a new one is answered.
    idempotency_key: Option<String>,
}

/// A credential that an agent holds from now on.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TakenAnswer {
    /// Its lease.
    #[schema(value_type = String)]
    lease: LeaseId,
    /// What proves its holder. It is answered once and kept nowhere.
    secret: String,
    /// Where and as whom to use it: `host`, `port`, `database`, `username`.
    access: BTreeMap<String, String>,
    /// When it ends, RFC 3339.
    not_after: String,
    /// How surely it is taken away: R1 to R4.
    class: &'static str,
    /// The lease that it came instead of.
    #[schema(value_type = Option<String>)]
    replaces: Option<LeaseId>,
}

impl From<Taken> for TakenAnswer {
    fn from(taken: Taken) -> Self {
        Self {
            lease: taken.lease.id,
            secret: taken.secret.expose().clone(),
            access: taken.access,
            not_after: taken.lease.not_after.to_string(),
            class: taken.lease.class.as_str(),
            replaces: taken.lease.replaces,
        }
    }
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    guarded(app, Operation::Read, routes!(list))
        .merge(guarded(app, Operation::Read, routes!(show)))
        .merge(OpenApiRouter::new().routes(routes!(take)))
        .merge(OpenApiRouter::new().routes(routes!(acknowledge)))
}

/// Leases, newest first.
#[utoipa::path(get, path = "/v1/leases", operation_id = "leases.list", tag = "leases", params(Which),
    responses((status = 200, description = "{items: [Lease], next}", body = Object)))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(which): Query<Which>,
) -> Result<Json<Page<Lease>>, Refused> {
    let after = which
        .after
        .map(|after| parse("after", &after))
        .transpose()?;
    let limit = limit_of(which.limit);
    let filter = LeaseFilter {
        task: which.task,
        state: which.state,
        credential: which.credential,
    };
    let leases = app.control.leases(&actor, filter, after, limit + 1).await?;
    Ok(Json(Page::cut(leases, limit, |lease| lease.id.to_string())))
}

/// One lease.
#[utoipa::path(get, path = "/v1/leases/{id}", operation_id = "leases.show", tag = "leases",
    params(("id" = String, Path)), responses((status = 200, description = "the lease, without its value", body = Object)))]
async fn show(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<LeaseId>,
) -> Result<Json<Lease>, Refused> {
    Ok(Json(app.control.lease(&actor, id).await?))
}

/// Leases a credential to the agent that shows its task token and a proof of its key. It has to be acknowledged within 10 seconds.
#[utoipa::path(post, path = "/v1/leases", operation_id = "leases.take", tag = "leases", request_body = TakeBody,
    responses((status = 201, description = "the credential; it is answered once", body = TakenAnswer),
              (status = 401, description = "no task token with a fresh proof of its key; the nonce is in DPoP-Nonce", body = Object)))]
async fn take(State(app): State<Arc<App>>, request: Request) -> Response {
    let url = format!("{}/v1/leases", app.console_url);
    let done = match held(&app, request.headers(), &url) {
        Ok(by) => Ok(taken(&app, by, request).await),
        Err(problem) => Err(problem),
    };
    answered(&app, done)
}

/// Says that a lease arrived at its holder.
#[utoipa::path(post, path = "/v1/leases/{id}/ack", operation_id = "leases.acknowledge", tag = "leases",
    params(("id" = String, Path)),
    responses((status = 204, description = "it stays until its time is over"),
              (status = 401, description = "no task token with a fresh proof of its key; the nonce is in DPoP-Nonce", body = Object)))]
async fn acknowledge(
    State(app): State<Arc<App>>,
    At(id): At<LeaseId>,
    headers: HeaderMap,
) -> Response {
    let url = format!("{}/v1/leases/{id}/ack", app.console_url);
    let done = match held(&app, &headers, &url) {
        Ok(by) => {
            let done = app.control.acknowledge_lease(id, by.instance).await;
            Ok(done
                .map(|()| StatusCode::NO_CONTENT.into_response())
                .map_err(Refused))
        }
        Err(problem) => Err(problem),
    };
    answered(&app, done)
}

fn held(app: &App, headers: &HeaderMap, url: &str) -> Result<Holder, Problem> {
    let subject = holder(app, headers, &Method::POST, url)?;
    Ok(Holder {
        task: subject.task(),
        instance: subject.holder(),
        token: Some(Shown {
            lineage: subject.lineage(),
            epoch: subject.epoch(),
            scope_digest: subject.scope_digest(),
        }),
    })
}

async fn taken(app: &App, by: Holder, request: Request) -> Result<Response, Refused> {
    let Body(body) = Body::<TakeBody>::from_request(request, &()).await?;
    let ttl = body.ttl_s.map(ttl).transpose()?;
    let ask = Take {
        credential: body.credential,
        delivery: Delivery::Api,
        ttl,
        idempotency_key: body.idempotency_key,
    };
    let taken = app.control.take_lease(by, ask).await?;
    Ok((StatusCode::CREATED, Json(TakenAnswer::from(taken))).into_response())
}

/// Seconds that a lease may live.
pub(crate) fn ttl(seconds: u64) -> Result<Duration, Problem> {
    let asked = Duration::from_secs(seconds);
    if asked.is_zero() || asked > MAX_TTL {
        let message = format!("a lease of {seconds} seconds is not given");
        return Err(Problem::new(
            Code::InvalidInput,
            message,
            "`ttl_s` takes 1 to 3600",
        ));
    }
    Ok(asked)
}
