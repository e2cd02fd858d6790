//! Binding a task to the process that acts in it, for callers that the node attests itself and that ask for no token (`mcp.sock`).

use std::sync::Arc;

use bailiwick_core::event::{EventType, TaskRef};
use bailiwick_core::id::TaskId;
use bailiwick_core::instance::Instance;
use bailiwick_core::task::Task;
use bailiwick_core::{Code, Problem};

use crate::tools::Refusal;
use crate::{Actor, Control};

impl Control {
    /// The task, bound to this instance if it was bound to none. Another agent's task, or one that another process acts in, is as
    /// good as none: ids are no oracle.
    pub async fn bind(&self, id: TaskId, instance: &Instance) -> Result<Task, Problem> {
        let event = self.event(EventType::TaskChanged, &Actor::system(), "tasks.bind");
        let (journal, now) = (Arc::clone(&self.parts.journal), self.now());
        let (instance, agent) = (instance.id, instance.agent.clone());
        let task = self
            .parts
            .store
            .write(move |tx| {
                let missing = || {
                    let message = format!("there is no open task {id} for agent {agent}");
                    Refusal::Problem(Problem::new(
                        Code::NotFound,
                        message,
                        "open one: bailiwick task open",
                    ))
                };
                let live = tx
                    .instance(instance)?
                    .is_some_and(|row| row.is_live(now) && row.agent == agent);
                let task = tx.task(id)?.filter(|task| live && task.agent == agent);
                let mut task = task.ok_or_else(missing)?;
                if task.instance.is_some_and(|bound| bound != instance) {
                    return Err(missing());
                }
                if let Some(code) = task.refusal(now) {
                    let message = format!("task {id} is {}", task.state.as_str());
                    return Err(Refusal::Problem(Problem::new(
                        code,
                        message,
                        "open a new task",
                    )));
                }
                if task.instance.is_none() {
                    task.instance = Some(instance);
                    task.labels.join(&tx.instance_labels(instance)?);
                    task.version += 1;
                    tx.put_task(&task)?;
                    let mut event = event.clone();
                    event.task = Some(TaskRef::of(&task));
                    event.user = Some(task.user_pseudonym.clone());
                    journal.push(tx, &event)?;
                }
                Ok::<_, Refusal>(task)
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await?;
        Ok(task)
    }
}
