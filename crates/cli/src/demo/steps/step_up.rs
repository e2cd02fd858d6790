//! Step 4: a call waits for a person, runs once with exactly the bytes they saw, and asks anew when it is repeated.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::actor::{is_ok, text};
use super::super::narrate::Narrator;
use super::super::setting::{Setting, broken, until};
use crate::approvals::{answer, call};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::table::items;

/// Plays it.
pub(super) async fn play(
    narrator: &mut Narrator,
    setting: &mut Setting<'_>,
) -> Result<(), Failure> {
    narrator.step(
        "step-up",
        "The agent changes order 7. That reaches a customer, so a person looks first.",
        "bailiwick approval list",
    );
    let arguments = json!({"id": 7, "status": "shipped"});
    let running = setting.agent.begin("update_order", &arguments).await?;
    let id = waiting(&setting.admin, None).await?;
    narrator.check(
        setting.ran("update_order")?.is_empty(),
        format!("{id} waits; nothing ran"),
    );
    let view = setting.reviewer.get(&format!("/v1/approvals/{id}")).await?;
    let shown = view
        .pointer("/approval/arguments")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    for line in call(&narrator.out(), &view).lines() {
        narrator.say(line);
    }
    narrator.say(&format!("{}/v1/approvals/{id}", setting.console()));
    if setting.auto {
        narrator.command(&format!(
            "bailiwick approval approve {id} --reason \"as agreed\"    # as the account reviewer"
        ));
        answer(&setting.reviewer, &view, &id, true, "as agreed").await?;
    } else {
        narrator.say("it waits 5 minutes for you; in another terminal:");
        narrator.command(&format!(
            "BAILIWICK_NODE={} bailiwick approval approve {id}",
            setting.admin_socket().display()
        ));
    }
    let answered = setting.agent.answer(running, PATIENCE).await?;
    narrator.check(
        is_ok(&answered),
        if is_ok(&answered) {
            "approved, and the call ran".to_owned()
        } else {
            format!("the call did not run: {answered}")
        },
    );
    let ran = setting.ran("update_order")?;
    let exact = matches!(ran.as_slice(), [(bytes, true)] if *bytes == shown && !shown.is_empty());
    narrator.check(
        exact,
        format!(
            "it ran {} time(s), with exactly the bytes that were shown: {shown}",
            ran.len()
        ),
    );

    narrator.say("The agent repeats the very same call.");
    let again = setting.agent.begin("update_order", &arguments).await?;
    let second = waiting(&setting.admin, Some(&id)).await?;
    narrator.check(
        second != id,
        format!("the first answer was good for one call; {second} is asked for anew"),
    );
    let second_vote = answer(&setting.reviewer, &view, &id, true, "again").await;
    let code = match &second_vote {
        Ok(_) => "accepted".to_owned(),
        Err(failure) => failure.problem.code.to_string(),
    };
    narrator.check(
        code == "approval_used",
        format!("answering the first one again: {code}"),
    );
    let view = setting
        .reviewer
        .get(&format!("/v1/approvals/{second}"))
        .await?;
    answer(&setting.reviewer, &view, &second, false, "once is enough").await?;
    let refused = setting
        .agent
        .answer(again, super::super::child::SOON)
        .await?;
    narrator.check(
        !is_ok(&refused)
            && text(&refused, "code") == "approval_denied"
            && setting.ran("update_order")?.len() == 1,
        format!(
            "a no is a no: {}; still {} run",
            text(&refused, "code"),
            setting.ran("update_order")?.len()
        ),
    );
    Ok(())
}

/// The approval that waits, other than `earlier`.
async fn waiting(admin: &Client, earlier: Option<&str>) -> Result<String, Failure> {
    until(super::super::child::SOON, "an approval", async || {
        let body = admin
            .query("/v1/approvals", &[("state", "pending".to_owned())])
            .await?;
        let ids = items(&body)
            .iter()
            .filter_map(|approval| approval.get("id").and_then(Value::as_str));
        Ok(ids
            .map(str::to_owned)
            .find(|id| Some(id.as_str()) != earlier))
    })
    .await
    .map_err(|_| broken("no approval was asked for".to_owned()))
}

/// How long a person may take.
const PATIENCE: Duration = Duration::from_mins(5);
