//! Step 7: a task ends as it should, and what was handed out for it is dead although nobody revoked anything.

use serde_json::json;

use super::super::actor::{Actor, is_ok, text};
use super::super::narrate::Narrator;
use super::super::setting::Setting;
use super::revoke::dead_leases;
use crate::failure::Failure;
use crate::output::table::items;

/// Plays it.
pub(super) async fn play(
    narrator: &mut Narrator,
    setting: &mut Setting<'_>,
) -> Result<(), Failure> {
    let task = setting
        .open_task("Write down what is left to do", None)
        .await?;
    narrator.step("task end", "A second task, with a sub-task that another process of the agent works on. Then it is done.", &format!("bailiwick task complete {task}"));
    let mut parent = setting.start_agent(&task).await?;
    let note = json!({"title": "Left to do", "body": "Order 4 waits for its payment."});
    let wrote = parent.call("add_note", &note).await?;
    narrator.check(is_ok(&wrote), format!("the agent works in {task}"));
    let below = setting.open_task("Look up order 4", Some(&task)).await?;
    let mut child = setting.start_agent(&below).await?;
    let looked = child.call("get_order", &json!({"id": 4})).await?;
    narrator.check(
        is_ok(&looked),
        format!("and a second process of it in the sub-task {below}"),
    );

    setting
        .admin
        .post(&format!("/v1/tasks/{task}/complete"), &json!({}))
        .await?;
    for (id, what) in [(&task, "the task"), (&below, "its sub-task")] {
        let state = setting.admin.get(&format!("/v1/tasks/{id}")).await?;
        let state = text(&state, "state").to_owned();
        narrator.check(
            state != "open" && !state.is_empty(),
            format!("{what} is {state}"),
        );
    }
    for (actor, what) in [
        (&mut parent, "the agent's"),
        (&mut child, "the sub-agent's"),
    ] {
        refused(narrator, actor, what).await?;
    }
    dead_leases(narrator, setting, &task).await?;
    dead_leases(narrator, setting, &below).await?;
    let fences = setting
        .admin
        .query("/v1/fences", &[("limit", "1000".to_owned())])
        .await?;
    let revoked = items(&fences).iter().filter(|fence| {
        let subject = text(fence, "subject");
        [&task, &below]
            .iter()
            .any(|id| subject == format!("task/{id}"))
    });
    narrator.check(
        revoked.count() == 0,
        "nobody revoked anything: the end of the task was enough",
    );
    for mut actor in [parent, child] {
        actor.end().await;
        setting
            .transcripts
            .push(actor.child().transcript().to_owned());
    }
    Ok(())
}

/// The token that worked a moment ago does not any more.
async fn refused(narrator: &mut Narrator, actor: &mut Actor, what: &str) -> Result<(), Failure> {
    let answer = actor
        .call("read_file", &json!({"path": "notes/plan.md"}))
        .await?;
    let code = text(&answer, "code").to_owned();
    let dead = matches!(code.as_str(), "task_ended" | "revoked");
    narrator.check(
        !is_ok(&answer) && dead,
        format!("{what} token is dead: {code}"),
    );
    Ok(())
}
