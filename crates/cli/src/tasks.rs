//! `task`: the authority for one request. Ending it revokes everything below it.

use bailiwick_core::id::TaskId;
use bailiwick_core::name::{AgentName, StageName, UserId, WorkflowName};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::context::{Context, Page};
use crate::output::{Out, table};
use crate::scopes::ScopeArgs;
use crate::{Exit, Outcome};

/// What can be done with tasks.
#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Opens a task for one request.
    #[command(
        after_help = "Example: bailiwick task open --agent coder --request \"fix issue 12\" --allow 'files/*:read,write'"
    )]
    Open {
        /// The agent that may act in it.
        #[arg(long)]
        agent: AgentName,
        /// What was asked for, in words.
        #[arg(long, value_name = "TEXT")]
        request: String,
        /// On whose behalf, user:ISSUER:SUBJECT. Default: you.
        #[arg(long)]
        user: Option<UserId>,
        /// The workflow whose stages it goes through.
        #[arg(long)]
        workflow: Option<WorkflowName>,
        #[command(flatten)]
        scope: ScopeArgs,
        /// Seconds it lives, at most a day.
        #[arg(long, value_name = "SECONDS")]
        ttl: Option<u64>,
        /// The task it is delegated from; its scope can only be narrower.
        #[arg(long, value_name = "TASK")]
        parent: Option<TaskId>,
    },
    /// Lists tasks, newest first.
    #[command(after_help = "Example: bailiwick task list --state open")]
    List {
        /// Only in this state.
        #[arg(long, value_parser = ["open", "completed", "cancelled", "expired", "revoked"])]
        state: Option<String>,
        /// Only this agent's.
        #[arg(long)]
        agent: Option<AgentName>,
        #[command(flatten)]
        page: Page,
    },
    /// Shows one task.
    #[command(after_help = "Example: bailiwick task show task_01h455vb4pex5vsknk084sn02q")]
    Show {
        /// Its id.
        task: TaskId,
    },
    /// Shows a task with everything delegated from it.
    #[command(after_help = "Example: bailiwick task tree task_01h455vb4pex5vsknk084sn02q")]
    Tree {
        /// Its id.
        task: TaskId,
    },
    /// Moves a task to another stage of its workflow.
    #[command(after_help = "Example: bailiwick task stage task_01h455vb4pex5vsknk084sn02q execute")]
    Stage {
        /// Its id.
        task: TaskId,
        /// The stage.
        stage: StageName,
    },
    /// Sets a task's risk; to lower it takes a right and a reason.
    #[command(
        after_help = "Example: bailiwick task risk task_01h455vb4pex5vsknk084sn02q high --reason \"odd arguments\""
    )]
    Risk {
        /// Its id.
        task: TaskId,
        /// The risk.
        #[arg(value_parser = ["low", "medium", "high", "critical"])]
        risk: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Ends a task as done; its tokens, leases and sub-tasks die with it.
    #[command(after_help = "Example: bailiwick task complete task_01h455vb4pex5vsknk084sn02q")]
    Complete {
        /// Its id.
        task: TaskId,
    },
    /// Ends a task as given up.
    #[command(after_help = "Example: bailiwick task cancel task_01h455vb4pex5vsknk084sn02q")]
    Cancel {
        /// Its id.
        task: TaskId,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: TaskCommand) -> Outcome {
    let api = context.api()?;
    match command {
        TaskCommand::Open {
            agent,
            request,
            user,
            workflow,
            scope,
            ttl,
            parent,
        } => {
            let mut body = json!({"agent": agent, "request": request, "user": user.map_or_else(local_user, |user| user.to_string())});
            let optional = [
                ("workflow", workflow.map(|name| json!(name))),
                ("scope", scope.draft()?),
                ("ttl_s", ttl.map(|ttl| json!(ttl))),
                ("parent", parent.map(|parent| json!(parent))),
            ];
            if let Some(members) = body.as_object_mut() {
                members.extend(
                    optional
                        .into_iter()
                        .filter_map(|(name, value)| Some((name.to_owned(), value?))),
                );
            }
            context.record(&api.post("/v1/tasks", &body).await?);
        }
        TaskCommand::List { state, agent, page } => {
            let mut query = page.query();
            query.extend(state.map(|state| ("state", state)));
            query.extend(agent.map(|agent| ("agent", agent.to_string())));
            let body = api.query("/v1/tasks", &query).await?;
            context.list(
                &body,
                &COLUMNS,
                "no tasks: bailiwick task open --agent NAME --request \"…\"",
            );
        }
        TaskCommand::Show { task } => context.record(&api.get(&format!("/v1/tasks/{task}")).await?),
        TaskCommand::Tree { task } => {
            let body = api.get(&format!("/v1/tasks/{task}/tree")).await?;
            context.out.show(&body, tree);
        }
        TaskCommand::Stage { task, stage } => {
            context.record(
                &api.post(&format!("/v1/tasks/{task}/stage"), &json!({"stage": stage}))
                    .await?,
            );
        }
        TaskCommand::Risk { task, risk, reason } => {
            let body = json!({"risk": risk, "reason": reason});
            context.record(&api.post(&format!("/v1/tasks/{task}/risk"), &body).await?);
        }
        TaskCommand::Complete { task } => context.record(
            &api.post(&format!("/v1/tasks/{task}/complete"), &json!({}))
                .await?,
        ),
        TaskCommand::Cancel { task } => context.record(
            &api.post(&format!("/v1/tasks/{task}/cancel"), &json!({}))
                .await?,
        ),
    }
    Ok(Exit::DONE)
}

/// The unix user of this process.
pub(crate) fn local_user() -> String {
    format!("user:unix:{}", rustix::process::getuid().as_raw())
}

/// A line per task, indented by how deep it was delegated.
fn tree(out: &Out, body: &Value) -> String {
    let lines = table::items(body).iter().map(|task| {
        let depth = task
            .get("ancestors")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let text = |name: &str| table::cell(out, task.get(name));
        format!(
            "{}{}  {}  {}  {}",
            "  ".repeat(depth),
            text("id"),
            text("state"),
            text("agent"),
            table::cell(out, task.pointer("/request/text"))
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

const COLUMNS: [(&str, &str); 8] = [
    ("ID", "/id"),
    ("STATE", "/state"),
    ("AGENT", "/agent"),
    ("STAGE", "/stage"),
    ("RISK", "/risk"),
    ("LABELS", "/labels"),
    ("ENDS", "/expires_at"),
    ("REQUEST", "/request/text"),
];
