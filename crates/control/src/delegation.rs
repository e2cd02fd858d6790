//! An agent hands on a part of its task (02 §5, 07): opened by the agent itself, never wider than what it has, on record before it is
//! answered. Whoever calls this has verified the token that the agent showed; rows and fences decide here, in one transaction.

mod for_user;

use std::sync::Arc;

use bailiwick_core::event::{ChangeRef, DecisionRef, Event, EventType};
use bailiwick_core::fence::Subject;
use bailiwick_core::id::{InstanceId, TaskId};
use bailiwick_core::name::{AgentName, ServerName, WorkflowName};
use bailiwick_core::scope::{Draft, Grant, Narrowing, Scope, ScopeError, Wish};
use bailiwick_core::spiffe_id::SpiffeId;
use bailiwick_core::task::{DEFAULT_LIFE, Request, RequestSource, Task};
use bailiwick_core::{Code, Digest, Fault, Problem};
use bailiwick_policy::act::{self, Act, Told};
use bailiwick_store::{StoreError, Tx, facts};

use crate::artefacts::known_of;
use crate::tasks::{About, OpenTask, Opened, Opening, about, check_request, unknown};
use crate::tools::Refusal;
use crate::{Actor, Control};

pub use for_user::{ForUser, MAX_OPEN_ROOTS};

/// Open tasks that agents may have delegated from one task. Beyond it they wait until one has ended.
pub const MAX_OPEN_CHILDREN: usize = 64;

/// Who delegates, by the task token it showed.
#[derive(Debug, Clone)]
pub struct Delegator {
    /// Its SPIFFE ID, as it goes on record.
    pub id: SpiffeId,
    /// Its process.
    pub instance: InstanceId,
    /// Its task.
    pub task: TaskId,
    /// Digest of the task's scope when the token was issued.
    pub scope_digest: Digest,
    /// What the token is good for, if that is less than the task.
    pub grants: Option<Vec<Grant>>,
    /// The token, those it was exchanged from, its key: a fence on one is a fence on the child.
    pub lineage: Vec<Subject>,
    /// The epoch in which the token was issued.
    pub epoch: u64,
}

/// A part of a task to hand on.
#[derive(Debug, Clone)]
pub struct Delegation {
    /// To which agent.
    pub to: AgentName,
    /// To which process of it; the first one that redeems the task, if nothing is said.
    pub instance: Option<InstanceId>,
    /// For what, in the delegator's words.
    pub request: String,
    /// How much.
    pub wish: Wish,
    /// The workflow; the default one if nothing is said.
    pub workflow: Option<WorkflowName>,
    /// A tool server that it must reach.
    pub server: Option<ServerName>,
}

/// What was handed on.
#[derive(Debug, Clone)]
pub struct Delegated {
    /// The child task.
    pub task: Task,
    /// What made it narrower than was asked for.
    pub narrowed_by: Vec<Narrowing>,
}

impl Control {
    /// Opens a child task for an agent, or gives back the open one that it asked for before in the same words: asking again for the same
    /// process is refreshing, not multiplying.
    pub async fn delegate(&self, by: Delegator, ask: Delegation) -> Result<Delegated, Problem> {
        let request = Request {
            text: ask.request.clone(),
            source: RequestSource::Agent,
        };
        check_request(&request)?;
        let id = by.task;
        let parent = self.parts.store.read(move |rows| rows.task(id)).await;
        let parent: Option<Task> = parent.map_err(|error: StoreError| error.problem())?;
        let parent = parent.ok_or_else(|| unknown(id).problem())?;
        // A task's scope and user never change, so what is asked for can be worked out before the transaction that opens it.
        let held = by.scope(&parent).map_err(|error| error.problem())?;
        let asked = ask.wish.below(&held).map_err(|error| error.problem())?;
        let short = ask.wish.is_narrowed_to(&asked);
        let (workflow, stage) = self.first_stage(ask.workflow.clone()).await?;
        let opening = Opening {
            id: self.id(),
            life: DEFAULT_LIFE,
            workflow,
            stage,
            now: self.now(),
            policy: self.parts.policy.current().await?,
            max_depth: self.parts.max_depth,
            cap: self.stage_cap(&parent).await?,
            open: OpenTask {
                agent: ask.to.clone(),
                user: parent.user.clone(),
                request,
                workflow: ask.workflow.clone(),
                scope: Some(draft_of(&asked)),
                ttl: None,
                parent: Some(by.task),
            },
        };
        let actor = Actor::agent(&by.id);
        let opened = self.event(EventType::TaskOpened, &actor, "tasks.delegate");
        let granted = self.event(EventType::DelegationGranted, &actor, "tasks.delegate");
        let journal = Arc::clone(&self.parts.journal);
        let delegated = self
            .parts
            .store
            .write(move |tx| {
                let Opened {
                    mut task,
                    mut narrowed_by,
                    decision,
                    ..
                } = opening.task(tx, &parent.user_pseudonym)?;
                if short {
                    narrowed_by.insert(0, Narrowing::Task);
                }
                task.instance = ask.instance;
                if let Some(instance) = ask.instance {
                    task.labels.join(&tx.instance_labels(instance)?);
                }
                task.lineage.clone_from(&by.lineage);
                by.check(tx, &ask, &parent, &task)?;
                let open = tx.open_children(by.task)?;
                if let Some(task) = open.iter().find(|known| same(known, &task)).cloned() {
                    return Ok(Delegated { task, narrowed_by });
                }
                if open.len() >= MAX_OPEN_CHILDREN {
                    let message = format!(
                        "task {} has {MAX_OPEN_CHILDREN} open tasks below it",
                        by.task
                    );
                    return Err(Problem::new(
                        Code::Overloaded,
                        message,
                        "wait until one of them has ended",
                    )
                    .into());
                }
                tx.put_task(&task)?;
                for event in [&opened, &granted] {
                    let mut told = told(event, tx, &task);
                    told.decision = Some(DecisionRef::of(&decision, 0));
                    journal.push(tx, &told)?;
                }
                Ok::<_, Refusal>(Delegated { task, narrowed_by })
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await?;
        Ok(delegated)
    }

    /// Whether the agent of a task may exchange its token for one of another audience. What policy said is on record before it is told.
    pub async fn may_exchange(
        &self,
        by: &SpiffeId,
        id: TaskId,
        audience: String,
    ) -> Result<(), Problem> {
        let policy = self.parts.policy.current().await?;
        let event = self.event(EventType::ActDecided, &Actor::agent(by), "exchange");
        let (journal, now) = (Arc::clone(&self.parts.journal), self.now());
        let decided = self.parts.store.write(move |tx| {
            let task = tx.task(id)?.ok_or_else(|| unknown(id))?;
            let chain = facts::chain(tx, &task).ok_or_else(|| unknown(id))?;
            let asked = About {
                policy: &policy,
                task: &task,
                chain: &chain,
                now,
                seq: tx.head(),
                facts: known_of(tx, &task, now)?,
            };
            let input = [("audience", Told::Text(&audience))];
            let agent = task.agent.as_str();
            let decision = asked.decide(Act::Exchange, agent, &id.to_string(), &input);
            let mut event = about(event.clone(), tx, &task);
            event.decision = Some(DecisionRef::of(&decision, 0));
            event.change = Some(ChangeRef {
                kind: "audience".to_owned(),
                id: audience.clone(),
                before: None,
                after: None,
            });
            journal.push(tx, &event)?;
            Ok::<_, Refusal>(decision)
        });
        let decision = decided.await.map_err(Refusal::problem)?;
        self.settled().await?;
        act::refusal(&decision).map_or(Ok(()), Err)
    }

    /// What a task may do at most in the stage that it is in: more is not handed on either.
    pub(crate) async fn stage_cap(&self, task: &Task) -> Result<Option<Scope>, Problem> {
        let workflows = self.workflows().await?;
        let workflow = workflows
            .iter()
            .find(|workflow| workflow.name == task.workflow);
        let stage = workflow.and_then(|workflow| workflow.stage(&task.stage));
        match stage {
            Some(stage) => Ok(stage.cap.clone()),
            None => Err(Problem::new(
                Code::StageDenied,
                format!(
                    "the policy bundle has no stage {} of workflow {}",
                    task.stage, task.workflow
                ),
                "an operator moves the task to a stage there is",
            )),
        }
    }
}

impl Delegator {
    /// What it has to hand on: no more than the token is good for, and not beyond the end of its task.
    fn scope(&self, parent: &Task) -> Result<Scope, ScopeError> {
        let whole = &parent.scope;
        let grants = self.grants.as_deref().unwrap_or(whole.grants());
        let end = whole.deadline().min(parent.expires_at);
        Scope::new(grants.to_vec(), *whole.budget(), end, whole.depth())
    }

    /// What holds for a child that an agent opens beyond what holds for every child.
    fn check(
        &self,
        tx: &mut dyn Tx,
        ask: &Delegation,
        seen: &Task,
        child: &Task,
    ) -> Result<(), Refusal> {
        let refuse = |code, message: String, help: &str| {
            Err(Refusal::Problem(Problem::new(code, message, help)))
        };
        if facts::epoch(tx)? != self.epoch {
            let message = "the token is from before the store was restored".to_owned();
            return refuse(
                Code::EpochOld,
                message,
                "attest again and ask for a new token",
            );
        }
        let Some(parent) = tx.task(self.task)? else {
            return Err(unknown(self.task).into());
        };
        if parent.instance != Some(self.instance) || parent.scope_digest != self.scope_digest {
            let message = "the token is for another process or scope than the task has".to_owned();
            return refuse(Code::TokenInvalid, message, "ask for a new token");
        }
        if (&parent.workflow, &parent.stage) != (&seen.workflow, &seen.stage) {
            let message = "the task was moved to another stage meanwhile".to_owned();
            return refuse(Code::Conflict, message, "ask again");
        }
        let holder = tx.instance(self.instance)?;
        let holds =
            holder.is_some_and(|row| row.is_live(child.created_at) && row.agent == parent.agent);
        let enabled = tx.agent(&parent.agent)?.is_some_and(|agent| agent.enabled);
        if !holds || !enabled {
            let message = format!("{} is no live process of an enabled agent", self.instance);
            return refuse(Code::NoIdentity, message, "attest again");
        }
        // Held against the task's scope by the opening; the token may be good for less, and the task ends before its scope does.
        let held = self.scope(&parent).map_err(|error| error.problem())?;
        child
            .scope
            .within(&held)
            .map_err(|widening| widening.problem())?;
        if let Some(server) = &ask.server
            && (tx.server(server)?.is_none() || !child.scope.names_server(server.as_str()))
        {
            let message = format!("the delegated scope has no grant on a server `{server}`");
            return refuse(Code::ResourceUnknown, message, "ask for another resource");
        }
        if let Some(instance) = ask.instance {
            let live = tx
                .instance(instance)?
                .is_some_and(|row| row.is_live(child.created_at) && row.agent == ask.to);
            if !live {
                let message = format!("{instance} is no live process of agent {}", ask.to);
                return refuse(Code::NoIdentity, message, "attest again");
            }
        }
        let chain = facts::chain(tx, child).ok_or_else(|| {
            Problem::new(Code::Conflict, "the chain of the task is not complete", "")
        })?;
        if let Some(twice) = chain.repeats() {
            let message = format!("instance {twice} already acts further up in this chain");
            return refuse(
                Code::DelegationLoop,
                message,
                "a task is handed on to another process",
            );
        }
        // Again, now with the token, its parents and its key among the subjects.
        if let Some(fence) = facts::fenced(tx, &chain.subjects())? {
            let message = format!("{} is revoked: {}", fence.subject, fence.reason);
            return refuse(Code::Revoked, message, "see `bailiwick fence list`");
        }
        Ok(())
    }
}

/// Whether an open child is what is asked for now: for the same process, with the same token, in the same words.
fn same(known: &Task, asked: &Task) -> bool {
    asked.instance.is_some()
        && known.instance == asked.instance
        && known.agent == asked.agent
        && known.lineage == asked.lineage
        && known.request == asked.request
        && known.workflow == asked.workflow
        && known.scope_digest == asked.scope_digest
}

fn draft_of(scope: &Scope) -> Draft {
    Draft {
        grants: scope.grants().to_vec(),
        budget: *scope.budget(),
        deadline: Some(scope.deadline()),
        depth: Some(scope.depth()),
    }
}

/// Fills in what an event says of the child task.
fn told(event: &Event, tx: &dyn Tx, task: &Task) -> Event {
    let delegated = event.kind == EventType::DelegationGranted;
    let mut event = about(event.clone(), tx, task);
    event.change = Some(ChangeRef {
        kind: if delegated { "delegation" } else { "task" }.to_owned(),
        id: task.id.to_string(),
        before: task.parent.filter(|_| delegated).map(|id| id.to_string()),
        after: Some(if delegated {
            task.scope_digest.to_string()
        } else {
            format!("{} until {}", task.scope_digest, task.expires_at)
        }),
    });
    if !delegated {
        event.sealed.push(crate::tasks::sealed_request(task));
    }
    event
}
