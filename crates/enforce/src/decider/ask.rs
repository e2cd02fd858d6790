//! Whether a tool server may ask its client something (04 §12): fences and the task's state, then policy's actions `sample` and `elicit`;
//! directories are resources, so scopes say whether any may be asked for.

use bailiwick_core::decision::Decision;
use bailiwick_core::name::ServerName;
use bailiwick_core::scope::Scope;
use bailiwick_core::{Code, Effect, Problem};
use bailiwick_policy::act::{Act, Told};

use super::acts::{Doing, On};
use super::refusals::{Refusal, fence_refusal, no_policy, refuse};
use super::rows::Rows;
use super::{Decided, LocalDecider};
use crate::ask::Kind;
use crate::caller::Caller;
use crate::policies::Compiled;

impl LocalDecider {
    /// Whether `server` may ask the caller's client this now.
    pub(crate) async fn ask(&self, caller: &Caller, server: &ServerName, kind: Kind) -> Decided {
        let rows = || self.reading(caller, server, None);
        let decide = |rows: &Rows, policy: Result<&Compiled, &Problem>, _| {
            let before = fence_refusal(rows).or_else(|| self.task_refusal(rows));
            let refuse = |refusal| refuse(refusal, rows.versions);
            let input = [("mode", Told::Text(mode(kind)))];
            let decision = match (before, policy, kind) {
                (Some(refusal), _, _) => refuse(refusal),
                (None, Err(problem), _) => refuse(no_policy(problem)),
                (None, Ok(compiled), Kind::Sample) => {
                    self.may_ask(caller, rows, compiled, (Act::Sample, &[]))
                }
                (None, Ok(compiled), Kind::Form | Kind::Url) => {
                    self.may_ask(caller, rows, compiled, (Act::Elicit, &input))
                }
                (None, Ok(_), Kind::Roots) => roots(caller, server, rows)
                    .map_or_else(|| Decision::allowed(rows.versions), refuse),
            };
            decision.into()
        };
        self.decided(rows, decide).await
    }

    fn may_ask(
        &self,
        caller: &Caller,
        rows: &Rows,
        compiled: &Compiled,
        (act, input): (Act, &[(&'static str, Told<'_>)]),
    ) -> Decision {
        let known = self.known(&rows.view, caller);
        let doing = Doing::at(rows.server.name.as_str(), act, input);
        self.act(&On::rows(rows, &compiled.bundle, &known), &doing)
    }
}

const fn mode(kind: Kind) -> &'static str {
    match kind {
        Kind::Url => "url",
        Kind::Form | Kind::Sample | Kind::Roots => "form",
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
