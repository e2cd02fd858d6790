//! Step 6: a revocation cuts a call while it runs, refuses the next one, and takes the credential away.

use std::time::Duration;

use bailiwick_core::Clock as _;
use bailiwick_crypto::system::SystemClock;
use bailiwick_demo::workspace::{Outcome, Record};
use serde_json::{Value, json};

use super::super::actor::{is_ok, text};
use super::super::child::SOON;
use super::super::narrate::Narrator;
use super::super::setting::{Setting, until};
use crate::failure::Failure;

/// The published bound from the order to every enforcement point, the slowest case included. On one node it takes milliseconds.
const BOUND: Duration = Duration::from_secs(2);

/// Plays it.
pub(super) async fn play(
    narrator: &mut Narrator,
    setting: &mut Setting<'_>,
) -> Result<(), Failure> {
    let command = format!(
        "bailiwick revoke task {} --reason \"INC-4\" --yes",
        setting.task
    );
    narrator.step("revoke", "The agent exports everything, which takes half a minute. In the middle of it the task is revoked.", &command);
    let export = setting.agent.begin("export_all", &json!({})).await?;
    let progress = setting.agent.progress(export).await?;
    narrator.check(
        true,
        format!("the export runs: {}", text(&progress, "message")),
    );
    let ordered = SystemClock.monotonic();
    let body = json!({"subjects": [format!("task/{}", setting.task)], "reason": "INC-4", "dry_run": false});
    let report = setting.admin.post("/v1/revocations", &body).await?;
    let cut = setting.agent.answer(export, SOON).await?;
    let took = SystemClock.monotonic().saturating_sub(ordered);
    narrator.check(
        !is_ok(&cut) && took <= BOUND,
        format!(
            "cut {} ms after the order (bound {} s): {}",
            took.as_millis(),
            BOUND.as_secs(),
            text(&cut, "code")
        ),
    );
    let ended = until(
        SOON,
        "the end of the export at the tool server",
        async || {
            let calls = setting.journal()?;
            let started = calls.iter().find_map(|record| match record {
                Record::Start { call, tool, .. } if tool == "export_all" => Some(*call),
                _ => None,
            });
            Ok(calls.into_iter().find_map(|record| match record {
                Record::End { call, outcome, .. } if Some(call) == started => Some(outcome),
                _ => None,
            }))
        },
    );
    let ended = ended.await?;
    narrator.check(
        ended == Outcome::Cancelled,
        format!("the tool server was told to stop: {ended:?}"),
    );
    let next = setting
        .agent
        .call("read_file", &json!({"path": "notes/plan.md"}))
        .await?;
    narrator.check(
        !is_ok(&next) && text(&next, "code") == "revoked",
        format!("the next call: {}", text(&next, "code")),
    );
    dead_leases(narrator, setting, &setting.task.clone()).await?;
    let seq = report.get("seq").cloned().unwrap_or(Value::Null);
    narrator.check(
        report.get("id").is_some_and(Value::is_string),
        format!("the fence is on record at change {seq}"),
    );
    Ok(())
}

/// Every lease of a task is verified gone.
pub(super) async fn dead_leases(
    narrator: &mut Narrator,
    setting: &Setting<'_>,
    task: &str,
) -> Result<(), Failure> {
    let all_dead = until(SOON, "the end of the leases", async || {
        let leases = setting.leases(task).await?;
        let dead = leases
            .iter()
            .filter(|lease| lease.get("state").and_then(Value::as_str) == Some("TOMBSTONE"))
            .count();
        Ok((!leases.is_empty() && dead == leases.len()).then_some(dead))
    });
    let dead = all_dead.await?;
    narrator.check(
        dead > 0,
        format!("its credential is verified gone: {dead} lease(s) TOMBSTONE"),
    );
    Ok(())
}
