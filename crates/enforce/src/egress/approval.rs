//! A request that needs a person: it is refused with the approval that it waits for, and the same request again uses the answer (07 of the
//! design). What is approved is every byte that would be sent, but for the credential.

use bailiwick_core::approval::{Approval, ApprovalState};
use bailiwick_core::event::{Event, EventType};
use bailiwick_core::json::{Limits, Numbers, check};
use bailiwick_core::name::{ToolName, ToolRef};
use bailiwick_core::{Code, Digest, Fault as _};
use bailiwick_crypto::hash::{domain_digest, sha256};
use serde_json::json;

use super::Connector;
use super::asked::Asked;
use crate::answer::Refusal;
use crate::decider::{Decided, Egress};
use crate::gateway::Gateway;
use crate::ports::Question;
use crate::record;
use crate::step_up;

/// Asks people about a request that policy stopped, or uses what they said.
pub(crate) async fn settle(
    gateway: &Gateway,
    egress: &Egress<'_>,
    asked: &Asked,
    stopped: &Decided,
    mut held: Event,
) -> Result<(Decided, Approval), Refusal> {
    let nobody = || {
        Refusal::new(
            Code::StepUpRequired,
            "the request needs a person, and nobody can be asked",
            "",
        )
    };
    let (Some(view), Some(needs)) = (&stopped.view, &stopped.decision.needs) else {
        return Err(nobody());
    };
    let connector = egress.connector;
    let digest = digest(connector, asked, stopped).ok_or_else(nobody)?;
    let tool: ToolName = egress.method.parse().map_err(|_| nobody())?;
    held.kind = EventType::EgressRefused;
    held.outcome = Some(record::refused(Code::ApprovalRequired));
    let held = record::grant(&gateway.ports, held)
        .await
        .map_err(|error| Refusal::of(&error.problem()))?;
    let question = Question {
        call_digest: digest,
        task: view.task.id,
        agent: view.agent.name.clone(),
        user: view.task.user.clone(),
        tool: ToolRef {
            server: connector.name().clone(),
            tool,
        },
        effect: stopped.effect,
        definition: connector.digest,
        arguments: asked.in_words(connector).to_string(),
        reasons: stopped.decision.reasons.clone(),
        needs: needs.clone(),
        risk: view.task.risk,
        cause: held,
    };
    let on_record = |refusal: Refusal| refusal.on_record(Some(held));
    let approver = &gateway.ports.approver;
    let approval = approver.ask(question).await;
    let approval = approval.map_err(|problem| on_record(Refusal::of(&problem)))?;
    match approval.state {
        ApprovalState::Approved => {}
        ApprovalState::Pending => {
            let later = step_up::later(&approver.url(approval.id), &approval, false);
            return Err(on_record(later));
        }
        _ => return Err(on_record(step_up::ended(&approval))),
    }
    let again = Egress {
        discharged: &approval.discharges,
        count: false,
        ..*egress
    };
    let ahead = gateway.decider.egress(&again).await;
    if !step_up::covered(&ahead, &approval) {
        return Err(on_record(step_up::void(&ahead)));
    }
    let used = approver.consume(approval.id, digest).await;
    let used = used.map_err(|problem| on_record(Refusal::of(&problem)))?;
    let counted = Egress {
        count: true,
        ..again
    };
    let decided = gateway.decider.egress(&counted).await;
    if !step_up::covered(&decided, &used) {
        return Err(on_record(step_up::void(&decided)));
    }
    Ok((decided, used))
}

/// SHA-256 over the canonical request: task, chain, connector as it is configured, and all that would be sent.
fn digest(connector: &Connector, asked: &Asked, decided: &Decided) -> Option<Digest> {
    let view = decided.view.as_ref()?;
    let chain = sha256(&[&serde_json::to_vec(&view.chain).ok()?]);
    let whole = json!({
        "task": view.task.id,
        "chain": chain,
        "connector": connector.name(),
        "definition": connector.digest,
        "obligations": decided.decision.obligations,
        "request": asked.in_words(connector),
    });
    let text = whole.to_string();
    let limits = Limits {
        bytes: usize::MAX,
        ..Limits::ENVELOPE.case_sensitive()
    };
    let canonical = check(text.as_bytes(), &limits)
        .ok()?
        .canonical(Numbers::AsWritten)
        .ok()?;
    Some(domain_digest("bailiwick/egress/v1", &canonical))
}
