//! The JSON of offers: filled in with what is known, held against what was asked, and turned into the types of `rmcp`.

use std::fmt::Write;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Which capability of a client answers a request.
pub(super) fn answered_by(request: &Value) -> &'static str {
    match request["method"].as_str() {
        Some("elicitation/create") => "elicitation",
        Some("sampling/createMessage") => "sampling",
        _ => "roots",
    }
}

/// Whether an answer is one to what was asked.
pub(super) fn fits(request: &Value, answer: &Value) -> bool {
    match answered_by(request) {
        "elicitation" => {
            let needed = request["params"]["requestedSchema"]["required"]
                .as_array()
                .unwrap();
            let has = |name: &Value| answer["content"].get(name.as_str().unwrap()).is_some();
            let action = answer["action"].as_str();
            action.is_some_and(|action| action != "accept") || needed.iter().all(has)
        }
        "sampling" => answer.get("content").is_some(),
        _ => answer.get("roots").is_some(),
    }
}

/// `value` with each `{path.to.something}` in its texts replaced by what is known under that path.
pub(super) fn filled(value: &Value, known: &Value) -> Value {
    match value {
        Value::String(text) => {
            let mut out = String::new();
            let mut rest = text.as_str();
            while let Some((before, after)) = rest.split_once('{') {
                out.push_str(before);
                let Some((path, behind)) = after.split_once('}') else {
                    out.push('{');
                    rest = after;
                    continue;
                };
                let found = known.pointer(&format!("/{}", path.replace('.', "/")));
                match found {
                    Some(Value::String(found)) => out.push_str(found),
                    Some(found) => out.push_str(&found.to_string()),
                    None => write!(out, "{{{path}}}").unwrap(),
                }
                rest = behind;
            }
            out.push_str(rest);
            Value::String(out)
        }
        Value::Array(list) => list.iter().map(|one| filled(one, known)).collect(),
        Value::Object(members) => {
            let filled = members
                .iter()
                .map(|(name, one)| (name.clone(), filled(one, known)));
            Value::Object(filled.collect())
        }
        other => other.clone(),
    }
}

pub(super) fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}

pub(super) fn typed<T: DeserializeOwned>(value: Value) -> T {
    let text = value.to_string();
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A result that says that it is one, as 2026-07-28 wants; `rmcp` takes that away for older clients.
pub(super) fn whole<T: DeserializeOwned>(mut result: Value) -> T {
    merge(&mut result, json!({ "resultType": "complete" }));
    typed(result)
}
