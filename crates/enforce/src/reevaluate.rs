//! Continuous evaluation at this point (07): when something above a call changed, everything that it concerns is decided again, and what
//! is no longer allowed is cut with the change's event as its cause. What would need a person by now is cut too (decision 29).

mod backlog;
mod questions;

use std::collections::HashMap;
use std::sync::Arc;

use bailiwick_core::approval::Approval;
use bailiwick_core::id::{EventId, TaskId};
use bailiwick_core::trigger::Trigger;
use bailiwick_core::{Fault as _, Problem};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::decider::{Again, Decided, Standing, StandingCall};
use crate::gateway::Gateway;
use crate::live::{Cut, Entered, Stands};
use crate::policies::Compiled;
pub use backlog::{Backlog, LATE, MAX_WAITING, Side};
pub(crate) use questions::Questions;

/// Things decided again by one worker before the next one begins.
const CHUNK: usize = 64;
/// Times that the bundle is compiled anew because the registry changed meanwhile. After that what was not decided is cut.
const MAX_ROUNDS: usize = 4;

impl Gateway {
    /// Decides again what changes concern, as they come, until `stop`.
    pub async fn reevaluate(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.decider.backlog().news() => {}
            }
            self.decide_again().await;
        }
    }

    /// Decides again what the changes concern that came since the last time; how many calls and streams that cut.
    pub async fn decide_again(&self) -> usize {
        let backlog = self.decider.backlog();
        let waiting = backlog.waiting_here();
        let Some(newest) = waiting.last().map(|(seq, ..)| *seq) else {
            return 0;
        };
        let mut concerned: HashMap<u64, (Stands, Option<EventId>)> = HashMap::new();
        let live = self.decider.replica().live();
        for (_, trigger, event) in &waiting {
            for (key, stands) in live.standing(trigger) {
                concerned.entry(key).or_insert((stands, *event));
            }
        }
        let cut = self
            .decide_all_again(concerned.into_values().collect())
            .await;
        for took in backlog.done(Side::Point, newest) {
            self.metrics.decided_again(took);
        }
        self.metrics.cut_again(cut);
        cut
    }

    async fn decide_all_again(&self, mut all: Vec<(Stands, Option<EventId>)>) -> usize {
        let mut cut = 0;
        for _ in 0..MAX_ROUNDS {
            if all.is_empty() {
                return cut;
            }
            let policy = self.policy_again().await;
            let mut workers = JoinSet::new();
            while !all.is_empty() {
                let rest = all.split_off(all.len().min(CHUNK));
                let chunk = std::mem::replace(&mut all, rest);
                let (decider, policy) = (Arc::clone(&self.decider), policy.clone());
                workers.spawn_blocking(move || {
                    let policy = policy.as_ref().map(Arc::as_ref);
                    let (mut cut, mut stale) = (0, Vec::new());
                    for (stands, event) in chunk {
                        match decider.again(stands.standing(), &stands.brings(), policy) {
                            Again::Stands => {}
                            Again::Falls(why) => {
                                cut += usize::from(stands.cut(&Cut::by(event, &why)));
                            }
                            Again::Stale => stale.push((stands, event)),
                        }
                    }
                    (cut, stale)
                });
            }
            while let Some(done) = workers.join_next().await {
                // A decision that panics is a defect; the process does not go on from one.
                if let Ok((more, stale)) = done {
                    cut += more;
                    all.extend(stale);
                }
            }
        }
        let why = "the registry changes faster than policy can follow";
        let late = all.iter();
        cut + late
            .filter(|(stands, event)| stands.cut(&Cut::by(*event, why)))
            .count()
    }

    /// Control has worked off everything up to this change.
    pub fn control_done(&self, seq: u64) {
        for took in self.decider.backlog().done(Side::Control, seq) {
            self.metrics.decided_again(took);
        }
    }

    /// A budget of a task is used up: news that go on in it, or below it, end.
    pub(crate) async fn budget_used_up(&self, task: TaskId, event: Option<EventId>) {
        let live = self.decider.replica().live();
        let concerned = live.standing(&Trigger::Task(task));
        let concerned = concerned.into_iter().map(|(_, stands)| (stands, event));
        let cut = self.decide_all_again(concerned.collect()).await;
        self.metrics.cut_again(cut);
    }

    /// Notes what a live thing was decided on, and decides it once more if something has changed since then: a change that came between
    /// found nothing here to decide.
    pub(crate) async fn stands(&self, entered: &Entered, decided: &Decided, standing: Standing) {
        let stands = entered.stands(standing);
        let seq = decided.decision.versions.replica_seq;
        if self.decider.replica().applied() == seq {
            return;
        }
        self.decide_all_again(vec![(stands, None)]).await;
    }

    /// Whether an approval is still the one to ask for, and with it the call would go on. What this point does not remember, because it
    /// was started since, is not.
    pub async fn still_asks(&self, approval: &Approval) -> Result<(), String> {
        let Some(call) = self.decider.questions().of(approval.id) else {
            return Err("the node was started since, and a change concerns the call".to_owned());
        };
        for _ in 0..MAX_ROUNDS {
            let policy = self.policy_again().await;
            match self.asks_again(&call, approval, policy.as_ref().map(Arc::as_ref)) {
                Again::Stands => return Ok(()),
                Again::Falls(why) => return Err(why),
                Again::Stale => {}
            }
        }
        Err("the registry changes faster than policy can follow".to_owned())
    }

    fn asks_again(
        &self,
        call: &StandingCall,
        approval: &Approval,
        policy: Result<&Compiled, &Problem>,
    ) -> Again {
        self.decider.still_asks(call, approval, policy)
    }

    async fn policy_again(&self) -> Result<Arc<Compiled>, Problem> {
        let policy = self.decider.policy().await;
        if let Err(problem) = &policy {
            tracing::error!(%problem, code = %problem.code(), "what is live cannot be decided again, so it is cut");
        }
        policy
    }

    /// What has changed and is not decided again everywhere yet.
    pub fn backlog(&self) -> &Arc<Backlog> {
        self.decider.backlog()
    }
}

#[cfg(test)]
mod tests;
