//! Whether a tool server may ask its client something (04 §12): fences and the task's state, then policy's actions `sample` and `elicit`;
//! directories are resources, so scopes say whether any may be asked for.

use bailiwick_core::decision::Decision;
use bailiwick_core::name::ServerName;
use bailiwick_core::scope::Scope;
use bailiwick_core::{Code, Effect, Problem};
use bailiwick_policy::act::{Act, Told};

use super::decided::refused;
use super::refusals::{Refusal, fence_refusal};
use super::rows::Rows;
use super::{Decided, LocalDecider, MAX_ROUNDS};
use crate::ask::Kind;
use crate::caller::Caller;
use crate::provenance::Judged;

impl LocalDecider {
    /// Whether `server` may ask the caller's client this now.
    pub(crate) async fn ask(&self, caller: &Caller, server: &ServerName, kind: Kind) -> Decided {
        let started = self.clock.monotonic();
        for _ in 0..MAX_ROUNDS {
            let policy = self.policies.current(&self.replica).await;
            let rows = match self.rows(caller, server, None) {
                Ok(rows) => rows,
                Err(problem) => return refused(problem),
            };
            if matches!(&policy, Ok(compiled) if compiled.registry != rows.registry) {
                continue;
            }
            let refuse = |(code, source, reason, fix): Refusal| {
                Decision::refused(code, source, reason, fix, rows.versions)
            };
            let now = self.clock.wall();
            let before = fence_refusal(&rows).or_else(|| self.task_refusal(&rows));
            let decision = match (before, &policy, kind) {
                (Some(refusal), _, _) => refuse(refusal),
                (None, Err(problem), _) => {
                    let (message, help) = (problem.message.clone(), problem.help.clone());
                    refuse((problem.code, "policy", message, help))
                }
                (None, Ok(compiled), Kind::Sample) => {
                    self.act(&compiled.bundle, &rows, (Act::Sample, &[]), now)
                }
                (None, Ok(compiled), Kind::Form | Kind::Url) => {
                    let mode = if kind == Kind::Form { "form" } else { "url" };
                    let input = [("mode", Told::Text(mode))];
                    self.act(&compiled.bundle, &rows, (Act::Elicit, &input), now)
                }
                (None, Ok(_), Kind::Roots) => roots(caller, server, &rows)
                    .map_or_else(|| Decision::allowed(rows.versions), refuse),
            };
            let observed = rows.rollout.observes(now);
            return Decided {
                effect: Effect::Read,
                judged: Judged::default(),
                known: None,
                decision,
                view: Some(rows.view),
                server: Some(rows.server),
                tool: None,
                input: None,
                tried: None,
                observed,
                us: super::micros(self.clock.monotonic().saturating_sub(started)),
            };
        }
        refused(Problem::new(
            Code::ReplicaBehind,
            "the registry changes faster than policy can follow",
            "try again",
        ))
    }
}

/// No grant covers reading any resource of the server. Which directories it hears of is decided one by one.
fn roots(caller: &Caller, server: &ServerName, rows: &Rows) -> Option<Refusal> {
    let covers = |scope: &Scope| scope.names_tool(server.as_str(), "resources/read", Effect::Read);
    let covered = covers(&rows.view.task.scope) && caller.part().is_none_or(covers);
    (!covered).then(|| {
        let reason = format!("no grant of the task covers resources/read of server {server}");
        let fix = "ask for a task whose scope has such a grant".to_owned();
        (Code::ScopeExceeded, "scope", reason, fix)
    })
}
