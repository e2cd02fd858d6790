//! Step 2: a call that policy allows runs, and intent, decision and result are on the log.

use serde_json::{Value, json};

use super::super::actor::{is_ok, text};
use super::super::narrate::Narrator;
use super::super::setting::Setting;
use crate::failure::Failure;

/// Plays it.
pub(super) async fn play(
    narrator: &mut Narrator,
    setting: &mut Setting<'_>,
) -> Result<(), Failure> {
    narrator.step(
        "allow",
        "The agent reads notes/plan.md through the gateway.",
        &format!("bailiwick audit task {}", setting.task),
    );
    let answer = setting
        .agent
        .call("read_file", &json!({"path": "notes/plan.md"}))
        .await?;
    let content = text(&answer, "content");
    narrator.check(
        is_ok(&answer) && content.contains("Ship order 7"),
        if is_ok(&answer) {
            format!("the content arrived, {} bytes", content.len())
        } else {
            format!("no content: {answer}")
        },
    );
    let events = setting.events(&setting.task, "tool").await?;
    let intent = events
        .iter()
        .rev()
        .find(|event| of(event, "tool.intent", "read_file"));
    let policies = intent
        .and_then(|event| event.pointer("/decision/policies"))
        .cloned()
        .unwrap_or(Value::Null);
    let named = policies
        .as_array()
        .is_some_and(|policies| policies.contains(&json!("demo/read")));
    narrator.check(
        named,
        format!("decided by {policies}, on record before it ran"),
    );
    let result = events
        .iter()
        .rev()
        .find(|event| of(event, "tool.result", "read_file"));
    let status = result
        .and_then(|event| event.pointer("/outcome/status"))
        .and_then(Value::as_str);
    let linked = match (intent.and_then(|event| event.get("id")), result) {
        (Some(id), Some(result)) => result.to_string().contains(&id.to_string()),
        _ => false,
    };
    narrator.check(
        status == Some("ok") && linked,
        format!(
            "its result is on record too: {}",
            status.unwrap_or("nothing")
        ),
    );
    Ok(())
}

/// Whether an event is of this type about this tool.
pub(super) fn of(event: &Value, kind: &str, tool: &str) -> bool {
    event.get("type").and_then(Value::as_str) == Some(kind)
        && event.pointer("/action/tool").and_then(Value::as_str) == Some(tool)
}
