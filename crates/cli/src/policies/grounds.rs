//! How an explanation reads: the decision, the conditions that made it with the values they looked at, and what would allow the call.

use serde_json::Value;

use super::trial::{list, number, text, word};
use crate::output::Out;

/// Of a decision on record: under the bundle of its time, and under the active one.
pub(super) fn told(_: &Out, body: &Value) -> String {
    let decision = body.get("decision").unwrap_or(&Value::Null);
    let mut lines = vec![format!(
        "{}: {} {}",
        text(body, "event"),
        text(decision, "effect"),
        text(body, "code")
    )];
    for reason in list(decision, "reasons") {
        lines.push(format!("  by {}", word(reason)));
    }
    for (title, side) in [
        ("under the bundle of its time,", "then"),
        ("under the active bundle,", "now"),
    ] {
        if let Some(grounds) = body.get(side).filter(|grounds| grounds.is_object()) {
            lines.extend(of_bundle(title, grounds));
        }
    }
    let note = text(body, "note");
    if !note.is_empty() {
        lines.push(note);
    }
    lines.join("\n")
}

/// What one bundle says.
pub(super) fn of_bundle(title: &str, grounds: &Value) -> Vec<String> {
    let mut lines = vec![format!("{title} {}:", text(grounds, "bundle"))];
    let stage = text(grounds, "stage");
    if !stage.is_empty() {
        lines.push(format!("  the stage refuses it: {stage}"));
    }
    let decided = grounds.get("decision").unwrap_or(&Value::Null);
    if decided.is_object() {
        lines.push(format!("  {}", text(decided, "outcome")));
    }
    for because in list(grounds, "because") {
        lines.push(because_line(because));
        for value in list(because, "values") {
            lines.push(format!(
                "      {} is {}",
                text(value, "name"),
                text(value, "value")
            ));
        }
    }
    for change in list(decided, "would_allow") {
        lines.push(format!("  would allow it: {}", word(change)));
    }
    lines
}

fn because_line(because: &Value) -> String {
    let holds = match because.get("holds") {
        Some(Value::Bool(true)) => "holds",
        Some(Value::Bool(false)) => "does not hold",
        _ => "could not be evaluated",
    };
    let kind = if because.get("permits") == Some(&Value::Bool(true)) {
        "permit"
    } else {
        "forbid"
    };
    let clause = text(because, "clause");
    let clause = if clause.is_empty() {
        "its scope alone".to_owned()
    } else {
        format!("`{clause}`")
    };
    format!(
        "  {kind} {} ({}:{}:{}): {clause} {holds}",
        text(because, "policy"),
        text(because, "file"),
        number(because, "line"),
        number(because, "column"),
    )
}
