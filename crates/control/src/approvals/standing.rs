//! One answer for a call and the next few alike in its task. Each of these gets an approval of its own, answered as the first one was, and all that
//! an answer of now would have to pass is asked again.

use std::collections::BTreeSet;

use bailiwick_core::approval::{Approval, ApprovalState, MAX_VARY, Standing, Vote};
use bailiwick_core::event::{DecisionRef, EventType};
use bailiwick_core::{Code, Fault as _, Problem};
use bailiwick_policy::{Bundle, api};
use bailiwick_store::{ApprovalFilter, MAX_PAGE, Tx};
use serde_json::json;

use super::{may_approve, on_record};
use crate::tools::Refusal;
use crate::{Actor, Control, Operation};

/// More calls that a yes is for, as a person says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct More {
    /// How many.
    pub calls: u32,
    /// Arguments that may be otherwise in them.
    pub vary: BTreeSet<String>,
}

impl More {
    /// For the record, sealed: the names may say something about the call.
    pub(super) fn in_words(&self) -> Vec<u8> {
        json!({ "calls": self.calls, "vary": self.vary })
            .to_string()
            .into_bytes()
    }

    /// What that is for an approval which was just answered.
    pub(super) fn of(&self, approval: &Approval, tx: &dyn Tx) -> Result<Standing, Problem> {
        let most = approval.standing_at_most;
        let wrong = |message: String, help: &str| Problem::new(Code::InvalidInput, message, help);
        if most == 0 {
            let message = "policy lets an answer be for this call alone".to_owned();
            let help = "approve it without more calls, or give its policy @standing(\"N\")";
            return Err(wrong(message, help));
        }
        if !(1..=most).contains(&self.calls) {
            let message = format!("an answer can be for 1 to {most} more calls here");
            return Err(wrong(message, "say how many within that"));
        }
        if self.vary.len() > MAX_VARY {
            let message = format!("at most {MAX_VARY} arguments can vary");
            return Err(wrong(
                message,
                "approve calls that differ so much one by one",
            ));
        }
        let names = approval.argument_names();
        if let Some(unknown) = self.vary.iter().find(|name| !names.contains(*name)) {
            let message = format!("the call has no argument `{unknown}` that could vary");
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            return Err(wrong(message, &format!("it has {}", names.join(", "))));
        }
        let task = tx
            .task(approval.task)
            .map_err(|error| error.problem())?
            .ok_or_else(|| Problem::new(Code::NotFound, "its task is gone", ""))?;
        Ok(Standing {
            left: self.calls,
            used: 0,
            vary: self.vary.clone(),
            stage: task.stage,
            labels: task.labels,
        })
    }
}

impl Control {
    /// Answers what was just asked for as a standing approval of its task does, if there is one for it.
    pub(super) fn stands(
        &self,
        tx: &mut dyn Tx,
        policy: &Bundle,
        wanted: &Approval,
    ) -> Result<Option<Approval>, Refusal> {
        let Some(mut given) = standing_for(tx, wanted)? else {
            return Ok(None);
        };
        let now = self.now();
        let Some(vote) = given.votes.last().cloned() else {
            return Ok(None);
        };
        // Who has lost the right to say yes has said it for nothing more.
        if !may_still_answer(tx, &vote.account)? {
            return Ok(None);
        }
        let Ok(decision) = may_approve(policy, tx, &vote.account, wanted, now) else {
            return Ok(None);
        };
        if let Some(standing) = &mut given.standing {
            standing.left = standing.left.saturating_sub(1);
            standing.used = standing.used.saturating_add(1);
        }
        given.version = given.version.saturating_add(1);
        tx.put_approval(&given)?;
        let mut answered = Approval {
            under: Some(given.id),
            ..wanted.clone()
        };
        answered
            .vote(Vote { at: now, ..vote })
            .map_err(|error| error.problem())?;
        tx.put_approval(&answered)?;
        let event = self.event(
            EventType::ApprovalAnswered,
            &Actor::system(),
            "approvals.stands",
        );
        let mut event = on_record(event, tx, &answered)?;
        event.decision = Some(DecisionRef::of(&decision, 0));
        if let Some(change) = &mut event.change {
            change.before = Some(format!("under {}", given.id));
        }
        self.parts.journal.push(tx, &event)?;
        Ok(Some(answered))
    }
}

/// Whether who answered could answer now, as far as that is not policy's to say.
pub(super) fn may_still_answer(tx: &dyn Tx, name: &str) -> Result<bool, Refusal> {
    // Whoever may use the admin socket is a matter of the node's configuration.
    if name.starts_with("uid:") {
        return Ok(true);
    }
    let Ok(name) = name.parse() else {
        return Ok(false);
    };
    let account = tx.account_named(&name)?;
    Ok(account.is_some_and(|account| {
        account.enabled && api::permits(&account.roles, Operation::AnswerApprovals.as_str())
    }))
}

/// The newest approval of the task whose answer is for this call too.
fn standing_for(tx: &dyn Tx, wanted: &Approval) -> Result<Option<Approval>, Refusal> {
    let Some(task) = tx.task(wanted.task)? else {
        return Ok(None);
    };
    let of_task = |state| ApprovalFilter {
        state: Some(state),
        task: Some(task.id),
    };
    // A no to exactly this call is not overruled by a yes to others.
    let denied = tx.approvals(&of_task(ApprovalState::Denied), None, MAX_PAGE)?;
    if denied.len() >= MAX_PAGE || denied.iter().any(|no| no.call_digest == wanted.call_digest) {
        return Ok(None);
    }
    for state in [ApprovalState::Consumed, ApprovalState::Approved] {
        // An older one than these is forgotten: a person is asked again.
        let found = tx.approvals(&of_task(state), None, MAX_PAGE)?.into_iter();
        let stands = |given: &Approval| given.stands_for(wanted, &task.stage, &task.labels);
        if let Some(given) = found.into_iter().find(stands) {
            return Ok(Some(given));
        }
    }
    Ok(None)
}
