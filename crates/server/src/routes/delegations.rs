//! An agent delegates by itself: with its task token and the key that it is bound to, it opens a child task for another agent, which
//! redeems the task's id at the token endpoint. No token leaves the parent.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bailiwick_control::delegation::{Delegated, Delegation};
use bailiwick_core::id::TaskId;
use bailiwick_core::name::WorkflowName;
use bailiwick_core::scope::{Scope, Wish};
use bailiwick_core::spiffe_id::SpiffeId;
use bailiwick_core::{Code, Problem};
use bailiwick_identity::exchange::{SubjectToken, TokenRefusal};
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::holder::{answered, holder};
use super::oauth::delegator;
use crate::app::App;
use crate::http::{At, Body, Refused};

/// A part of a task to hand on.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DelegationBody {
    /// To whom: `spiffe://<trust domain>/agent/<name>`, or one process of it.
    #[schema(value_type = String)]
    to: SpiffeId,
    /// For what, in the agent's words.
    request: String,
    /// How much of the task's scope; everything, with one delegation less, if not given.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    scope: Wish,
    /// Its workflow; the default one if not given.
    #[schema(value_type = Option<String>)]
    workflow: Option<WorkflowName>,
}

/// A task that was handed on.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DelegationAnswer {
    /// The child task, to be named at the token endpoint.
    task_id: String,
    /// Who may redeem it.
    agent: String,
    /// When it ends by itself, RFC 3339.
    expires_at: String,
    /// Digest of its scope.
    scope_digest: String,
    /// What it may do.
    #[schema(value_type = Object)]
    scope: Scope,
    /// What made it narrower than was asked for: `task`, `ceiling`, `policy`.
    #[schema(value_type = Vec<String>)]
    narrowed_by: Vec<&'static str>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(delegate))
}

/// Hands a part of a task to another agent.
#[utoipa::path(post, path = "/v1/tasks/{id}/delegations", operation_id = "tasks.delegate", tag = "tasks",
    params(("id" = String, Path)), request_body = DelegationBody,
    responses((status = 201, description = "the child task", body = DelegationAnswer),
              (status = 401, description = "no task token of this task with a fresh proof of its key; the nonce is in DPoP-Nonce", body = Object)))]
async fn delegate(State(app): State<Arc<App>>, At(id): At<TaskId>, request: Request) -> Response {
    let url = format!("{}/v1/tasks/{id}/delegations", app.console_url);
    let done = match held(&app, request.headers(), &url, id) {
        Ok(subject) => match hand_on(&app, &subject, request).await {
            Ok(answer) => Ok(Ok((StatusCode::CREATED, Json(answer)).into_response())),
            Err(refused) => {
                let refusal = TokenRefusal::of("invalid_request", refused.0.clone());
                let asker = subject.holder_id().as_str();
                app.authority.delegation_refused(asker, &refusal).await;
                Ok(Err(refused))
            }
        },
        Err(problem) => Err(problem),
    };
    answered(&app, done)
}

/// The task token that a request shows and proves, if it is for this task.
fn held(app: &App, headers: &HeaderMap, url: &str, task: TaskId) -> Result<SubjectToken, Problem> {
    let subject = holder(app, headers, &Method::POST, url)?;
    if subject.task() != task {
        return Err(Problem::new(
            Code::TokenInvalid,
            "the token is for another task",
            "a task is delegated with a token of its own",
        ));
    }
    Ok(subject)
}

async fn hand_on(
    app: &App,
    subject: &SubjectToken,
    request: Request,
) -> Result<DelegationAnswer, Refused> {
    let Body(body) = Body::<DelegationBody>::from_request(request, &()).await?;
    let named = body.to.as_party().ok();
    let ours = body.to.trust_domain() == *app.authority.trust_domain();
    let Some((to, instance)) = named.filter(|_| ours) else {
        return Err(Refused::new(
            Code::InvalidInput,
            "`to` names no agent of this trust domain",
            format!(
                "spiffe://{}/agent/NAME, or with /inst_… one process of it",
                app.authority.trust_domain()
            ),
        ));
    };
    let ask = Delegation {
        to,
        instance,
        request: body.request,
        wish: body.scope,
        workflow: body.workflow,
        server: None,
    };
    let delegated = app.control.delegate(delegator(subject), ask).await?;
    Ok(DelegationAnswer::from(delegated))
}

impl From<Delegated> for DelegationAnswer {
    fn from(delegated: Delegated) -> Self {
        let task = delegated.task;
        Self {
            task_id: task.id.to_string(),
            agent: task.agent.to_string(),
            expires_at: task.expires_at.to_string(),
            scope_digest: task.scope_digest.to_string(),
            scope: task.scope,
            narrowed_by: delegated.narrowed_by.iter().map(|by| by.as_str()).collect(),
        }
    }
}
