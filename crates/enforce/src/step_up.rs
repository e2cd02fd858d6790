//! A call that waits for a person (07): the approval is bound to the digest of exactly this call, and used at most once.

mod elicit;

use std::time::Duration;

use bailiwick_core::approval::{Approval, ApprovalState};
use bailiwick_core::decision::{Obligation, Outcome};
use bailiwick_core::event::EventType;
use bailiwick_core::id::EventId;
use bailiwick_core::{Code, Digest, Fault};
use bailiwick_crypto::hash::{domain_digest, sha256};
use bytes::Bytes;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::answer::{Asked, Refusal};
use crate::call::standing;
use crate::decider::{Call, Decided};
use crate::gateway::Gateway;
use crate::live::Entered;
use crate::mcp::Outlet;
use crate::mcp::session::Session;
use crate::ports::Question;
use crate::record::{self, Named};
pub(crate) use elicit::{Elicit, MESSAGE};

/// How often a waiting caller hears that its call still waits.
const PROGRESS: Duration = Duration::from_secs(5);
/// Seconds after which a caller that was sent away asks again.
const RETRY_AFTER_S: u64 = 15;

/// What a waiting call has at hand.
pub(crate) struct Waiting<'a> {
    pub(crate) call: Call<'a>,
    pub(crate) named: Named<'a>,
    pub(crate) session: &'a Session,
    pub(crate) entered: &'a Entered,
    pub(crate) cancelled: &'a CancellationToken,
    pub(crate) outlet: &'a Outlet,
    /// The caller's progress token as JSON text.
    pub(crate) progress: Option<&'a str>,
    /// How its user is asked to go and see.
    pub(crate) elicit: Elicit<'a>,
}

/// A call that a person approved, decided again with that and counted.
pub(crate) struct Approved {
    pub(crate) decided: Decided,
    pub(crate) approval: Approval,
}

/// Waits for a person's answer to `stopped`, uses it, and decides again.
pub(crate) async fn run(
    gateway: &Gateway,
    waiting: &Waiting<'_>,
    stopped: &Decided,
) -> Result<Approved, Refusal> {
    let (Some(view), Some(tool), Some(needs)) =
        (&stopped.view, &stopped.tool, &stopped.decision.needs)
    else {
        return Err(Refusal::new(
            Code::StepUpRequired,
            "the call needs a person, and nobody can be asked",
            "",
        ));
    };
    let duties = &stopped.decision.obligations;
    let digest = call_digest(waiting, stopped, duties).ok_or_else(|| {
        Refusal::new(
            Code::ArgumentsInvalid,
            "the arguments have no canonical form",
            "",
        )
    })?;
    let held = record::decided(
        gateway,
        EventType::ToolHeld,
        waiting.call.caller,
        &waiting.named,
        stopped,
    );
    let held = record::grant(&gateway.ports, held)
        .await
        .map_err(|error| Refusal::of(&error.problem()))?;
    let question = Question {
        call_digest: digest,
        task: view.task.id,
        agent: view.agent.name.clone(),
        user: view.task.user.clone(),
        tool: tool.tool.clone(),
        effect: stopped.effect,
        definition: tool.approved.unwrap_or(tool.seen),
        arguments: waiting.call.arguments.as_str().to_owned(),
        reasons: stopped.decision.reasons.clone(),
        needs: needs.clone(),
        risk: view.task.risk,
        cause: held,
    };
    let approver = &gateway.ports.approver;
    let asked = approver
        .ask(question)
        .await
        .map_err(|problem| Refusal::of(&problem).on_record(Some(held)))?;
    if asked.state == ApprovalState::Pending {
        gateway.decider.waits(stopped, &asked);
        let questions = gateway.decider.questions();
        questions.keep(&asked, || {
            standing(&waiting.call, stopped, waiting.session, None)
        });
    }
    let settled = match (asked.state, &waiting.elicit) {
        (ApprovalState::Pending, Elicit::Answer) => {
            let question = later(&approver.url(asked.id), &asked, true);
            return Err(question.on_record(Some(held)));
        }
        (ApprovalState::Pending, Elicit::Declined) => {
            let refusal = later(&approver.url(asked.id), &asked, false);
            return Err(refusal.on_record(Some(held)));
        }
        (ApprovalState::Pending, _) => wait(gateway, waiting, &asked, held).await?,
        _ => asked,
    };
    gateway.decider.waited(stopped, settled.id);
    if settled.state == ApprovalState::Denied {
        gateway.decider.people_refused(stopped);
    }
    if settled.state != ApprovalState::Approved {
        return Err(ended(&settled).on_record(Some(held)));
    }
    let used = use_it(gateway, waiting, &settled, digest, duties, held).await?;
    // Under a standing approval nobody saw these arguments.
    if used.approval.under.is_none() {
        gateway.decider.people_approved(stopped);
    }
    Ok(used)
}

/// Decides with the approval at hand, uses it up, and decides once more for good: what changed meanwhile counts.
async fn use_it(
    gateway: &Gateway,
    waiting: &Waiting<'_>,
    approval: &Approval,
    digest: Digest,
    duties: &[Obligation],
    held: EventId,
) -> Result<Approved, Refusal> {
    let again = Call {
        discharged: &approval.discharges,
        count: false,
        ..waiting.call
    };
    let ahead = gateway.decider.decide(&again).await;
    if !covered(&ahead, approval) {
        return Err(void(&ahead).on_record(Some(held)));
    }
    if call_digest(waiting, &ahead, duties) != Some(digest) {
        let fix = "call again; that asks anew";
        return Err(Refusal::new(
            Code::ApprovalVoid,
            "the call is no longer the one that was approved",
            fix,
        )
        .on_record(Some(held)));
    }
    let consumed = gateway.ports.approver.consume(approval.id, digest).await;
    gateway.decider.questions().forget(approval.id);
    let approval = consumed.map_err(|problem| Refusal::of(&problem).on_record(Some(held)))?;
    let decided = gateway
        .decider
        .decide(&Call {
            count: true,
            ..again
        })
        .await;
    if !covered(&decided, &approval) {
        return Err(void(&decided).on_record(Some(held)));
    }
    Ok(Approved { decided, approval })
}

/// Waits for people, within the configured bound; tells the caller every few seconds that its call still waits.
async fn wait(
    gateway: &Gateway,
    waiting: &Waiting<'_>,
    asked: &Approval,
    held: EventId,
) -> Result<Approval, Refusal> {
    let approver = &gateway.ports.approver;
    let settled = approver.settled(asked.id);
    let bound = tokio::time::sleep(gateway.settings.approval_wait);
    let mut tick = tokio::time::interval(PROGRESS);
    let mut ticks = 0_u64;
    let mut question = elicit::Open::ask(gateway, waiting, asked);
    tokio::pin!(settled, bound);
    loop {
        tokio::select! {
            biased;
            cut = waiting.entered.cut() => {
                let code = if cut.fence.is_some() { Code::Revoked } else { Code::CallCut };
                let message = format!("cut while it waited for a person: {}", cut.reason);
                return Err(Refusal::new(code, message, "the call did not run").on_record(Some(held)));
            }
            () = waiting.cancelled.cancelled() => {
                let message = "the caller took the request back; the approval stands";
                return Err(Refusal::new(Code::CallCut, message, "the call did not run").on_record(Some(held)));
            }
            went = question.answered() => {
                if !went {
                    return Err(later(&approver.url(asked.id), asked, false).on_record(Some(held)));
                }
            }
            settled = &mut settled => {
                question.complete();
                return settled.map_err(|problem| Refusal::of(&problem).on_record(Some(held)));
            }
            () = &mut bound => return Err(later(&approver.url(asked.id), asked, false).on_record(Some(held))),
            _ = tick.tick() => {
                if let Some(token) = waiting.progress {
                    waiting.outlet.offer(progress(token, ticks, &approver.url(asked.id)));
                }
                ticks += 1;
            }
        }
    }
}

fn progress(token: &str, ticks: u64, url: &str) -> Bytes {
    let message = json!(format!("waits for a person's approval at {url}"));
    Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{ticks},"message":{message}}}}}"#
    ))
}

/// Nobody answered within the wait, or the client asks its user to. The approval stands: the same call joins it.
pub(crate) fn later(url: &str, asked: &Approval, elicit: bool) -> Refusal {
    let help = "ask the person to answer, then make exactly the same call again";
    Refusal {
        decision: Outcome::StepUp,
        approval: Some(Box::new(Asked {
            id: asked.id,
            url: url.to_owned(),
            retry_after_s: RETRY_AFTER_S,
            elicit,
        })),
        ..Refusal::new(
            Code::ApprovalRequired,
            "the call waits for a person's approval",
            help,
        )
    }
}

/// An approval that will not let the call run.
pub(crate) fn ended(approval: &Approval) -> Refusal {
    let (code, message) = match approval.state {
        ApprovalState::Denied => {
            let reason = approval
                .votes
                .iter()
                .rev()
                .find(|vote| !vote.approve)
                .map(|vote| vote.reason.trim());
            let words = reason
                .filter(|reason| !reason.is_empty())
                .map(|reason| format!(": {reason}"));
            (
                Code::ApprovalDenied,
                format!("a person refused the call{}", words.unwrap_or_default()),
            )
        }
        ApprovalState::Expired => (Code::ApprovalExpired, "nobody answered in time".to_owned()),
        ApprovalState::Consumed => (Code::ApprovalUsed, "the approval has been used".to_owned()),
        _ => (Code::ApprovalVoid, "the approval no longer fits".to_owned()),
    };
    Refusal::new(
        code,
        message,
        "do not try the same thing in another way; ask the user what to do",
    )
}

/// Whether the decision allows the call with as many people as it counts on by now: risk may have risen since they answered.
pub(crate) fn covered(decided: &Decided, approval: &Approval) -> bool {
    let needs = decided.decision.needs.as_ref();
    decided.allowed() && needs.is_none_or(|needs| needs.quorum <= approval.quorum)
}

pub(crate) fn void(decided: &Decided) -> Refusal {
    if decided.allowed() {
        let message = "the call needs more people by now than have approved it";
        return Refusal::new(Code::ApprovalVoid, message, "call again; that asks anew");
    }
    let refusal = Refusal::from_decision(&decided.decision);
    // What would refuse the call anyway is said as it is; only a second step-up means that the approval is not the one needed.
    if decided.decision.outcome == Outcome::StepUp {
        let message = format!("the approval no longer fits: {}", refusal.message);
        return Refusal {
            code: Code::ApprovalVoid,
            message,
            ..refusal
        };
    }
    refusal
}

/// SHA-256 over task, chain, server, tool, definition, duties and the very bytes of the arguments: what somebody approved is what they were
/// shown, and a server may tell two spellings of one value apart (decision 43).
fn call_digest(waiting: &Waiting<'_>, decided: &Decided, duties: &[Obligation]) -> Option<Digest> {
    let (view, tool) = (decided.view.as_ref()?, decided.tool.as_ref()?);
    let chain = sha256(&[&serde_json::to_vec(&view.chain).ok()?]);
    let whole = format!(
        r#"{{"task":"{}","chain":"{chain}","server":{},"tool":{},"definition":"{}","obligations":{},"arguments":{}}}"#,
        view.task.id,
        json!(tool.tool.server),
        json!(tool.tool.tool),
        tool.approved?,
        json!(duties),
        waiting.call.arguments.as_str(),
    );
    Some(domain_digest("bailiwick/call/v1", whole.as_bytes()))
}

#[cfg(test)]
mod tests;
