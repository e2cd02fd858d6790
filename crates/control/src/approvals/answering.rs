//! A person's answer: who may give it is policy's to say, it counts for what they were shown, and one that does not count is on record.

use bailiwick_core::approval::{Approval, ApprovalError, ApprovalState, Vote};
use bailiwick_core::event::{EventType, Evidence, Outcome, Status};
use bailiwick_core::id::ApprovalId;
use bailiwick_core::{Code, Digest, Fault, Problem};

use super::shown::shown;
use super::{More, may_approve, on_record, seal};
use crate::tools::Refusal;
use crate::{Actor, Control, Operation};

/// A person's answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Yes or no.
    pub approve: bool,
    /// In their words.
    pub reason: String,
    /// Digest of what they were shown; a no may come without.
    pub shown_digest: Option<Digest>,
    /// More calls that a yes is for.
    pub more: Option<More>,
}

impl Control {
    /// Counts a person's answer.
    pub async fn answer(
        &self,
        actor: &Actor,
        id: ApprovalId,
        answer: Answer,
    ) -> Result<Approval, Problem> {
        actor.may(Operation::AnswerApprovals)?;
        let Answer {
            approve,
            reason,
            shown_digest,
            more,
        } = answer;
        if shown_digest.is_none() && approve {
            return Err(Problem::new(
                Code::InvalidInput,
                "an approval needs the digest of what was shown",
                "send `shown_digest` as GET /v1/approvals/{id} gave it",
            ));
        }
        let (now, account) = (self.now(), actor.name.clone());
        // Only a yes asks policy: nobody is kept from saying no.
        let policy = if approve {
            Some(self.parts.policy.current().await?)
        } else {
            None
        };
        let mut sealed = vec![seal("/reason", reason.clone().into_bytes())];
        sealed.extend(shown_digest.map(|digest| seal("/shown", digest.to_string().into_bytes())));
        sealed.extend(more.as_ref().map(|more| seal("/standing", more.in_words())));
        let answered = self.transition(
            id,
            EventType::ApprovalAnswered,
            actor,
            "approvals.answer",
            sealed,
            move |approval, tx| {
                let current = shown(tx, approval)?.1;
                if shown_digest.is_some_and(|digest| digest != current) {
                    return Err(ApprovalError::Changed.problem());
                }
                let vote = Vote {
                    account: account.clone(),
                    approve,
                    reason: reason.clone(),
                    shown_digest: current,
                    at: now,
                };
                let decision = match &policy {
                    Some(policy) => Some(may_approve(policy, tx, &account, approval, now)?),
                    None => None,
                };
                if !approve && approval.state != ApprovalState::Pending && approval.withdraw() {
                    return Ok(None);
                }
                approval.vote(vote).map_err(|error| error.problem())?;
                if let Some(more) = &more {
                    approval.standing = Some(more.of(approval, tx)?);
                }
                Ok(decision)
            },
        );
        let answered = answered.await;
        if let Err(problem) = &answered {
            self.answer_refused(actor, id, problem).await;
        }
        answered
    }

    /// Puts on record that an answer did not count, unless nothing is known of what it was for.
    async fn answer_refused(&self, actor: &Actor, id: ApprovalId, problem: &Problem) {
        let kind = EventType::AdminRefused;
        let mut event = self.change_event(kind, actor, "approvals.answer", "approval", &id);
        event.outcome = Some(Outcome {
            status: Status::Refused,
            code: Some(problem.code.as_str().to_owned()),
            us: 0,
            bytes: 0,
            evidence: Evidence::Observed,
        });
        let control = self.clone();
        let told = self.parts.store.write(move |tx| {
            if let Some(approval) = tx.approval(id)? {
                let event = on_record(event.clone(), tx, &approval)?;
                control.parts.journal.push(tx, &event)?;
            }
            Ok::<_, Refusal>(())
        });
        if let Err(refusal) = told.await {
            let problem = refusal.problem();
            tracing::error!(%problem, approval = %id, "a refused answer could not be put on record");
        }
        self.carry();
    }
}
