//! Tasks: open, look at, move between stages, end. Ending one ends everything below it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use bailiwick_control::tasks::OpenTask;
use bailiwick_control::{Actor, Operation};
use bailiwick_core::id::TaskId;
use bailiwick_core::name::{AgentName, StageName, UserId, WorkflowName};
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::Draft;
use bailiwick_core::task::{Request, RequestSource, Task, TaskState};
use bailiwick_store::TaskFilter;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Page, limit_of};
use crate::app::App;
use crate::http::input::parse;
use crate::http::{At, Body, Query, Refused, guarded};

/// A task to open.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskBody {
    /// The agent that acts in it.
    #[schema(value_type = String)]
    agent: AgentName,
    /// On whose behalf: `user:<issuer>:<subject>`.
    #[schema(value_type = String)]
    user: UserId,
    /// What was asked for, in the asker's words.
    request: String,
    /// Its workflow; the default one if not given.
    #[schema(value_type = Option<String>)]
    workflow: Option<WorkflowName>,
    /// What it may do; the agent's ceiling if not given.
    #[schema(value_type = Option<Object>)]
    scope: Option<Draft>,
    /// Seconds it lives at most; 8 h if not given, never over 24 h.
    ttl_s: Option<u64>,
    /// The task it is delegated from.
    #[schema(value_type = Option<String>)]
    parent: Option<TaskId>,
}

/// The stage to go to.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StageBody {
    /// A stage of the task's workflow.
    #[schema(value_type = String)]
    stage: StageName,
}

/// The risk from now on.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RiskBody {
    /// low, medium, high or critical.
    #[schema(value_type = String)]
    risk: Risk,
    /// Why; it goes on record.
    reason: String,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only those of this agent.
    #[param(value_type = Option<String>)]
    agent: Option<AgentName>,
    /// Only those of this user.
    #[param(value_type = Option<String>)]
    user: Option<UserId>,
    /// Only those in this state: open, completed, cancelled, expired, revoked.
    #[param(value_type = Option<String>)]
    state: Option<TaskState>,
    /// Only those in the tree of this task.
    #[param(value_type = Option<String>)]
    root: Option<TaskId>,
    /// Rows, 1 to 1000; 50 if not given.
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<String>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Read, routes!(list)))
        .merge(guarded(app, Operation::WriteTasks, routes!(open)))
        .merge(guarded(app, Operation::Read, routes!(show)))
        .merge(guarded(app, Operation::Read, routes!(tree)))
        .merge(guarded(app, Operation::WriteTasks, routes!(complete)))
        .merge(guarded(app, Operation::WriteTasks, routes!(cancel)))
        .merge(guarded(app, Operation::WriteTasks, routes!(stage)))
        .merge(guarded(app, Operation::WriteTasks, routes!(risk)))
}

/// Tasks, newest first.
#[utoipa::path(get, path = "/v1/tasks", operation_id = "tasks.list", tag = "tasks", params(Which),
    responses((status = 200, description = "{items: [Task], next}", body = Object)))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(which): Query<Which>,
) -> Result<Json<Page<Task>>, Refused> {
    let after = which
        .after
        .map(|after| parse("after", &after))
        .transpose()?;
    let limit = limit_of(which.limit);
    let filter = TaskFilter {
        agent: which.agent,
        user: which.user,
        state: which.state,
        root: which.root,
    };
    let tasks = app.control.tasks(&actor, filter, after, limit + 1).await?;
    Ok(Json(Page::cut(tasks, limit, |task| task.id.to_string())))
}

/// Opens a task.
#[utoipa::path(post, path = "/v1/tasks", operation_id = "tasks.open", tag = "tasks", request_body = TaskBody,
    responses((status = 201, description = "Task", body = Object)))]
async fn open(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<TaskBody>,
) -> Result<(StatusCode, Json<Task>), Refused> {
    let open = OpenTask {
        agent: body.agent,
        user: body.user,
        request: Request {
            text: body.request,
            source: RequestSource::User,
        },
        workflow: body.workflow,
        scope: body.scope,
        ttl: body.ttl_s.map(Duration::from_secs),
        parent: body.parent,
    };
    let task = app.control.open_task(&actor, open).await?;
    Ok((StatusCode::CREATED, Json(task)))
}

/// One task.
#[utoipa::path(get, path = "/v1/tasks/{id}", operation_id = "tasks.show", tag = "tasks",
    params(("id" = String, Path)), responses((status = 200, description = "Task", body = Object)))]
async fn show(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<TaskId>,
) -> Result<Json<Task>, Refused> {
    Ok(Json(app.control.task(&actor, id).await?))
}

/// A task and everything delegated from it.
#[utoipa::path(get, path = "/v1/tasks/{id}/tree", operation_id = "tasks.tree", tag = "tasks",
    params(("id" = String, Path)), responses((status = 200, description = "{items: [Task], next}", body = Object)))]
async fn tree(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<TaskId>,
) -> Result<Json<Page<Task>>, Refused> {
    Ok(Json(Page::whole(app.control.subtree(&actor, id).await?)))
}

/// Ends a task as done; everything below it ends with it.
#[utoipa::path(post, path = "/v1/tasks/{id}/complete", operation_id = "tasks.complete", tag = "tasks",
    params(("id" = String, Path)), responses((status = 200, description = "Task", body = Object)))]
async fn complete(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<TaskId>,
) -> Result<Json<Task>, Refused> {
    let ended = app.control.end_task(&actor, id, TaskState::Completed);
    Ok(Json(ended.await?))
}

/// Gives a task up; everything below it ends with it.
#[utoipa::path(post, path = "/v1/tasks/{id}/cancel", operation_id = "tasks.cancel", tag = "tasks",
    params(("id" = String, Path)), responses((status = 200, description = "Task", body = Object)))]
async fn cancel(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<TaskId>,
) -> Result<Json<Task>, Refused> {
    let ended = app.control.end_task(&actor, id, TaskState::Cancelled);
    Ok(Json(ended.await?))
}

/// Moves a task to another stage of its workflow.
#[utoipa::path(post, path = "/v1/tasks/{id}/stage", operation_id = "tasks.stage", tag = "tasks",
    params(("id" = String, Path)), request_body = StageBody,
    responses((status = 200, description = "Task", body = Object)))]
async fn stage(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<TaskId>,
    Body(body): Body<StageBody>,
) -> Result<Json<Task>, Refused> {
    Ok(Json(app.control.set_stage(&actor, id, body.stage).await?))
}

/// Raises or lowers a task's risk.
#[utoipa::path(post, path = "/v1/tasks/{id}/risk", operation_id = "tasks.risk", tag = "tasks",
    params(("id" = String, Path)), request_body = RiskBody,
    responses((status = 200, description = "Task", body = Object)))]
async fn risk(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(id): At<TaskId>,
    Body(body): Body<RiskBody>,
) -> Result<Json<Task>, Refused> {
    let changed = app.control.set_risk(&actor, id, body.risk, body.reason);
    Ok(Json(changed.await?))
}
