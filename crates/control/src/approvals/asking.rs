//! Asking for approval of a call. Asking twice is joining.

use bailiwick_core::approval::{Approval, ApprovalState, DEFAULT_VALID, MAX_PENDING, Question};
use bailiwick_core::decision::Needs;
use bailiwick_core::event::{EventType, Parent, ParentRole};
use bailiwick_core::name::UserId;
use bailiwick_core::{Code, Problem};

use super::on_record;
use crate::tools::Refusal;
use crate::{Actor, Control};

/// A task has at most this many approvals waiting or unused.
const MAX_LIVE_OF_TASK: usize = 32;

impl Control {
    /// Asks for approval of a call, or joins the live approval of the same digest. On record before anyone is told.
    pub async fn ask(&self, question: Question) -> Result<Approval, Problem> {
        let now = self.now();
        let approval = Approval {
            id: self.id(),
            call_digest: question.call_digest,
            task: question.task,
            agent: question.agent,
            // The requester, where the user is a person of this node: never the second person of a quorum.
            opened_by: own_name(&question.user),
            user: question.user,
            tool: question.tool,
            effect: question.effect,
            definition: question.definition,
            arguments: question.arguments,
            reasons: question.reasons,
            discharges: discharges(&question.needs),
            risk: question.risk,
            quorum: question.needs.quorum.max(1),
            votes: Vec::new(),
            state: ApprovalState::Pending,
            requested_at: now,
            expires_at: now.plus(MAX_PENDING),
            valid_s: if question.needs.valid_s == 0 {
                DEFAULT_VALID.as_secs()
            } else {
                question.needs.valid_s
            },
            standing_at_most: question.needs.standing,
            standing: None,
            under: None,
            version: 1,
        };
        // What may be answered for already is decided as an answer of now would be.
        let policy = if approval.standing_at_most > 0 {
            Some(self.parts.policy.current().await?)
        } else {
            None
        };
        let mut event = self.event(
            EventType::ApprovalRequested,
            &Actor::system(),
            "approvals.ask",
        );
        event.parents = vec![Parent {
            role: ParentRole::Trigger,
            id: question.cause,
        }];
        let (control, id) = (self.clone(), approval.id);
        let approval = self
            .parts
            .store
            .write(move |tx| {
                let task = tx.task(approval.task)?;
                if let Some(code) = task.map_or(Some(Code::TaskEnded), |task| task.refusal(now)) {
                    let message = "the task has ended; nobody is asked for it any more";
                    let problem = Problem::new(code, message, "open a new task");
                    return Err(Refusal::Problem(problem));
                }
                if let Some(mut live) = tx.live_approval_of_call(approval.call_digest)? {
                    if now < live.expires_at && answers(&live, &approval) {
                        return Ok(live);
                    }
                    // Its time is over, or policy asks for more by now than it can answer.
                    if live.expire(now) || live.void() {
                        tx.put_approval(&live)?;
                        control.close_approval(tx, &Actor::system(), &live, None)?;
                    }
                }
                if tx.live_approvals_of_task(approval.task)?.len() >= MAX_LIVE_OF_TASK {
                    let message =
                        format!("{MAX_LIVE_OF_TASK} calls of this task wait for people already");
                    return Err(Refusal::Problem(Problem::new(
                        Code::Overloaded,
                        message,
                        "wait for their answers",
                    )));
                }
                tx.put_approval(&approval)?;
                let event = on_record(event.clone(), tx, &approval)?;
                control.parts.journal.push(tx, &event)?;
                let stands = match &policy {
                    Some(policy) => control.stands(tx, policy, &approval)?,
                    None => None,
                };
                Ok::<_, Refusal>(stands.unwrap_or_else(|| approval.clone()))
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await?;
        if approval.id == id {
            self.news(approval.id);
        }
        Ok(approval)
    }
}

fn discharges(needs: &Needs) -> Vec<String> {
    needs
        .all_of
        .iter()
        .chain(needs.any_of.first())
        .cloned()
        .collect()
}

/// Whether a live approval is as good as the one that would be asked for now.
fn answers(live: &Approval, wanted: &Approval) -> bool {
    live.quorum >= wanted.quorum
        && wanted
            .discharges
            .iter()
            .all(|token| live.discharges.contains(token))
}

/// The name under which the user of a task would answer, where that is a person of this node.
fn own_name(user: &UserId) -> Option<String> {
    let account = user.account().map(|account| account.to_string());
    account.or_else(|| {
        let uid = user.as_str().strip_prefix("user:unix:")?;
        Some(format!("uid:{uid}"))
    })
}
