//! The decision about one call, made here on the replica: fences → task → definition → scope → budget → policy. Nothing before policy
//! can be overridden by it. No network, and no lock held while policy runs.

mod refusals;

use std::sync::Arc;

use bailiwick_core::budget::Usage;
use bailiwick_core::decision::{Decision, Outcome, Versions, WouldBe};
use bailiwick_core::definition::Tool;
use bailiwick_core::fence::Fence;
use bailiwick_core::id::TaskId;
use bailiwick_core::json::Text;
use bailiwick_core::name::{CredentialName, ServerName, ToolName};
use bailiwick_core::rollout::Rollout;
use bailiwick_core::server::Server;
use bailiwick_core::task::TaskState;
use bailiwick_core::{Clock, Code, Digest, Fault, Problem, Timestamp};
use bailiwick_policy::act::{self, Act, Told};
use bailiwick_policy::{Input, NO_FACTS, Recorded, Terms, shadow};

use crate::budgets::Budgets;
use crate::caller::Caller;
use crate::policies::{Compiled, Policies};
use crate::replica::{Replica, State, View};
use crate::trial::Tried;
use refusals::{Refusal, definition_refusal, fence_refusal, scope_refusal, stage_refusal};

/// Kinds of duty that the gateway performs. Any other duty of a policy is a refusal.
pub const PERFORMS: &[&str] = &["deliver", "max_bytes"];
/// Times that a decision starts anew because the registry changed under it, before it gives up.
const MAX_ROUNDS: usize = 4;

/// Decides on this process's replica.
pub struct LocalDecider {
    replica: Arc<Replica>,
    budgets: Arc<Budgets>,
    policies: Arc<Policies>,
    clock: Arc<dyn Clock>,
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
    /// The digest that this upstream session showed last for the tool; none if it never showed it, `Some(None)` if it showed two.
    pub shown: Option<Option<Digest>>,
    /// Tokens that an approval at hand discharges.
    pub discharged: &'a [String],
    /// Whether an allowed call is counted now. A look ahead counts nothing.
    pub count: bool,
}

/// A decision with the rows it was made on.
#[derive(Debug)]
pub struct Decided {
    /// The outcome.
    pub decision: Decision,
    /// The caller's rows; none if they are not known.
    pub view: Option<View>,
    /// The server.
    pub server: Option<Arc<Server>>,
    /// The tool.
    pub tool: Option<Arc<Tool>>,
    /// What policy was asked with, as the record keeps it; none if the call was refused before policy.
    pub input: Option<Vec<u8>>,
    /// What the bundle that is tried says, if one is and policy was asked.
    pub tried: Option<Tried>,
    /// Whether policy was observed and not enforced.
    pub observed: bool,
    /// Microseconds it took.
    pub us: u64,
}

impl Decided {
    /// Whether the call may go on.
    pub fn allowed(&self) -> bool {
        self.decision.outcome == Outcome::Allow
    }
}

/// What the checks before policy look at, taken at one moment.
struct Rows {
    view: View,
    server: Arc<Server>,
    tool: Option<Arc<Tool>>,
    fence: Option<Fence>,
    versions: Versions,
    registry: u64,
    rollout: Arc<Rollout>,
}

/// A decision with what policy was asked.
struct Asked {
    decision: Decision,
    input: Option<Vec<u8>>,
    tried: Option<Tried>,
}

impl Asked {
    fn before_policy(decision: Decision) -> Self {
        Self {
            decision,
            input: None,
            tried: None,
        }
    }
}

impl LocalDecider {
    /// A decider on this replica.
    pub fn new(
        replica: Arc<Replica>,
        budgets: Arc<Budgets>,
        policies: Arc<Policies>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            replica,
            budgets,
            policies,
            clock,
        }
    }

    /// Decides one call. The caller must be in the live index already: the fences are checked after that, not before.
    pub async fn decide(&self, call: &Call<'_>) -> Decided {
        let started = self.clock.monotonic();
        let mut decided = self.decide_untimed(call).await;
        decided.us = micros(self.clock.monotonic().saturating_sub(started));
        decided
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

    /// Whether the agent of a task may use this credential for a server now.
    pub async fn lease(
        &self,
        view: &View,
        server: &ServerName,
        credential: &CredentialName,
    ) -> Result<(), Problem> {
        let bundle = self.policies.for_acts(&self.replica).await?;
        let stands = self.replica.view(|state| {
            let versions = Versions {
                bundle: state.policy().0,
                task: view.task.version,
                fence_seq: state.fences().seq(),
                replica_seq: state.seq,
            };
            (versions, Arc::clone(state.rollout()))
        });
        let (versions, rollout) = stands.map_err(|behind| behind.problem())?;
        let now = self.clock.wall();
        let decision = bundle.decide_act(&act::Asked {
            act: Act::Lease,
            principal: view.agent.name.as_str(),
            resource: credential.as_str(),
            input: &[("server", Told::Server(server))],
            task: &view.task,
            chain: &view.chain,
            usage: &self.budgets.usage(view.task.id),
            now,
            performs: &[],
            facts: &NO_FACTS,
            versions,
        });
        let decision = if rollout.observes(now) {
            observed(decision)
        } else {
            decision
        };
        act::refusal(&decision).map_or(Ok(()), Err)
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
        });
    }

    /// The replica it decides on.
    pub fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    async fn decide_untimed(&self, call: &Call<'_>) -> Decided {
        for _ in 0..MAX_ROUNDS {
            // Compiling may wait; the rows are read after it, and count only if they are what the bundle was compiled for.
            let policy = self.policies.current(&self.replica).await;
            let rows = match self.rows(call.caller, call.server, Some(call.tool)) {
                Ok(rows) => rows,
                Err(problem) => return refused(problem),
            };
            if matches!(&policy, Ok(compiled) if compiled.registry != rows.registry) {
                continue;
            }
            let now = self.clock.wall();
            let asked = self.decide_rows(call, &rows, policy.as_deref(), now);
            let observed = rows.rollout.observes(now);
            let Asked {
                decision,
                input,
                tried,
            } = asked;
            let Rows {
                view, server, tool, ..
            } = rows;
            return Decided {
                decision,
                view: Some(view),
                server: Some(server),
                tool,
                input,
                tried,
                observed,
                us: 0,
            };
        }
        refused(Problem::new(
            Code::ReplicaBehind,
            "the registry changes faster than policy can follow",
            "try again",
        ))
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
        let refuse = |(code, source, reason, fix): Refusal| {
            Decision::refused(code, source, reason, fix, versions)
        };
        let before = fence_refusal(rows)
            .or_else(|| self.task_refusal(rows))
            .or_else(|| definition_refusal(call, rows))
            .or_else(|| scope_refusal(call, rows))
            .or_else(|| self.budget_refusal(rows, false));
        if let Some(refusal) = before {
            return Asked::before_policy(refuse(refusal));
        }
        let (compiled, tool) = match (policy, &rows.tool) {
            (Ok(compiled), Some(tool)) => (compiled, tool),
            (Err(problem), _) => {
                let (message, help) = (problem.message.clone(), problem.help.clone());
                return Asked::before_policy(refuse((problem.code, "policy", message, help)));
            }
            // Refused above as unknown; a tool that is not there is never decided on.
            (_, None) => {
                let message = "no such tool".to_owned();
                let refusal = (Code::ToolUnknown, "definition", message, String::new());
                return Asked::before_policy(refuse(refusal));
            }
        };
        let usage = self.budgets.usage(rows.view.task.id);
        let input = Input {
            agent: &rows.view.agent,
            instance: Some(&rows.view.instance),
            chain: &rows.view.chain,
            task: &rows.view.task,
            server: &rows.server,
            tool,
            effect: tool.effect,
            arguments: call.arguments.as_str(),
            now,
            discharged: call.discharged,
            performs: PERFORMS,
            usage: &usage,
            facts: &NO_FACTS,
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
                ..Asked::before_policy(refuse(refusal))
            };
        }
        let mut asked = Asked {
            input: sealed,
            ..Asked::before_policy(compiled.bundle.decide(&input))
        };
        asked.tried = self.tried(rows, &input, &asked.decision);
        if rows.rollout.observes(now) {
            asked.decision = observed(asked.decision);
        }
        // Counted last, and only if allowed: of many calls at once exactly as many pass as the budget has left.
        if call.count
            && asked.decision.outcome == Outcome::Allow
            && let Some(refusal) = self.budget_refusal(rows, true)
        {
            return Asked::before_policy(refuse(refusal));
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

    fn rows(
        &self,
        caller: &Caller,
        server: &ServerName,
        tool: Option<&ToolName>,
    ) -> Result<Rows, Problem> {
        self.replica
            .view(|state| rows(state, caller, server, tool))
            .map_err(|behind| behind.problem())?
    }

    fn task_refusal(&self, rows: &Rows) -> Option<Refusal> {
        let (task, now) = (&rows.view.task, self.clock.wall());
        let code = task
            .refusal(now)
            .or((now >= task.scope.deadline()).then_some(Code::TaskExpired))?;
        let reason = match code {
            Code::TaskExpired => format!(
                "the task ended by itself at {}",
                task.expires_at.min(task.scope.deadline())
            ),
            _ => format!("the task is {}", task.state.as_str()),
        };
        Some((code, "task", reason, "open a new task".to_owned()))
    }

    fn budget_refusal(&self, rows: &Rows, count: bool) -> Option<Refusal> {
        let (budgets, now) = (&rows.view.budgets, self.clock.wall());
        let effect = rows.tool.as_ref()?.effect;
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

fn rows(
    state: &State,
    caller: &Caller,
    server: &ServerName,
    tool: Option<&ToolName>,
) -> Result<Rows, Problem> {
    let view = state.caller(caller.task, caller.instance)?;
    let row = state.server(server).ok_or_else(|| {
        Problem::new(
            Code::ServerUnknown,
            format!("no tool server {server} is registered"),
            "bailiwick server list shows what there is",
        )
    })?;
    let tool = tool
        .and_then(|tool| state.tool(server, tool))
        .map(Arc::clone);
    let named = tool.as_ref().map(|tool| &tool.tool);
    let subjects = caller.subjects(&view, server, named, None, state.seq);
    let (bundle, registry) = state.policy();
    let versions = Versions {
        bundle,
        task: view.task.version,
        fence_seq: state.fences().seq(),
        replica_seq: state.seq,
    };
    let fence = state.fences().any_dead(&subjects).cloned();
    Ok(Rows {
        view,
        server: Arc::clone(row),
        tool,
        fence,
        versions,
        registry,
        rollout: Arc::clone(state.rollout()),
    })
}

/// A refusal of policy goes through where policy is observed; the decision says what it would be. What could not be decided stays refused.
fn observed(decision: Decision) -> Decision {
    let of_policy = matches!(
        decision.code,
        Some(Code::Forbidden | Code::NoPermit | Code::StepUpRequired | Code::UnsupportedObligation)
    );
    if decision.outcome == Outcome::Allow || !of_policy {
        return decision;
    }
    let would_be = WouldBe {
        outcome: decision.outcome,
        code: decision.code,
        reasons: decision.reasons,
        policies: decision.policies.clone(),
        obligations: decision.obligations,
        needs: decision.needs,
    };
    Decision {
        outcome: Outcome::Allow,
        code: None,
        reasons: Vec::new(),
        obligations: Vec::new(),
        needs: None,
        would_allow: Vec::new(),
        would_be: Some(Box::new(would_be)),
        policies: decision.policies,
        versions: decision.versions,
    }
}

fn refused(problem: Problem) -> Decided {
    let versions = Versions {
        bundle: None,
        task: 0,
        fence_seq: 0,
        replica_seq: 0,
    };
    let source = match problem.code {
        Code::ReplicaBehind => "replica",
        Code::ServerUnknown => "server",
        _ => "caller",
    };
    let decision = Decision::refused(
        problem.code,
        source,
        problem.message,
        problem.help,
        versions,
    );
    Decided {
        decision,
        view: None,
        server: None,
        tool: None,
        input: None,
        tried: None,
        observed: false,
        us: 0,
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
