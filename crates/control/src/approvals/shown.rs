//! What an approver is shown: everything that would run, and why it was stopped. A vote carries the digest of it.

use bailiwick_core::approval::Approval;
use bailiwick_core::json::{Limits, Numbers, check};
use bailiwick_core::{Digest, Fault, Problem};
use bailiwick_crypto::hash::domain_digest;
use bailiwick_store::Reads;
use serde_json::{Value, json};

/// What an approver is shown, and its digest (over the canonical JSON). It changes when what would run, or why, changes.
pub(super) fn shown(rows: &dyn Reads, approval: &Approval) -> Result<(Value, Digest), Problem> {
    let task = rows.task(approval.task).map_err(|error| error.problem())?;
    let tool = rows.tool(&approval.tool).map_err(|error| error.problem())?;
    let view = json!({
        "approval": approval.id,
        "call_digest": approval.call_digest,
        "tool": approval.tool,
        "effect": approval.effect,
        "definition": approval.definition,
        "definition_now": tool.and_then(|tool| tool.approved),
        "arguments": approval.arguments,
        "agent": approval.agent,
        "user": approval.user,
        "task": approval.task,
        "request": task.as_ref().map(|task| task.request.text.as_str()),
        "stage": task.as_ref().map(|task| &task.stage),
        "risk": task.as_ref().map(|task| task.risk),
        "labels": task.as_ref().map(|task| &task.labels),
        "reasons": approval.reasons,
        "quorum": approval.quorum,
        "standing_at_most": approval.standing_at_most,
        "requested_at": approval.requested_at,
    });
    let text = view.to_string();
    let canonical = check(text.as_bytes(), &Limits::ENVELOPE.case_sensitive())
        .and_then(|text| text.canonical(Numbers::AsWritten))
        .map_err(|error| error.problem())?;
    Ok((view, domain_digest("bailiwick/shown/v1", &canonical)))
}
