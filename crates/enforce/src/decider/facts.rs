//! What policy gets to know of a call, or of what is no call, beside its rows: where its arguments come from, what was asked for, what the task has done.

use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_core::Timestamp;
use bailiwick_core::budget::{Budget, Usage};
use bailiwick_core::json::Leaves;
use bailiwick_core::scope;
use bailiwick_crypto::token::task::Confirmation;
use bailiwick_policy::{Attested, BudgetLeft, Evidence, Facts, FirstUse, History, Items, Session};

use super::decided::Known;
use super::rows::Rows;
use super::{Call, LocalDecider};
use crate::caller::Caller;
use crate::provenance::{About, Judged, Memory, Requested, judge, seconds_since};
use crate::replica::View;

impl LocalDecider {
    /// The facts of a call, and what its arguments were judged to be. Arguments that cannot be read have been refused before.
    pub(super) fn facts(
        &self,
        call: &Call<'_>,
        rows: &Rows,
        items: Items,
        (usage, now): (&Usage, Timestamp),
    ) -> (Facts, Judged) {
        let view = &rows.view;
        let requests = self.requests(view);
        let requests: Vec<_> = requests.iter().map(Arc::as_ref).collect();
        let kept = self.remembered(view);
        let leaves = call.arguments.leaves().unwrap_or_else(|_| Leaves::none());
        let asked = scope::Call {
            server: call.server.as_str(),
            tool: call.tool.as_str(),
            effect: rows.effect,
            arguments: &leaves,
            resources: None,
        };
        let binding = rows.tool.as_ref().map(|tool| &tool.binding);
        let nothing = bailiwick_core::binding::Binding::default();
        let memory = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let judged = judge(&About {
            binding: binding.unwrap_or(&nothing),
            effect: rows.effect,
            leaves: &leaves,
            grant: view.task.scope.permits(&asked).ok(),
            requests: &requests,
            memory: &memory,
        });
        let name = format!("{}/{}", call.server, call.tool);
        let first_use = (!memory.saturated()).then(|| FirstUse {
            tool: !memory.doings(view.task.id).tools.contains(&name),
            destination: judged.new_destination,
        });
        let raised = rows
            .tool
            .as_ref()
            .is_some_and(|tool| tool.effect != rows.effect);
        let facts = Facts {
            provenance: Some(judged.provenance.clone()),
            first_use,
            arg_effects: raised.then(|| [rows.effect.to_string()].into()),
            items: Some(items),
            ..whatever_is_done(view, call.caller, &requests, &memory, (usage, now))
        };
        (facts, judged)
    }

    /// What policy is told of a caller that calls no tool.
    pub(crate) fn known(&self, view: &View, caller: &Caller) -> Known {
        let usage = self.budgets.usage(view.task.id);
        let requests = self.requests(view);
        let requests: Vec<_> = requests.iter().map(Arc::as_ref).collect();
        let kept = self.remembered(view);
        let memory = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (&usage, self.clock.wall());
        let facts = whatever_is_done(view, caller, &requests, &memory, at);
        drop(memory);
        Known { facts, usage }
    }

    /// What was asked for, by the task and those above it, as far as it is evidence.
    fn requests(&self, view: &View) -> Vec<Arc<Requested>> {
        let lineage = std::iter::once(&view.task).chain(&view.above);
        lineage
            .filter_map(|task| self.provenance.requested(task))
            .collect()
    }

    fn remembered(&self, view: &View) -> Arc<Mutex<Memory>> {
        let root = view.task.root();
        let fresh = || self.budgets.usage(root).calls == 0;
        self.provenance.of(root, fresh)
    }
}

/// What is known of a task and its process, whatever it does. What was forgotten is absent: a rule that asks for it holds.
fn whatever_is_done(
    view: &View,
    caller: &Caller,
    requests: &[&Requested],
    memory: &Memory,
    (usage, now): (&Usage, Timestamp),
) -> Facts {
    let doings = memory.doings(view.task.id);
    let whole = !memory.saturated();
    let binding = match caller.token.as_ref().map(|token| &token.bound) {
        Some(Some(Confirmation::Key(_))) => "dpop",
        Some(Some(Confirmation::Certificate(_))) => "mtls",
        Some(None) => "bearer",
        None => "peer",
    };
    Facts {
        request: requests.first().map(|request| request.facts()),
        session: Some(Session {
            binding: binding.to_owned(),
            network: caller.network.as_str().to_owned(),
        }),
        budget_left: Some(left(view.task.scope.budget(), usage)),
        history: whole.then(|| History {
            stages: doings.stages.clone(),
            tools: doings.tools.clone(),
            refused: doings.refused,
            waiting: doings.waiting.values().filter(|end| **end > now).count() as u64,
        }),
        attested: attested(view, now),
        evidence: view.evidence.as_ref().map(|known| Evidence::of(known, now)),
        idle_s: doings
            .last
            .filter(|_| whole)
            .map(|last| seconds_since(now, last)),
        denied: whole.then_some(doings.denied),
        ..Facts::default()
    }
}

/// What is left of a task's own budget; what has no bound is as large as a number can be.
fn left(budget: &Budget, usage: &Usage) -> BudgetLeft {
    let left =
        |bound: Option<u64>, used: u64| bound.map_or(u64::MAX, |bound| bound.saturating_sub(used));
    BudgetLeft {
        calls: left(budget.calls, usage.calls),
        writes: left(budget.writes, usage.writes),
        escalations: left(budget.escalations, usage.escalations),
    }
}

/// What the caller was attested to be. A client that a user let in was not.
fn attested(view: &View, now: Timestamp) -> Option<Attested> {
    let instance = &view.instance;
    if instance.client.is_some() {
        return None;
    }
    let code = instance.code();
    Some(Attested {
        kind: instance.place.attestor().as_str().to_owned(),
        digest: code.map(|code| code.to_string()).unwrap_or_default(),
        age_s: seconds_since(now, instance.attested_at),
    })
}
