//! Deciding again what runs already (07, continuous evaluation): on the rows as they are now, with everything else as it was when the
//! call was let through. What the call itself has done since, such as the labels that its own answer brings, does not speak against it.

use std::sync::Arc;

use bailiwick_core::approval::Approval;
use bailiwick_core::decision::{Decision, Obligation, Outcome};
use bailiwick_core::json::{Limits, check};
use bailiwick_core::label::Labels;
use bailiwick_core::name::{CredentialName, ServerName, ToolName};
use bailiwick_core::{Code, Effect, Problem};
use bailiwick_policy::Input;
use bytes::Bytes;

use super::acts::On;
use super::decided::Known;
use super::egress::Egress;
use super::fetch::{Fetch, OwnedWhat, in_stage};
use super::observed::enforced;
use super::raised::raised;
use super::refusals::{Refusal, definition_refusal, fence_refusal, scope_refusal, stage_refusal};
use super::rows::Rows;
use super::{Call, LocalDecider, PERFORMS};
use crate::caller::Caller;
use crate::catalogue::LastShown;
use crate::egress::Connector;
use crate::policies::Compiled;

/// What was let through and goes on, or waits for a person, with what it was decided on.
#[derive(Debug)]
pub(crate) enum Standing {
    /// A tool call.
    Call(StandingCall),
    /// A prompt, a resource, or a stream of news.
    Fetch(StandingFetch),
    /// A request through a connector, until the end of its answer.
    Egress(StandingEgress),
}

/// A call that was let through, or that waits for a person.
#[derive(Debug)]
pub(crate) struct StandingCall {
    pub(crate) caller: Caller,
    pub(crate) server: ServerName,
    pub(crate) tool: ToolName,
    /// As received: they were read before.
    pub(crate) arguments: Bytes,
    pub(crate) shown: LastShown,
    /// Tokens that its approval discharges, and from how many people it came.
    pub(crate) discharged: Vec<String>,
    pub(crate) quorum: u32,
    /// What it is done with.
    pub(crate) duties: Vec<Obligation>,
    pub(crate) known: Arc<Known>,
    /// The credential of its server, if that takes one.
    pub(crate) credential: Option<CredentialName>,
    /// Labels of its task when it was let through.
    pub(crate) labels: Labels,
}

/// Something fetched, or news that go on.
#[derive(Debug)]
pub(crate) struct StandingFetch {
    pub(crate) caller: Caller,
    pub(crate) server: ServerName,
    pub(crate) what: Vec<OwnedWhat>,
    pub(crate) known: Arc<Known>,
    pub(crate) credential: Option<CredentialName>,
    pub(crate) labels: Labels,
}

/// A request through a connector that was let through.
#[derive(Debug)]
pub(crate) struct StandingEgress {
    pub(crate) caller: Caller,
    pub(crate) connector: Arc<Connector>,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) size: u64,
    /// Tokens that its approval discharges.
    pub(crate) discharged: Vec<String>,
    pub(crate) known: Arc<Known>,
    pub(crate) labels: Labels,
}

impl StandingEgress {
    pub(super) fn asked(&self) -> Egress<'_> {
        Egress {
            caller: &self.caller,
            connector: &self.connector,
            method: &self.method,
            path: &self.path,
            size: self.size,
            discharged: &self.discharged,
            count: false,
        }
    }
}

/// What was decided the second time.
#[derive(Debug)]
pub(crate) enum Again {
    /// It goes on.
    Stands,
    /// It does not, and why.
    Falls(String),
    /// The bundle was compiled for another registry than there is by now: compile and ask again.
    Stale,
}

impl Standing {
    fn labels(&self) -> &Labels {
        match self {
            Self::Call(call) => &call.labels,
            Self::Fetch(fetch) => &fetch.labels,
            Self::Egress(egress) => &egress.labels,
        }
    }

    fn known(&self) -> &Known {
        match self {
            Self::Call(call) => &call.known,
            Self::Fetch(fetch) => &fetch.known,
            Self::Egress(egress) => &egress.known,
        }
    }

    /// The credential that it is done with, and the server that this is for; a connector is none.
    fn credential(&self) -> Option<(Option<&ServerName>, &CredentialName)> {
        let (server, credential) = match self {
            Self::Call(call) => (Some(&call.server), call.credential.as_ref()),
            Self::Fetch(fetch) => (Some(&fetch.server), fetch.credential.as_ref()),
            Self::Egress(egress) => (None, Some(&egress.connector.credential)),
        };
        Some((server, credential?))
    }
}

impl LocalDecider {
    /// Decides what runs again. `brings` are labels that it brings its task itself.
    pub(crate) fn again(
        &self,
        standing: &Standing,
        brings: &Labels,
        policy: Result<&Compiled, &Problem>,
    ) -> Again {
        let rows = match self.rows_again(standing, brings, policy) {
            Ok(rows) => rows,
            Err(again) => return again,
        };
        let compiled = match policy {
            Ok(compiled) => compiled,
            Err(problem) => return Again::Falls(problem.message.clone()),
        };
        let falls = match standing {
            Standing::Call(call) => self.call_again(call, &rows, compiled),
            Standing::Fetch(fetch) => self.fetch_again(fetch, &rows, compiled),
            Standing::Egress(egress) => self.egress_again(egress, rows.clone(), compiled),
        };
        let lease = || {
            let (server, credential) = standing.credential()?;
            let known = standing.known().again(&rows.view, self.clock.wall());
            let on = On::rows(&rows, &compiled.bundle, &known);
            self.lease_again(&on, (server, credential))
        };
        falls.or_else(lease).map_or(Again::Stands, Again::Falls)
    }

    /// Whether a question that waits for people, or was answered and not used yet, is still the one to ask: without an answer the call
    /// stops, and with it goes on.
    pub(crate) fn still_asks(
        &self,
        call: &StandingCall,
        approval: &Approval,
        policy: Result<&Compiled, &Problem>,
    ) -> Again {
        let standing = |known: &StandingCall| {
            let (caller, server, tool) = (&known.caller, &known.server, Some(&known.tool));
            self.rows(caller, server, tool)
        };
        let (mut rows, compiled) = match (standing(call), policy) {
            (Ok(rows), Ok(compiled)) => (rows, compiled),
            (Err(problem), _) => return Again::Falls(problem.message),
            (_, Err(problem)) => return Again::Falls(problem.message.clone()),
        };
        if compiled.registry != rows.registry {
            return Again::Stale;
        }
        let without = self.decided_again(call, &mut rows, &[], compiled);
        let with = self.decided_again(call, &mut rows, &approval.discharges, compiled);
        let asks = matches!(&without, Ok(decision) if decision.outcome == Outcome::StepUp
            && decision.obligations == call.duties);
        let (true, Ok(with)) = (asks, with) else {
            return Again::Falls(words(without));
        };
        let enough = with
            .needs
            .as_ref()
            .is_none_or(|needs| needs.quorum <= approval.quorum);
        match with.outcome {
            Outcome::Allow if enough => Again::Stands,
            Outcome::Allow => Again::Falls("it needs more people by now".to_owned()),
            _ => Again::Falls(words(Ok(with))),
        }
    }

    fn rows_again(
        &self,
        standing: &Standing,
        brings: &Labels,
        policy: Result<&Compiled, &Problem>,
    ) -> Result<Rows, Again> {
        let rows = match standing {
            Standing::Call(call) => self.rows(&call.caller, &call.server, Some(&call.tool)),
            Standing::Fetch(fetch) => {
                let pinned = fetch.what.iter().find_map(OwnedWhat::pinned);
                self.rows(&fetch.caller, &fetch.server, pinned)
            }
            Standing::Egress(egress) => self.rows_at(&egress.caller, &egress.connector.row),
        };
        let mut rows = rows.map_err(|problem| Again::Falls(problem.message))?;
        if matches!(policy, Ok(compiled) if compiled.registry != rows.registry) {
            return Err(Again::Stale);
        }
        if !brings.is_empty() {
            let mut task = bailiwick_core::task::Task::clone(&rows.view.task);
            let others = |label: &&_| !brings.contains(label) || standing.labels().contains(label);
            task.labels = task.labels.iter().filter(others).cloned().collect();
            rows.view.task = Arc::new(task);
        }
        Ok(rows)
    }

    fn call_again(&self, call: &StandingCall, rows: &Rows, compiled: &Compiled) -> Option<String> {
        let mut rows = rows.clone();
        let decision = match self.decided_again(call, &mut rows, &call.discharged, compiled) {
            Ok(decision) if decision.outcome == Outcome::Allow => decision,
            other => return Some(words(other)),
        };
        let needs = decision.needs.as_ref();
        if needs.is_some_and(|needs| needs.quorum > call.quorum) {
            return Some("it needs more people by now than have approved it".to_owned());
        }
        // What it is done with was settled when it was let through.
        let new = decision
            .obligations
            .iter()
            .find(|duty| !call.duties.contains(duty))?;
        Some(format!(
            "policy wants `{}:{}` by now, and the call runs without",
            new.kind, new.argument
        ))
    }

    fn decided_again(
        &self,
        call: &StandingCall,
        rows: &mut Rows,
        discharged: &[String],
        compiled: &Compiled,
    ) -> Result<Decision, Refusal> {
        let unread = || {
            let words = "the arguments cannot be read".to_owned();
            (Code::ArgumentsInvalid, "scope", words, String::new())
        };
        let arguments = check(&call.arguments, &Limits::ENVELOPE).map_err(|_| unread())?;
        if let Some(tool) = &rows.tool {
            rows.effect = raised(tool.effect, &tool.binding, &arguments);
        }
        let asked = Call {
            caller: &call.caller,
            server: &call.server,
            tool: &call.tool,
            arguments: &arguments,
            shown: call.shown,
            discharged,
            count: false,
        };
        let before = fence_refusal(rows)
            .or_else(|| self.task_over(rows))
            .or_else(|| definition_refusal((&call.server, &call.tool), call.shown, rows))
            .or_else(|| scope_refusal(&asked, rows))
            .or_else(|| stage_refusal(&asked, rows, compiled.bundle.workflows()));
        if let Some(refusal) = before {
            return Err(refusal);
        }
        let Some(tool) = &rows.tool else {
            let words = "no such tool".to_owned();
            return Err((Code::ToolUnknown, "definition", words, String::new()));
        };
        let now = self.clock.wall();
        let known = call.known.again(&rows.view, now);
        let decision = compiled.bundle.decide(&Input {
            agent: &rows.view.agent,
            instance: Some(&rows.view.instance),
            chain: &rows.view.chain,
            task: &rows.view.task,
            server: &rows.server,
            tool,
            effect: rows.effect,
            arguments: arguments.as_str(),
            now,
            discharged,
            performs: PERFORMS,
            usage: &known.usage,
            facts: &known.facts,
            versions: rows.versions,
        });
        Ok(enforced(decision, &rows.rollout, now))
    }

    fn fetch_again(
        &self,
        standing: &StandingFetch,
        rows: &Rows,
        compiled: &Compiled,
    ) -> Option<String> {
        let admitted = fence_refusal(rows).or_else(|| self.task_over(rows));
        if let Some((_, _, reason, _)) = admitted {
            return Some(reason);
        }
        // A stream stands as long as its task can call anything at all.
        let stream = standing.what.is_empty();
        if let Some(refusal) = stream
            .then(|| self.budget_refusal(rows, Effect::Read, false))
            .flatten()
        {
            return Some(refusal.2);
        }
        let known = standing.known.again(&rows.view, self.clock.wall());
        standing.what.iter().find_map(|what| {
            let fetch = Fetch {
                caller: &standing.caller,
                server: &standing.server,
                what: what.as_what(),
                count: false,
            };
            match in_stage(&fetch, rows, compiled) {
                Some((_, _, reason, _)) => Some(reason),
                None => match self.said(fetch.what, rows, compiled, &known) {
                    decision if decision.outcome == Outcome::Allow => None,
                    decision => Some(words(Ok(decision))),
                },
            }
        })
    }

    fn egress_again(
        &self,
        standing: &StandingEgress,
        mut rows: Rows,
        compiled: &Compiled,
    ) -> Option<String> {
        let asked = standing.asked();
        rows.effect = asked.effect();
        let admitted = fence_refusal(&rows).or_else(|| self.task_over(&rows));
        let admitted = admitted.or_else(|| asked.out_of_bounds(&rows, compiled));
        if let Some((_, _, reason, _)) = admitted {
            return Some(reason);
        }
        let known = standing.known.again(&rows.view, self.clock.wall());
        let decision = self.egress_said(&asked, &On::rows(&rows, &compiled.bundle, &known));
        (decision.outcome != Outcome::Allow).then(|| words(Ok(decision)))
    }

    fn lease_again(
        &self,
        on: &On<'_>,
        (server, credential): (Option<&ServerName>, &CredentialName),
    ) -> Option<String> {
        let decision = self.decide_lease(on, server, credential);
        (decision.outcome != Outcome::Allow).then(|| words(Ok(decision)))
    }
}

/// Why a decision does not let something go on.
fn words(decided: Result<Decision, Refusal>) -> String {
    match decided {
        Err((_, _, reason, _)) => reason,
        Ok(decision) if decision.outcome == Outcome::Allow => {
            "it needs nobody's approval any more".to_owned()
        }
        Ok(decision) => {
            let first = decision.reasons.into_iter().next();
            let reason = first.map_or_else(|| "policy does not permit it".to_owned(), |r| r.reason);
            match decision.outcome {
                Outcome::StepUp => format!("it needs a person by now: {reason}"),
                _ => reason,
            }
        }
    }
}
