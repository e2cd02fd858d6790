//! What policy gets to know of a call beside its rows: where its arguments come from, what was asked for, what the task has done.

use std::sync::{Arc, PoisonError};

use bailiwick_core::Timestamp;
use bailiwick_core::budget::{Budget, Usage};
use bailiwick_core::json::Leaves;
use bailiwick_core::scope;
use bailiwick_core::selector::Selector;
use bailiwick_policy::{Attested, BudgetLeft, Facts, FirstUse, History, Session};

use super::rows::Rows;
use super::{Call, LocalDecider};
use crate::provenance::{About, Judged, judge, seconds_since};

impl LocalDecider {
    /// The facts of a call, and what its arguments were judged to be. Arguments that cannot be read have been refused before.
    pub(super) fn facts(
        &self,
        call: &Call<'_>,
        rows: &Rows,
        usage: &Usage,
        now: Timestamp,
    ) -> (Facts, Judged) {
        let view = &rows.view;
        let task = &view.task;
        let root = task.root();
        let kept = self
            .provenance
            .of(root, || self.budgets.usage(root).calls == 0);
        let lineage = std::iter::once(task).chain(&view.above);
        let requests: Vec<_> = lineage
            .filter_map(|task| self.provenance.requested(task))
            .collect();
        let requests: Vec<_> = requests.iter().map(Arc::as_ref).collect();
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
            grant: task.scope.permits(&asked).ok(),
            requests: &requests,
            memory: &memory,
        });
        let doings = memory.doings(task.id);
        let whole = !memory.saturated();
        drop(memory);
        let raised = rows
            .tool
            .as_ref()
            .is_some_and(|tool| tool.effect != rows.effect);
        let name = call.tool.as_str();
        let facts = Facts {
            provenance: Some(judged.provenance.clone()),
            request: requests.first().map(|request| request.facts()),
            first_use: whole.then(|| FirstUse {
                tool: !doings.tools.contains(&format!("{}/{name}", call.server)),
                destination: judged.new_destination,
            }),
            session: Some(Session {
                binding: match &call.caller.token {
                    Some(token) if token.key.is_some() => "dpop",
                    Some(_) => "bearer",
                    None => "peer",
                }
                .to_owned(),
                // Listeners are on loopback (decision 10).
                network: "loopback".to_owned(),
            }),
            budget_left: Some(left(task.scope.budget(), usage)),
            // What was forgotten is absent: a rule that asks for it holds.
            history: whole.then(|| History {
                stages: doings.stages.clone(),
                tools: doings.tools.clone(),
                refused: doings.refused,
                waiting: doings.waiting.values().filter(|end| **end > now).count() as u64,
            }),
            attested: attested(rows, now),
            evidence: None,
            idle_s: doings
                .last
                .filter(|_| whole)
                .map(|last| seconds_since(now, last)),
            denied: whole.then_some(doings.denied),
            arg_effects: raised.then(|| [rows.effect.to_string()].into()),
        };
        (facts, judged)
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
fn attested(rows: &Rows, now: Timestamp) -> Option<Attested> {
    let instance = &rows.view.instance;
    if instance.client.is_some() {
        return None;
    }
    let digest = instance
        .selectors
        .iter()
        .find_map(|selector| match selector {
            Selector::Sha256(digest) => Some(digest.to_string()),
            _ => None,
        });
    Some(Attested {
        kind: instance.place.attestor().as_str().to_owned(),
        digest: digest.unwrap_or_default(),
        age_s: seconds_since(now, instance.attested_at),
    })
}
