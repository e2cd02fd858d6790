//! Approvals: asked for by an enforcement point, answered by people, used once (07, approval protocol).

mod answering;
mod asking;
mod shown;
mod standing;
mod waiting;

use bailiwick_core::approval::{Approval, ApprovalState};
use bailiwick_core::decision::Decision;
use bailiwick_core::event::{
    Action, ApprovalRef, DecisionRef, Event, EventType, Sealed, SealedClass,
};
use bailiwick_core::id::{ApprovalId, EventId};
use bailiwick_core::{Code, Digest, Fault, Problem, Timestamp};
use bailiwick_policy::act::{self, Act, Told};
use bailiwick_policy::{Bundle, Facts};
use bailiwick_store::{ApprovalFilter, MAX_PAGE, StoreError, Tx, facts};
use serde_json::Value;

use crate::tasks::{About, about, sees_requests};
use crate::tools::Refusal;
use crate::{Actor, Control, Operation};
pub use answering::Answer;
use shown::shown;
pub use standing::More;
use standing::may_still_answer;

/// An approval with exactly what an approver is shown.
#[derive(Debug, Clone)]
pub struct ApprovalView {
    /// The approval.
    pub approval: Approval,
    /// What is shown: everything that would run, and why it was stopped.
    pub shown: Value,
    /// Digest of `shown`; a vote counts only with the one that is true when it is cast.
    pub shown_digest: Digest,
}

impl Control {
    /// Uses an approved approval for its one call.
    pub async fn consume(&self, id: ApprovalId, call_digest: Digest) -> Result<Approval, Problem> {
        let now = self.now();
        self.transition(
            id,
            EventType::ApprovalConsumed,
            &Actor::system(),
            "approvals.consume",
            Vec::new(),
            move |approval, _| {
                approval
                    .consume(call_digest, now)
                    .map_err(|error| error.problem())?;
                Ok(None)
            },
        )
        .await
    }

    async fn transition(
        &self,
        id: ApprovalId,
        kind: EventType,
        actor: &Actor,
        op: &'static str,
        sealed: Vec<Sealed>,
        step: impl Fn(&mut Approval, &dyn Tx) -> Result<Option<Decision>, Problem> + Send + 'static,
    ) -> Result<Approval, Problem> {
        let mut event = self.event(kind, actor, op);
        event.sealed = sealed;
        let control = self.clone();
        let approval = self
            .parts
            .store
            .write(move |tx| {
                let mut approval = tx.approval(id)?.ok_or_else(|| unknown(id))?;
                let task = tx.task(approval.task)?;
                let over = task.is_none_or(|task| task.refusal(control.now()).is_some());
                if over
                    && matches!(
                        approval.state,
                        ApprovalState::Pending | ApprovalState::Approved
                    )
                {
                    let message = "the task of this approval has ended";
                    return Err(Refusal::Problem(Problem::new(
                        Code::ApprovalVoid,
                        message,
                        "open a new task",
                    )));
                }
                let decision = step(&mut approval, tx)?;
                tx.put_approval(&approval)?;
                let mut event = on_record(event.clone(), tx, &approval)?;
                event.decision = decision.map(|decision| DecisionRef::of(&decision, 0));
                control.parts.journal.push(tx, &event)?;
                Ok::<_, Refusal>(approval)
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await?;
        self.news(id);
        Ok(approval)
    }

    /// Puts on record that an approval ended unused, and the event that made it so if one did.
    pub(crate) fn close_approval(
        &self,
        tx: &mut dyn Tx,
        actor: &Actor,
        approval: &Approval,
        cause: Option<EventId>,
    ) -> Result<(), Refusal> {
        let mut event = self.event(EventType::ApprovalClosed, actor, "approvals.close");
        event.cause = cause;
        let event = on_record(event, tx, approval)?;
        self.parts.journal.push(tx, &event)?;
        // Nobody hears of it before the commit: a listener reads the store.
        self.news(approval.id);
        Ok(())
    }

    /// Voids what waits or could be used with the yes of somebody who can answer no more.
    pub(crate) fn void_answers_of(
        &self,
        tx: &mut dyn Tx,
        actor: &Actor,
        name: &str,
        cause: EventId,
    ) -> Result<(), Refusal> {
        if may_still_answer(tx, name)? {
            return Ok(());
        }
        for state in [ApprovalState::Pending, ApprovalState::Approved] {
            let filter = ApprovalFilter {
                state: Some(state),
                task: None,
            };
            let mut after = None;
            loop {
                let page = tx.approvals(&filter, after, MAX_PAGE)?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                for mut approval in page {
                    let voted = approval.votes.iter().any(|vote| vote.account == name);
                    if voted && approval.void() {
                        tx.put_approval(&approval)?;
                        self.close_approval(tx, actor, &approval, Some(cause))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn news(&self, id: ApprovalId) {
        // No listener is no error.
        let _ = self.approval_news.send(id);
    }

    /// Approval ids as they change; for followers. One that falls behind must read the list again.
    pub fn approval_changes(&self) -> tokio::sync::broadcast::Receiver<ApprovalId> {
        self.approval_news.subscribe()
    }

    /// Approvals, newest first.
    pub async fn approvals(
        &self,
        actor: &Actor,
        filter: ApprovalFilter,
        after: Option<ApprovalId>,
        limit: usize,
    ) -> Result<Vec<Approval>, Problem> {
        actor.may(Operation::ReadApprovals)?;
        let sees = sees_calls(actor);
        let approvals = self
            .parts
            .store
            .read(move |rows| rows.approvals(&filter, after, limit))
            .await;
        let approvals = approvals.map_err(|error: StoreError| error.problem())?;
        let show = |approval| if sees { approval } else { withheld(approval) };
        Ok(approvals.into_iter().map(show).collect())
    }

    /// One approval with what an approver is shown.
    pub async fn approval(&self, actor: &Actor, id: ApprovalId) -> Result<ApprovalView, Problem> {
        actor.may(Operation::ReadApprovals)?;
        let sees = sees_calls(actor);
        let view = self.parts.store.read(move |rows| {
            let mut approval = rows.approval(id)?.ok_or_else(|| unknown(id))?;
            let (mut shown, shown_digest) = shown(rows, &approval)?;
            if !sees {
                approval = withheld(approval);
                for sealed in ["request", "arguments"] {
                    shown
                        .get_mut(sealed)
                        .map(|words| std::mem::replace(words, Value::Null));
                }
            }
            Ok::<_, Refusal>(ApprovalView {
                approval,
                shown,
                shown_digest,
            })
        });
        view.await.map_err(Refusal::problem)
    }

    async fn read_approval(&self, id: ApprovalId) -> Result<Approval, Problem> {
        let approval = self
            .parts
            .store
            .read(move |rows| rows.approval(id)?.ok_or_else(|| unknown(id)))
            .await;
        approval.map_err(|error: StoreError| error.problem())
    }
}

/// Whether somebody sees what a call would do and what for: those who answer, and those who run tasks. To everybody else both are sealed, as
/// they are on the record.
fn sees_calls(actor: &Actor) -> bool {
    actor.may(Operation::AnswerApprovals).is_ok() || sees_requests(actor)
}

/// An approval for who may know of it but not what it is about.
fn withheld(approval: Approval) -> Approval {
    Approval {
        arguments: String::new(),
        ..approval
    }
}

/// What policy says to a yes, or why it does not let `who` give it.
fn may_approve(
    policy: &Bundle,
    tx: &dyn Tx,
    who: &str,
    approval: &Approval,
    now: Timestamp,
) -> Result<Decision, Problem> {
    let missing = || unknown(approval.id).problem();
    let task = tx.task(approval.task).map_err(|error| error.problem())?;
    let task = task.ok_or_else(missing)?;
    let chain = facts::chain(tx, &task).ok_or_else(missing)?;
    let about = About {
        policy,
        task: &task,
        chain: &chain,
        now,
        seq: tx.head(),
        facts: Facts::default(),
    };
    let tool = approval.tool.to_string();
    let input = [
        ("tool", Told::Text(&tool)),
        ("effect", Told::Text(approval.effect.as_str())),
    ];
    let decision = about.decide(Act::Approve, who, &task.id.to_string(), &input);
    match act::refusal(&decision) {
        Some(problem) => Err(problem),
        None => Ok(decision),
    }
}

fn seal(path: &'static str, value: Vec<u8>) -> Sealed {
    Sealed {
        path,
        class: SealedClass::Meta,
        value,
        keep: true,
    }
}

fn on_record(mut event: Event, tx: &dyn Tx, approval: &Approval) -> Result<Event, Refusal> {
    // Who answered is the event's actor: an account's id, never its name.
    event.approval = Some(ApprovalRef {
        id: approval.id,
        approvers: Vec::new(),
    });
    let op = event
        .action
        .take()
        .map_or_else(String::new, |action| action.op);
    event.action = Some(Action {
        effect: Some(approval.effect),
        server: Some(approval.tool.server.clone()),
        tool: Some(approval.tool.tool.clone()),
        definition: Some(approval.definition),
        ..Action::named(op)
    });
    event.change = Some(bailiwick_core::event::ChangeRef {
        kind: "approval".to_owned(),
        id: approval.id.to_string(),
        before: None,
        after: Some(format!("{:?}", approval.state).to_lowercase()),
    });
    event.sealed.push(seal(
        "/call_digest",
        approval.call_digest.to_string().into_bytes(),
    ));
    Ok(match tx.task(approval.task)? {
        Some(task) => about(event, tx, &task),
        None => event,
    })
}

fn unknown(id: ApprovalId) -> StoreError {
    StoreError::NotFound {
        kind: "approval",
        key: id.to_string(),
    }
}
