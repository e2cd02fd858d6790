//! Duties of an allowed call that this point performs beside `label` and `max_bytes` (03): how often calls may come, what of an answer is
//! taken out, and who is told.

mod rates;
mod redact;

use bailiwick_core::Problem;
use bailiwick_core::binding::Binding;
use bailiwick_core::decision::Obligation;
use bailiwick_core::event::{ChangeRef, Event, EventType};
use bailiwick_core::label::Label;

use crate::decider::Decided;
use crate::gateway::Gateway;
use crate::record;

pub use rates::Rates;
pub(crate) use redact::redact;

/// Labels whose leaves are taken out of the answer.
pub(crate) fn redacted_labels(duties: &[Obligation]) -> Vec<Label> {
    let duties = duties.iter().filter(|duty| duty.kind == "redact");
    // A label that cannot be read is refused when a bundle is loaded.
    duties
        .filter_map(|duty| duty.argument.parse().ok())
        .collect()
}

/// Why the redactions of a decision cannot be performed for this tool: a label of which nobody has said where it stands. None if they can.
pub(crate) fn nowhere(duties: &[Obligation], binding: &Binding) -> Option<Label> {
    redacted_labels(duties)
        .into_iter()
        .find(|label| !binding.paths.values().any(|bound| bound == label))
}

/// Puts on record whom policy wants to be told of a call, before the call leaves. Nothing leaves that nobody could be told of.
pub(crate) async fn notify(
    gateway: &Gateway,
    decided: &Decided,
    intent: &Event,
) -> Result<(), Problem> {
    let duties = decided.decision.obligations.iter();
    for duty in duties.filter(|duty| duty.kind == "notify") {
        let mut event = record::following(&gateway.ports, EventType::NoticeGiven, intent);
        event.change = Some(ChangeRef {
            kind: "notice".to_owned(),
            id: duty.argument.clone(),
            before: None,
            after: None,
        });
        let recorded = record::grant(&gateway.ports, event).await;
        recorded.map_err(|error| bailiwick_core::Fault::problem(&error))?;
        // For whoever reads the node's own log.
        tracing::info!(notice = duty.argument, event = %intent.id, "policy wants somebody to be told of a call");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
