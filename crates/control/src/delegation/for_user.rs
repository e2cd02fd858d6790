//! An agent opens a task for a person by what an outside issuer says of them (RFC 8693, 02 §5). Whoever calls this has verified the person's
//! token, and that the operator lets this agent act for people of that issuer.

use std::sync::Arc;

use bailiwick_core::budget::Budget;
use bailiwick_core::event::{DecisionRef, EventType};
use bailiwick_core::id::InstanceId;
use bailiwick_core::name::{AgentName, ServerName, UserId, WorkflowName};
use bailiwick_core::scope::{Draft, Narrowing, Scope, Wish};
use bailiwick_core::spiffe_id::SpiffeId;
use bailiwick_core::task::{DEFAULT_LIFE, Request, RequestSource, Task};
use bailiwick_core::{Code, Problem, Timestamp};
use bailiwick_store::{Tx, facts};

use super::{Delegated, same, told};
use crate::tasks::{OpenTask, Opened, Opening, check_request};
use crate::tools::Refusal;
use crate::{Actor, Control};

/// Open tasks that one process may have for one person. Beyond it they wait until one has ended.
pub const MAX_OPEN_ROOTS: usize = 64;

/// A task for a person.
#[derive(Debug, Clone)]
pub struct ForUser {
    /// The SPIFFE ID of whoever asks, as it goes on record.
    pub by: SpiffeId,
    /// Its agent.
    pub agent: AgentName,
    /// Its process.
    pub instance: InstanceId,
    /// The person.
    pub user: UserId,
    /// When what says so ends. The task does not outlive it.
    pub until: Timestamp,
    /// For what, in the agent's words.
    pub request: String,
    /// How much of the agent's ceiling.
    pub wish: Wish,
    /// The workflow; the default one if nothing is said.
    pub workflow: Option<WorkflowName>,
    /// A tool server that it must reach.
    pub server: ServerName,
}

impl Control {
    /// Opens a root task for a person, or gives back the open one that the same process asked for before in the same words.
    pub async fn open_for_user(&self, ask: ForUser) -> Result<Delegated, Problem> {
        let request = Request {
            text: ask.request.clone(),
            source: RequestSource::Agent,
        };
        check_request(&request)?;
        let (workflow, stage) = self.first_stage(ask.workflow.clone()).await?;
        let now = self.now();
        let opening = Opening {
            id: self.id(),
            life: DEFAULT_LIFE.min(ask.until.since(now)),
            workflow,
            stage,
            now,
            policy: self.parts.policy.current().await?,
            max_depth: self.parts.max_depth,
            cap: None,
            open: OpenTask {
                agent: ask.agent.clone(),
                user: ask.user.clone(),
                request,
                workflow: ask.workflow.clone(),
                scope: ask.draft(),
                ttl: None,
                parent: None,
            },
        };
        let actor = Actor::agent(&ask.by);
        let event = self.event(EventType::TaskOpened, &actor, "tasks.open_for_user");
        let (journal, pseudonym) = (Arc::clone(&self.parts.journal), self.pseudonym());
        let opened = self.parts.store.write(move |tx| {
            let Opened {
                mut task, decision, ..
            } = opening.task(tx, &pseudonym)?;
            task.instance = Some(ask.instance);
            task.labels.join(&tx.instance_labels(ask.instance)?);
            ask.check(tx, &task)?;
            let narrowed = ask.is_narrowed_to(&task.scope);
            let narrowed_by = narrowed.then_some(Narrowing::Ceiling).into_iter().collect();
            let mut open = tx.open_tasks_of_user(&ask.user)?;
            open.retain(|known| known.parent.is_none() && known.instance == task.instance);
            if let Some(task) = open.iter().find(|known| same(known, &task)).cloned() {
                return Ok(Delegated { task, narrowed_by });
            }
            if open.len() >= MAX_OPEN_ROOTS {
                let message = format!(
                    "{} has {MAX_OPEN_ROOTS} open tasks for that user",
                    ask.instance
                );
                let help = "wait until one of them has ended";
                return Err(Problem::new(Code::Overloaded, message, help).into());
            }
            tx.put_task(&task)?;
            let mut event = told(&event, tx, &task);
            event.decision = Some(DecisionRef::of(&decision, 0));
            journal.push(tx, &event)?;
            Ok::<_, Refusal>(Delegated { task, narrowed_by })
        });
        let opened = opened.await.map_err(Refusal::problem)?;
        self.settled().await?;
        Ok(opened)
    }
}

impl ForUser {
    fn draft(&self) -> Option<Draft> {
        match &self.wish {
            Wish::Whole => None,
            Wish::Words(grants) => Some(Draft {
                grants: grants.clone(),
                budget: Budget::default(),
                deadline: None,
                depth: None,
            }),
            Wish::Exact(draft) => Some(draft.clone()),
        }
    }

    /// Whether more was asked for than the agent's ceiling has.
    fn is_narrowed_to(&self, granted: &Scope) -> bool {
        match &self.wish {
            Wish::Exact(draft) => granted
                .with_grants(draft.grants.clone())
                .is_ok_and(|asked| asked.grants() != granted.grants()),
            wish => wish.is_narrowed_to(granted),
        }
    }

    /// What holds beyond what holds for every root task.
    fn check(&self, tx: &dyn Tx, task: &Task) -> Result<(), Refusal> {
        let refuse = |code, message: String, help: &str| {
            Err(Refusal::Problem(Problem::new(code, message, help)))
        };
        let row = tx.instance(self.instance)?;
        let live = row.is_some_and(|row| {
            row.is_live(task.created_at) && row.agent == self.agent && row.client.is_none()
        });
        if !live {
            let message = format!(
                "{} is no live process of agent {}",
                self.instance, self.agent
            );
            return refuse(Code::NoIdentity, message, "attest again");
        }
        let there = tx.server(&self.server)?.is_some();
        if !there || !task.scope.names_server(self.server.as_str()) {
            let message = format!("the scope has no grant on a server `{}`", self.server);
            return refuse(Code::ResourceUnknown, message, "ask for another resource");
        }
        // Again, now with the process among the subjects.
        let chain = facts::chain(tx, task).ok_or_else(|| {
            Problem::new(Code::Conflict, "the chain of the task is not complete", "")
        })?;
        if let Some(fence) = facts::fenced(tx, &chain.subjects())? {
            let message = format!("{} is revoked: {}", fence.subject, fence.reason);
            return refuse(Code::Revoked, message, "see `bailiwick fence list`");
        }
        Ok(())
    }
}
