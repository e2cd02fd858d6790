//! The decision about one call, made here on the replica: fences → task → definition → scope → budget → policy. Nothing before policy
//! can be overridden by it. No network, and no lock held while policy runs.

mod acts;
mod again;
mod ask;
mod decided;
mod doings;
mod egress;
mod facts;
mod fetch;
mod lease;
mod observed;
mod raised;
mod refusals;
mod rows;
mod task;

use std::sync::Arc;

use bailiwick_core::budget::Usage;
use bailiwick_core::decision::{Decision, Outcome};
use bailiwick_core::id::TaskId;
use bailiwick_core::json::Text;
use bailiwick_core::name::{ServerName, ToolName};
use bailiwick_core::task::TaskState;
use bailiwick_core::{Clock, Code, Effect, Problem, Timestamp};
use bailiwick_policy::{Input, Recorded, Terms, most_often, shadow};

use crate::budgets::Budgets;
use crate::caller::Caller;
use crate::catalogue::LastShown;
use crate::duties::{Rates, nowhere};
use crate::labels;
use crate::policies::{Compiled, Policies};
use crate::provenance::Provenance;
use crate::reevaluate::{Backlog, Questions};
use crate::replica::{Replica, View};
use crate::trial::Tried;
use decided::Asked;
use observed::enforced;
use raised::raised;
use refusals::{
    Refusal, definition_refusal, fence_refusal, no_policy, refuse, scope_refusal, stage_refusal,
};
use rows::Rows;

pub(crate) use again::{Again, Standing, StandingCall, StandingEgress, StandingFetch};
pub use decided::Decided;
pub(crate) use decided::Known;
pub use egress::Egress;
pub(crate) use fetch::OwnedWhat;
pub use fetch::{Fetch, What};

/// Kinds of duty that the gateway performs. Any other duty of a policy is a refusal.
pub const PERFORMS: &[&str] = &["deliver", "label", "max_bytes", "notify", "rate", "redact"];

/// Decides on this process's replica.
pub struct LocalDecider {
    replica: Arc<Replica>,
    budgets: Arc<Budgets>,
    policies: Arc<Policies>,
    clock: Arc<dyn Clock>,
    provenance: Provenance,
    rates: Rates,
    backlog: Arc<Backlog>,
    /// Calls that wait for people, as they were decided.
    asked: Questions,
}

/// A call to be decided.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Who calls.
    pub caller: &'a Caller,
    /// The server.
    pub server: &'a ServerName,
    /// The tool.
    pub tool: &'a ToolName,
    /// The arguments as received: a checked JSON object.
    pub arguments: &'a Text<'a>,
    /// The digest that this upstream session showed last for the tool.
    pub shown: LastShown,
    /// Tokens that an approval at hand discharges.
    pub discharged: &'a [String],
    /// Whether an allowed call is counted now. A look ahead counts nothing.
    pub count: bool,
}

impl LocalDecider {
    /// A decider on this replica.
    pub fn new(
        replica: Arc<Replica>,
        budgets: Arc<Budgets>,
        policies: Arc<Policies>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let backlog = Arc::new(Backlog::new(Arc::clone(&clock)));
        Self {
            replica,
            budgets,
            policies,
            clock,
            provenance: Provenance::default(),
            rates: Rates::default(),
            backlog,
            asked: Questions::default(),
        }
    }

    /// Decides one call. The caller must be in the live index already: the fences are checked after that, not before.
    pub async fn decide(&self, call: &Call<'_>) -> Decided {
        let rows = || {
            let mut rows = self.rows(call.caller, call.server, Some(call.tool))?;
            if let Some(tool) = &rows.tool {
                rows.effect = raised(tool.effect, &tool.binding, call.arguments);
            }
            Ok(rows)
        };
        let decide = |rows: &Rows, policy: Result<&Compiled, &Problem>, now| {
            self.decide_rows(call, rows, policy, now)
        };
        self.decided(rows, decide).await
    }

    /// Whether this caller may talk to this server at all now: fences, task state, and a grant that names the server.
    pub fn admit(&self, caller: &Caller, server: &ServerName) -> Result<View, Problem> {
        let rows = self.rows(caller, server, None)?;
        let refused = fence_refusal(&rows).or_else(|| self.task_refusal(&rows));
        if let Some((code, _, reason, fix)) = refused {
            return Err(Problem::new(code, reason, fix));
        }
        let named = rows.view.task.scope.names_server(server.as_str());
        if !named || !caller.names_server(server) {
            let help = "ask for a task whose scope has a grant for this server";
            return Err(Problem::new(
                Code::ScopeExceeded,
                format!("no grant of the task or its token names server {server}"),
                help,
            ));
        }
        Ok(rows.view)
    }

    /// The compiled policy, for list filters.
    pub async fn policy(&self) -> Result<Arc<Compiled>, Problem> {
        self.policies.current(&self.replica).await
    }

    /// What a task has used.
    pub fn usage(&self, task: TaskId) -> Usage {
        self.budgets.usage(task)
    }

    /// Forgets what ended tasks have used.
    pub fn sweep(&self) {
        // While the replica is closed nothing is forgotten: nothing is called either.
        let _ = self.replica.view(|state| {
            let lives = |task| {
                state
                    .task(task)
                    .is_none_or(|row| row.state == TaskState::Open)
            };
            self.budgets.retain(lives);
            self.provenance.retain(lives);
            self.rates.sweep(self.clock.monotonic());
            self.asked.sweep(self.clock.wall());
        });
    }

    /// What has changed and is not decided again everywhere yet.
    pub fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    /// The calls that wait for people.
    pub(crate) fn questions(&self) -> &Questions {
        &self.asked
    }

    /// The replica it decides on.
    pub fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    /// The decision, and what policy was asked with if it was asked.
    fn decide_rows(
        &self,
        call: &Call<'_>,
        rows: &Rows,
        policy: Result<&Compiled, &Problem>,
        now: Timestamp,
    ) -> Asked {
        let versions = rows.versions;
        let refuse = |refusal| Asked::from(refuse(refusal, versions));
        let before = fence_refusal(rows)
            .or_else(|| self.task_refusal(rows))
            .or_else(|| definition_refusal((call.server, call.tool), call.shown, rows))
            .or_else(|| scope_refusal(call, rows))
            .or_else(|| self.budget_refusal(rows, rows.effect, false));
        if let Some(refusal) = before {
            return refuse(refusal);
        }
        let (compiled, tool) = match (policy, &rows.tool) {
            (Ok(compiled), Some(tool)) => (compiled, tool),
            (Err(problem), _) => return refuse(no_policy(problem)),
            // Refused above as unknown; a tool that is not there is never decided on.
            (_, None) => {
                let message = "no such tool".to_owned();
                return refuse((Code::ToolUnknown, "definition", message, String::new()));
            }
        };
        let items = labels::items(&self.replica, call.server, &tool.binding, call.arguments);
        let items = match items {
            Ok(items) => items,
            Err(problem) => return refuse((problem.code, "items", problem.message, problem.help)),
        };
        let usage = self.budgets.usage(rows.view.task.id);
        let (facts, judged) = self.facts(call, rows, items, (&usage, now));
        let input = Input {
            agent: &rows.view.agent,
            instance: Some(&rows.view.instance),
            chain: &rows.view.chain,
            task: &rows.view.task,
            server: &rows.server,
            tool,
            effect: rows.effect,
            arguments: call.arguments.as_str(),
            now,
            discharged: call.discharged,
            performs: PERFORMS,
            usage: &usage,
            facts: &facts,
            versions,
        };
        // The record has the arguments beside it.
        let bare = Input {
            arguments: "",
            ..input
        };
        let sealed = Some(Recorded::of(&bare).sealed());
        if let Some(refusal) = stage_refusal(call, rows, compiled.bundle.workflows()) {
            return Asked {
                input: sealed,
                ..refuse(refusal)
            };
        }
        let mut asked = Asked {
            input: sealed,
            ..Asked::from(compiled.bundle.decide(&input))
        };
        asked.judged = judged;
        asked.tried = self.tried(rows, &input, &asked.decision);
        asked.known = Some(Arc::new(Known { facts, usage }));
        asked.decision = enforced(asked.decision, &rows.rollout, now);
        if asked.decision.outcome == Outcome::Allow
            && let Some(refusal) = self.duty_refusal(&asked.decision, call, rows)
        {
            return Asked {
                decision: refuse(refusal).decision,
                ..asked
            };
        }
        // Counted last, and only if allowed: of many calls at once exactly as many pass as the budget has left.
        if call.count
            && asked.decision.outcome == Outcome::Allow
            && let Some(refusal) = self.budget_refusal(rows, rows.effect, true)
        {
            return refuse(refusal);
        }
        asked
    }

    /// What the bundle that is tried says, if one is.
    fn tried(&self, rows: &Rows, input: &Input<'_>, decision: &Decision) -> Option<Tried> {
        let bundle = rows.rollout.shadow.as_ref()?.digest;
        let ready = self.policies.tried(&self.replica, bundle, rows.registry);
        Some(Tried {
            bundle,
            said: ready.and_then(|tried| shadow(&tried.bundle, input, decision)),
            decided: Terms::of(decision),
        })
    }

    /// A duty that cannot be performed for this very call, or calls that come too often. Those are counted with it.
    fn duty_refusal(&self, decision: &Decision, call: &Call<'_>, rows: &Rows) -> Option<Refusal> {
        let tool = rows.tool.as_ref()?;
        if let Some(label) = nowhere(&decision.obligations, &tool.binding) {
            let reason = format!(
                "policy wants `{label}` taken out of the answer, and nobody has said where in it that stands"
            );
            let fix = "an operator says it with `paths`: bailiwick tool bind".to_owned();
            return Some((Code::UnsupportedObligation, "redact", reason, fix));
        }
        let most = most_often(decision).filter(|_| call.count)?;
        let (agent, now) = (&rows.view.agent.name, self.clock.monotonic());
        let wait = self.rates.take(agent, &tool.tool, most, now).err()?;
        let reason = format!(
            "policy lets this agent call the tool {} times in {} s",
            most.0,
            most.1.as_secs()
        );
        let fix = format!("call again after {} s", wait.as_secs().max(1));
        Some((Code::RateLimited, "rate", reason, fix))
    }

    fn budget_refusal(&self, rows: &Rows, effect: Effect, count: bool) -> Option<Refusal> {
        let (budgets, now) = (&rows.view.budgets, self.clock.wall());
        let fits = if count {
            self.budgets.reserve(budgets, effect, now)
        } else {
            self.budgets.fits(budgets, effect, now)
        };
        let exhausted = fits.err()?;
        let fix = "open a new task, or ask for one with a larger budget".to_owned();
        Some((Code::BudgetExhausted, "budget", exhausted.to_string(), fix))
    }
}

#[cfg(test)]
mod tests;
