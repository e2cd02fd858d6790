//! Events as lines that people read: when, what, by whom, and how it ended.

use serde_json::Value;

use crate::output::{Out, table};

/// A task's events, a line each.
pub(super) fn tell(out: &Out, events: &[Value]) -> String {
    if events.is_empty() {
        out.note("the log has nothing of this task");
    }
    events
        .iter()
        .map(|event| line(out, event))
        .collect::<Vec<_>>()
        .join("\n")
}

/// One event. The leaf may stand alone or beside its index.
pub(crate) fn line(out: &Out, event: &Value) -> String {
    let leaf = event
        .get("leaf")
        .or_else(|| event.get("event"))
        .filter(|leaf| leaf.is_object())
        .unwrap_or(event);
    let text = |pointer: &str| match leaf.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        value => table::cell(out, value),
    };
    let mut parts = Vec::new();
    if let Some(index) = event.get("index").and_then(Value::as_u64) {
        parts.push(format!("{index:>6}"));
    }
    parts.push(text("/ts"));
    parts.push(format!("{:<18}", text("/type")));
    let subject = match (text("/action/server"), text("/action/tool")) {
        (server, tool) if !server.is_empty() && !tool.is_empty() => format!("{server}/{tool}"),
        (server, _) if !server.is_empty() => server,
        _ => text("/action/op"),
    };
    parts.push(subject);
    for (name, pointer) in MEMBERS {
        let value = text(pointer);
        if !value.is_empty() {
            parts.push(format!("{name}={value}"));
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join("  ").trim_end().to_owned()
}

const MEMBERS: [(&str, &str); 12] = [
    ("agent", "/agent/id"),
    ("actor", "/actor"),
    ("task", "/task/id"),
    ("decision", "/decision/effect"),
    ("policies", "/decision/policies"),
    ("approval", "/approval/id"),
    ("lease", "/lease/id"),
    ("outcome", "/outcome/status"),
    ("code", "/outcome/code"),
    ("change", "/change/kind"),
    ("of", "/change/id"),
    ("id", "/id"),
];
