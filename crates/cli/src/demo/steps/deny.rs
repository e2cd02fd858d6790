//! Step 3: a call that policy forbids does not happen; the agent is told why and what would help.

use serde_json::{Value, json};

use super::super::actor::{is_ok, text};
use super::super::narrate::Narrator;
use super::super::setting::Setting;
use super::allow::of;
use crate::failure::Failure;

/// Plays it.
pub(super) async fn play(
    narrator: &mut Narrator,
    setting: &mut Setting<'_>,
) -> Result<(), Failure> {
    narrator.step(
        "deny",
        "The agent asks for secrets/prod.env. It is well able to ask.",
        &format!(
            "bailiwick audit search task={} type=tool.refused",
            setting.task
        ),
    );
    let answer = setting
        .agent
        .call("read_file", &json!({"path": "secrets/prod.env"}))
        .await?;
    let member = |name: &str| {
        answer
            .pointer(&format!("/decision/{name}"))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    narrator.check(
        !is_ok(&answer) && text(&answer, "code") == "forbidden",
        format!("refused: {}", text(&answer, "code")),
    );
    // The message ends with the help, which is shown next.
    let message = text(&answer, "message");
    let why = message.split(" What to do: ").next().unwrap_or(message);
    narrator.check(why.contains("for people only"), why);
    narrator.check(
        !member("help").is_empty(),
        format!("what would change it: {}", member("help")),
    );
    let reached = setting
        .journal()?
        .iter()
        .any(|record| format!("{record:?}").contains("prod.env"));
    narrator.check(!reached, "the tool server's own journal has no such call");
    let events = setting.events(&setting.task, "tool.refused").await?;
    let refusal = events
        .iter()
        .find(|event| of(event, "tool.refused", "read_file"));
    let reasons = refusal
        .and_then(|event| event.pointer("/decision/reasons"))
        .cloned()
        .unwrap_or(Value::Null);
    narrator.check(
        reasons.to_string().contains("demo/no-secrets"),
        format!("the refusal is on record, by {reasons}"),
    );
    Ok(())
}
