//! Tasks: opened for one request, changed, ended. The end of a task is the end of everything below it (07).

mod deed;
mod ending;
mod opening;

use std::sync::Arc;
use std::time::Duration;

use bailiwick_broker::LeasesOf;
use bailiwick_core::event::{
    AgentRef, ChainRef, ChangeRef, DecisionRef, Event, EventType, Sealed, SealedClass, TaskRef,
};
use bailiwick_core::fence::Subject;
use bailiwick_core::id::{InstanceId, TaskId};
use bailiwick_core::name::{AgentName, StageName, UserId, WorkflowName};
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::Draft;
use bailiwick_core::task::{DEFAULT_LIFE, MAX_LIFE, Request, Task, TaskState};
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_policy::{DEFAULT_WORKFLOW, Stage, Who};
use bailiwick_store::facts;
use bailiwick_store::{StoreError, TaskFilter, Tx};

use crate::tools::Refusal;
use crate::{Actor, Control, Operation};
pub(crate) use deed::About;
use deed::Deed;
pub(crate) use ending::Ended;
pub(crate) use opening::{Opened, Opening, check_request, root_scope};

/// A task to open.
#[derive(Debug, Clone)]
pub struct OpenTask {
    /// The agent that acts in it.
    pub agent: AgentName,
    /// On whose behalf.
    pub user: UserId,
    /// What was asked for, and by whom.
    pub request: Request,
    /// Its workflow; the default one has the single stage `run`.
    pub workflow: Option<WorkflowName>,
    /// What it may do; the agent's ceiling if nothing is said.
    pub scope: Option<Draft>,
    /// How long it lives at most; 8 h if nothing is said, never over 24 h.
    pub ttl: Option<Duration>,
    /// The task it is delegated from.
    pub parent: Option<TaskId>,
}

impl Control {
    /// Opens a task for a person or an orchestrator.
    pub async fn open_task(&self, actor: &Actor, open: OpenTask) -> Result<Task, Problem> {
        actor.may(Operation::WriteTasks)?;
        self.open(actor, open).await
    }

    pub(crate) async fn open(&self, actor: &Actor, open: OpenTask) -> Result<Task, Problem> {
        check_request(&open.request)?;
        let life = open.ttl.unwrap_or(DEFAULT_LIFE);
        if life.is_zero() || life > MAX_LIFE {
            return Err(Problem::new(
                Code::InvalidInput,
                "a task lives more than 0 s and at most 24 h",
                "",
            ));
        }
        let (workflow, stage) = self.first_stage(open.workflow.clone()).await?;
        let policy = self.parts.policy.current().await?;
        let draft = Opening {
            id: self.id(),
            life,
            workflow,
            stage,
            now: self.now(),
            policy,
            max_depth: self.parts.max_depth,
            cap: None,
            open,
        };
        let event = self.event(EventType::TaskOpened, actor, "tasks.open");
        let pseudonym = self.pseudonym();
        let journal = Arc::clone(&self.parts.journal);
        let task = self
            .parts
            .store
            .write(move |tx| {
                let Opened {
                    task,
                    agent,
                    decision,
                    ..
                } = draft.task(tx, &pseudonym)?;
                tx.put_task(&task)?;
                let mut event = about(event.clone(), tx, &task);
                event.owner = Some(agent.owner);
                event.decision = Some(DecisionRef::of(&decision, 0));
                event.change = Some(ChangeRef {
                    kind: "task".to_owned(),
                    id: task.id.to_string(),
                    before: None,
                    after: Some(format!("{} until {}", task.scope_digest, task.expires_at)),
                });
                event.sealed.push(sealed_request(&task));
                journal.push(tx, &event)?;
                Ok::<_, Refusal>(task)
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await?;
        Ok(task)
    }

    /// A pseudonym for a user who has none yet.
    pub(crate) fn pseudonym(&self) -> String {
        let id = self.id::<bailiwick_core::id::TokenKind>();
        format!("usr_{}", id.suffix())
    }

    /// Workflow and first stage of a task to be opened, from the active bundle.
    pub(crate) async fn first_stage(
        &self,
        wanted: Option<WorkflowName>,
    ) -> Result<(WorkflowName, Stage), Problem> {
        let workflows = self.workflows().await?;
        let name = wanted.map_or_else(|| DEFAULT_WORKFLOW.to_owned(), |name| name.to_string());
        let found = workflows
            .iter()
            .find(|workflow| workflow.name.as_str() == name);
        let start =
            found.and_then(|workflow| Some((workflow.name.clone(), workflow.start()?.clone())));
        start.ok_or_else(|| {
            let known: Vec<&str> = workflows
                .iter()
                .map(|workflow| workflow.name.as_str())
                .collect();
            let message = format!("the policy bundle has no workflow `{name}`");
            Problem::new(
                Code::InvalidInput,
                message,
                format!("it has {}", known.join(", ")),
            )
        })
    }

    /// Ends a task and its subtree.
    pub async fn end_task(
        &self,
        actor: &Actor,
        id: TaskId,
        state: TaskState,
    ) -> Result<Task, Problem> {
        actor.may(Operation::WriteTasks)?;
        if !matches!(state, TaskState::Completed | TaskState::Cancelled) {
            return Err(Problem::new(
                Code::InvalidInput,
                "a person completes or cancels a task",
                "",
            ));
        }
        self.end(actor, id, state, "tasks.end").await
    }

    pub(crate) async fn end(
        &self,
        actor: &Actor,
        id: TaskId,
        state: TaskState,
        op: &'static str,
    ) -> Result<Task, Problem> {
        let ending = self.ending(actor, op);
        let (task, ended) = self
            .parts
            .store
            .write(move |tx| {
                let task = tx.task(id)?.ok_or_else(|| unknown(id))?;
                if let Some(refusal) = (task.state != TaskState::Open)
                    .then(|| task.clone().end(state).err())
                    .flatten()
                {
                    return Err(Refusal::Problem(refusal.problem()));
                }
                let mut ended = Ended::default();
                ending.tree(tx, id, state, &mut ended)?;
                let task = tx.task(id)?.ok_or_else(|| unknown(id))?;
                Ok::<_, Refusal>((task, ended))
            })
            .await
            .map_err(Refusal::problem)?;
        self.ended(&ended).await;
        Ok(task)
    }

    /// Ends every open task that an exited instance was bound to.
    pub async fn instance_exited(&self, instance: InstanceId) -> Result<(), Problem> {
        let tasks = self.parts.store.read(|rows| rows.open_tasks()).await;
        let tasks: Vec<Task> = tasks.map_err(|error: StoreError| error.problem())?;
        self.cut_instance(instance).await;
        for task in tasks
            .into_iter()
            .filter(|task| task.instance == Some(instance))
        {
            match self
                .end(
                    &Actor::system(),
                    task.id,
                    TaskState::Cancelled,
                    "instance.exited",
                )
                .await
            {
                // Its parent may have taken it along.
                Err(problem) if problem.code != Code::TaskEnded => return Err(problem),
                _ => {}
            }
        }
        Ok(())
    }

    /// Cuts what an ended instance is doing, and takes its leases away.
    pub async fn cut_instance(&self, instance: InstanceId) {
        self.parts.cutter.cut(&[Subject::Instance(instance)]);
        self.end_leases(&[LeasesOf::Instance(instance)], "instance exited")
            .await;
    }

    /// Moves a task to another stage of its workflow.
    pub async fn set_stage(
        &self,
        actor: &Actor,
        id: TaskId,
        stage: StageName,
    ) -> Result<Task, Problem> {
        actor.may(Operation::WriteTasks)?;
        let workflows = self.workflows().await?;
        let deed = Deed::SetStage(stage.clone());
        self.change_task(actor, "tasks.stage", id, deed, move |task| {
            let workflow = workflows
                .iter()
                .find(|workflow| workflow.name == task.workflow);
            let step =
                workflow.filter(|workflow| workflow.allows(&task.stage, &stage, Who::Operator));
            let Some(next) = step.and_then(|workflow| workflow.stage(&stage)) else {
                let message = format!(
                    "workflow {} does not lead from {} to {stage}",
                    task.workflow, task.stage
                );
                return Err(Problem::new(
                    Code::StageDenied,
                    message,
                    "see workflows/*.toml of the policy bundle",
                ));
            };
            task.stage = stage.clone();
            task.risk = task.risk.max(next.risk_floor);
            Ok(())
        })
        .await
    }

    /// Raises or lowers a task's risk; the reason goes on record.
    pub async fn set_risk(
        &self,
        actor: &Actor,
        id: TaskId,
        risk: Risk,
        reason: String,
    ) -> Result<Task, Problem> {
        actor.may(Operation::WriteTasks)?;
        if reason.trim().is_empty() {
            return Err(Problem::new(
                Code::InvalidInput,
                "a change of risk needs a reason",
                "--reason TEXT",
            ));
        }
        let deed = Deed::SetRisk(risk);
        self.change_task(actor, "tasks.risk", id, deed, move |task| {
            task.risk = risk;
            Ok(())
        })
        .await
    }

    async fn change_task(
        &self,
        actor: &Actor,
        op: &'static str,
        id: TaskId,
        deed: Deed,
        change: impl Fn(&mut Task) -> Result<(), Problem> + Send + 'static,
    ) -> Result<Task, Problem> {
        let event = self.event(EventType::TaskChanged, actor, op);
        let (journal, now) = (Arc::clone(&self.parts.journal), self.now());
        let (policy, who) = (self.parts.policy.current().await, actor.name.clone());
        let task = self
            .parts
            .store
            .write(move |tx| {
                let mut task = tx.task(id)?.ok_or_else(|| unknown(id))?;
                if let Some(code) = task.refusal(now) {
                    let message = format!("task {id} is {}", task.state.as_str());
                    return Err(Refusal::Problem(Problem::new(
                        code,
                        message,
                        "open a new task",
                    )));
                }
                let decided = deed.decided(&policy, tx, &who, &task, now)?;
                change(&mut task)?;
                task.version += 1;
                tx.put_task(&task)?;
                let mut event = about(event.clone(), tx, &task);
                event.decision = decided.map(|decision| DecisionRef::of(&decision, 0));
                journal.push(tx, &event)?;
                Ok::<_, Refusal>(task)
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await?;
        Ok(task)
    }

    /// Tasks, newest first.
    pub async fn tasks(
        &self,
        actor: &Actor,
        filter: TaskFilter,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Vec<Task>, Problem> {
        actor.may(Operation::Read)?;
        let tasks = self
            .parts
            .store
            .read(move |rows| rows.tasks(&filter, after, limit))
            .await;
        let tasks: Vec<Task> = tasks.map_err(|error: StoreError| error.problem())?;
        Ok(tasks
            .into_iter()
            .map(|task| as_seen_by(actor, task))
            .collect())
    }

    /// One task.
    pub async fn task(&self, actor: &Actor, id: TaskId) -> Result<Task, Problem> {
        actor.may(Operation::Read)?;
        let task = self
            .parts
            .store
            .read(move |rows| rows.task(id)?.ok_or_else(|| unknown(id)))
            .await;
        let task = task.map_err(|error: StoreError| error.problem())?;
        Ok(as_seen_by(actor, task))
    }

    /// A task and everything delegated from it, itself first.
    pub async fn subtree(&self, actor: &Actor, id: TaskId) -> Result<Vec<Task>, Problem> {
        self.task(actor, id).await?;
        let tasks = self.parts.store.read(move |rows| rows.subtree(id)).await;
        let mut tasks: Vec<Task> = tasks.map_err(|error: StoreError| error.problem())?;
        tasks.reverse();
        Ok(tasks
            .into_iter()
            .map(|task| as_seen_by(actor, task))
            .collect())
    }
}

/// Whether somebody sees what tasks were opened for: those who open, move and end them. To everybody else the words are sealed, as they are
/// on the record.
pub(crate) fn sees_requests(actor: &Actor) -> bool {
    actor.may(Operation::WriteTasks).is_ok()
}

/// A task as somebody may see it.
fn as_seen_by(actor: &Actor, mut task: Task) -> Task {
    if !sees_requests(actor) {
        task.request.text.clear();
    }
    task
}

/// Fills in what an event about a task says of it.
pub(crate) fn about(mut event: Event, tx: &dyn Tx, task: &Task) -> Event {
    event.user = Some(task.user_pseudonym.clone());
    event.agent = Some(AgentRef {
        id: task.agent.clone(),
        instance: task.instance,
        code_digest: None,
    });
    event.task = Some(TaskRef::of(task));
    if let Some(chain) = facts::chain(tx, task) {
        event.owner = chain.presenter().map(|link| link.owner.clone());
        event.chain = ChainRef::list(&chain, None);
    }
    event
}

/// What was asked for, as the record keeps it.
pub(crate) fn sealed_request(task: &Task) -> Sealed {
    Sealed {
        path: "/request",
        class: SealedClass::Content,
        value: task.request.text.clone().into_bytes(),
        keep: true,
    }
}

pub(crate) fn unknown(id: TaskId) -> StoreError {
    StoreError::NotFound {
        kind: "task",
        key: id.to_string(),
    }
}
