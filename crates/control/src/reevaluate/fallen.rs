//! What of the things that a change concerns is no longer allowed. What would need a person by now is not: nobody can be asked about what
//! is held already (decision 29).

use bailiwick_core::Problem;
use bailiwick_core::id::{ApprovalId, EventId, LeaseId, TaskId};
use bailiwick_core::lease::{Lease, Wanted};
use bailiwick_core::scope::Scope;
use bailiwick_core::task::{RequestSource, Task};
use bailiwick_policy::{Bundle, act};

use super::Judge;
use super::affected::{Affected, By, TaskAgain};
use crate::Control;
use crate::tasks::About;

/// What ends, each with the event that makes it so.
#[derive(Debug, Clone, Default)]
pub(super) struct Fallen {
    pub(super) tasks: Vec<(TaskId, Option<EventId>)>,
    pub(super) leases: Vec<(LeaseId, Option<EventId>)>,
    /// With the version that was judged.
    pub(super) approvals: Vec<(ApprovalId, u64, Option<EventId>)>,
}

impl Control {
    /// Decides again what changes concern.
    pub(super) async fn fallen(
        &self,
        judge: &dyn Judge,
        affected: Affected,
    ) -> Result<Fallen, Problem> {
        let mut fallen = Fallen::default();
        if affected.tasks.is_empty() {
            return Ok(fallen);
        }
        // Without policy nothing is ended and nothing new begins: it is tried again.
        let policy = self.parts.policy.current().await?;
        let (now, seq) = (self.now(), affected.seq);
        for again in affected.tasks {
            if let Some(By(event)) = again.itself
                && let Err(why) = self.task_again(&policy, &again, seq)
            {
                tracing::info!(task = %again.task.id, why, "a task may not go on");
                fallen.tasks.push((again.task.id, event));
                continue;
            }
            for (lease, event) in &again.leases {
                let about = again.chain.as_ref().map(|chain| About {
                    policy: &policy,
                    task: &again.task,
                    chain,
                    now,
                    seq,
                    facts: again.facts.clone(),
                });
                let allowed = about.is_some_and(|about| {
                    wanted(lease).is_some_and(|want| {
                        let said = self.lease_said(&about, &want);
                        said.is_none_or(|said| act::refusal(&said).is_none())
                    })
                });
                if !allowed {
                    fallen.leases.push((lease.id, *event));
                }
            }
            for (approval, event) in &again.approvals {
                if let Err(why) = judge.still_asks(approval).await {
                    tracing::info!(approval = %approval.id, why, "an approval no longer fits");
                    fallen
                        .approvals
                        .push((approval.id, approval.version, *event));
                }
            }
        }
        Ok(fallen)
    }

    /// Whether a task may go on as it is: its agent may act, may have that much, and was handed it by one who still may.
    fn task_again(&self, policy: &Bundle, again: &TaskAgain, seq: u64) -> Result<(), String> {
        let task = &again.task;
        let agent = again.agent.as_ref().filter(|agent| agent.enabled);
        let agent = agent.ok_or("its agent is disabled or removed")?;
        within(&task.scope, &agent.ceiling)
            .map_err(|widening| format!("its agent may not have that much: {widening}"))?;
        if task.parent.is_none() {
            return Ok(());
        }
        let (parent, chain, known) = again
            .parent
            .as_ref()
            .ok_or("what it was delegated from is gone")?;
        // Of what a person opened below a task, the stage was no bound.
        let handed_on = task.request.source == RequestSource::Agent;
        if let Some(cap) = cap(policy, parent)?.filter(|_| handed_on) {
            within(&task.scope, &cap).map_err(|widening| {
                format!("the stage above it does not hand on that much: {widening}")
            })?;
        }
        let about = About {
            policy,
            task: parent,
            chain: chain.as_ref().ok_or("the chain above it is not complete")?,
            now: self.now(),
            seq,
            facts: known.clone(),
        };
        let life = task.expires_at.since(task.created_at).as_secs();
        let decision = about.delegate(&task.agent, life);
        act::refusal(&decision).map_or(Ok(()), |problem| Err(problem.message))
    }
}

/// Whether a scope lies within a bound. The order of scopes misses what only several grants together cover; then the meet says it.
fn within(scope: &Scope, bound: &Scope) -> Result<(), String> {
    let Err(widening) = scope.within(bound) else {
        return Ok(());
    };
    match scope.meet(bound) {
        Ok(both) if both.canonical() == scope.canonical() => Ok(()),
        _ => Err(widening.to_string()),
    }
}

/// What a task may hand on in its stage; none if that is no bound.
fn cap(policy: &Bundle, task: &Task) -> Result<Option<Scope>, String> {
    let workflow = policy.workflows().named(&task.workflow);
    let stage = workflow.and_then(|workflow| workflow.stage(&task.stage));
    let stage = stage.ok_or("policy has no such stage any more")?;
    Ok(stage.cap.clone())
}

/// What a lease was asked for; none if nobody holds it.
fn wanted(lease: &Lease) -> Option<Wanted> {
    Some(Wanted {
        server: lease.server.clone(),
        credential: lease.credential.clone(),
        task: lease.task,
        instance: lease.instance?,
        agent: lease.agent.clone(),
        cause: None,
        delivery: lease.delivery,
        ttl: Some(lease.not_after.since(lease.created_at)),
        idempotency_key: None,
        lineage: lease.lineage.clone(),
        decision: None,
    })
}
