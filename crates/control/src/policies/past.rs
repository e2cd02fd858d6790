//! Decisions on record as policy takes them: the sealed `/input` with the arguments beside it, and what was decided.

use bailiwick_audit::Leaf;
use bailiwick_audit::log::Piece;
use bailiwick_audit::read::ReadError;
use bailiwick_audit::seal::Revealed;
use bailiwick_core::decision::{Decision, Outcome};
use bailiwick_core::event::{DecisionMode, DecisionRef, EventType};
use bailiwick_core::json::{Limits, check};
use bailiwick_core::scope;
use bailiwick_policy::{Bundle, Past, Recorded, StageRefusal, Tally, Terms, replay};

/// What a leaf is to whoever replays decisions.
pub(super) enum Found {
    /// No decision about a call.
    Nothing,
    /// Decided before policy was asked, which no bundle changes.
    BeforePolicy,
    /// Its input or arguments were not kept, or were erased, or are of another version.
    Unkept,
    /// A decision that can be made again.
    Decision(Box<Past>),
}

/// Reads the event at `index` of the record.
pub(super) fn find(piece: &mut Piece, index: u64, leaf: &Leaf) -> Result<Found, ReadError> {
    let event = &leaf.event;
    let Some(decision) = &event.decision else {
        return Ok(Found::Nothing);
    };
    let counts = match event.kind {
        EventType::ToolIntent | EventType::ToolHeld => true,
        // Of a call that was held, the decision is in `tool.held`; what came after was a person's.
        EventType::ToolRefused => decision.effect != Outcome::StepUp,
        _ => false,
    };
    if !counts {
        return Ok(Found::Nothing);
    }
    let Some(input) = leaf.sealed.iter().find(|sealed| sealed.path == "/input") else {
        return Ok(Found::BeforePolicy);
    };
    if !input.kept {
        return Ok(Found::Unkept);
    }
    let Some(values) = piece.open(index, leaf)? else {
        return Ok(Found::Unkept);
    };
    let Some(input) = recorded(&values) else {
        return Ok(Found::Unkept);
    };
    let was = Terms {
        outcome: outcome_of(decision),
        obligations: decision.obligations.clone(),
    };
    Ok(Found::Decision(Box::new(Past {
        event: event.id.to_string(),
        input,
        was,
    })))
}

/// What policy decided. Where it was observed, something else went on.
pub(super) fn outcome_of(decision: &DecisionRef) -> Outcome {
    let observed = decision
        .would_be
        .as_ref()
        .filter(|_| decision.mode == DecisionMode::Observe);
    observed.map_or(decision.effect, |would_be| would_be.effect)
}

/// The request among the opened values of a decision.
pub(super) fn recorded(values: &[Revealed]) -> Option<Recorded> {
    let value = |path: &str| {
        let found = values.iter().find(|value| value.path == path)?;
        Some(found.value.expose().as_slice())
    };
    let arguments = std::str::from_utf8(value("/args")?).ok()?;
    Recorded::opened(value("/input")?, arguments).ok()
}

/// Decides again as an enforcement point does, the stage before policy, and counts what differs.
pub(super) fn again(bundle: &Bundle, past: Past) -> Tally {
    let Some(refusal) = stage_refusal(bundle, &past.input) else {
        return replay(bundle, [past]);
    };
    let input = &past.input;
    let StageRefusal { code, reason, fix } = refusal;
    let now = Decision::refused(code, "stage", reason, fix, input.versions);
    let mut tally = Tally::default();
    let whose = (&input.agent, &input.tool, input.effect);
    tally.add(&past.event, whose, &past.was, &now);
    tally
}

/// Why the stage that the task was in would not let the call through.
pub(super) fn stage_refusal(bundle: &Bundle, input: &Recorded) -> Option<StageRefusal> {
    let (workflow, stage) = (&input.task.workflow, &input.task.stage);
    // They were of this form when they were recorded; what cannot be read again is not let through by any cap.
    let text = check(input.arguments.as_bytes(), &Limits::ENVELOPE)
        .or_else(|_| check(b"{}", &Limits::ENVELOPE));
    let leaves = text.and_then(|text| text.leaves()).ok()?;
    bundle.workflows().refusal(
        workflow,
        stage,
        &scope::Call {
            server: input.tool.server.as_str(),
            tool: input.tool.tool.as_str(),
            effect: input.effect,
            arguments: &leaves,
            resources: None,
        },
    )
}
