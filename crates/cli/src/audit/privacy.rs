//! `audit reveal` and `audit erase`: what the record keeps sealed.

use std::collections::BTreeMap;

use bailiwick_core::id::EventId;
use bailiwick_core::{Code, Problem};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::context::{Context, confirm};
use crate::failure::Failure;
use crate::output::{Out, Untrusted, table};
use crate::{Exit, Outcome};

/// What an erasure selects by.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// One event.
    Event,
    /// A task and everything below it.
    Task,
    /// A user.
    User,
}

/// What to erase.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: bailiwick audit erase task task_01h455vb4pex5vsknk084sn02q --basis \"request 17\" --yes"
)]
pub(crate) struct EraseArgs {
    /// What kind: event, task (with everything below it), user.
    kind: Kind,
    /// Which; a user as `user:<issuer>:<subject>` or by the pseudonym that the record has (`usr_…`).
    id: String,
    /// The request or rule that it follows from; it goes on record.
    #[arg(long, value_name = "TEXT")]
    basis: String,
    /// Only says how many events are concerned.
    #[arg(long)]
    dry_run: bool,
    /// Does not ask.
    #[arg(long)]
    yes: bool,
}

/// Erases, after it has said how much and asked.
pub(super) async fn erase(context: &Context, args: EraseArgs) -> Outcome {
    let kind = match args.kind {
        Kind::Event => "event",
        Kind::Task => "task",
        Kind::User => "user",
    };
    let body = |dry_run: bool| json!({kind: args.id, "basis": args.basis, "dry_run": dry_run});
    let api = context.api()?;
    if args.dry_run || !args.yes {
        let preview = api.post("/v1/audit/erasures", &body(true)).await?;
        if args.dry_run {
            context.out.show(&preview, |out, answer| {
                format!("would erase the values of {} events", count(out, answer))
            });
            return Ok(Exit::DONE);
        }
        let events = count(&context.out, &preview);
        let question = format!("Erase the values of {events} events for good?");
        if !confirm(&context.out, &question).await? {
            return Ok(Exit::NO);
        }
    }
    let erased = api.post("/v1/audit/erasures", &body(false)).await?;
    context.out.show(&erased, told);
    Ok(Exit::DONE)
}

/// Confirms what another admin asked for.
pub(super) async fn confirm_erasure(context: &Context, id: &str) -> Outcome {
    let path = format!("/v1/audit/erasures/{}/confirm", segment(id)?);
    let erased = context.api()?.post(&path, &json!({})).await?;
    context.out.show(&erased, told);
    Ok(Exit::DONE)
}

/// An id as it may stand in a path.
fn segment(id: &str) -> Result<&str, Problem> {
    let plain = id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain && !id.is_empty() {
        return Ok(id);
    }
    Err(Problem::new(
        Code::InvalidInput,
        "this is no id of an erasure",
        "",
    ))
}

/// What came of an erasure.
fn told(out: &Out, answer: &Value) -> String {
    let (events, tasks) = (count(out, answer), table::cell(out, answer.get("tasks")));
    if let Some(id) = answer.get("waits").and_then(Value::as_str) {
        return format!(
            "waits for a second admin, for a day: {events} events, {tasks} tasks\n\n    bailiwick audit confirm-erasure {}",
            Untrusted(id)
        );
    }
    let open = match answer.get("open_tasks").and_then(Value::as_u64) {
        None | Some(0) => String::new(),
        Some(open) => format!("; {open} tasks are still open and keep their words"),
    };
    format!(
        "erased the values of {events} events and the words of {tasks} tasks{open}; proofs stand"
    )
}

fn count(out: &Out, answer: &Value) -> String {
    table::cell(out, answer.get("count"))
}

/// Prints the kept values of an event.
pub(super) async fn reveal(context: &Context, event: EventId, reason: &str) -> Outcome {
    let answer = open(context, event, reason).await?;
    let values = opened(&answer)?;
    context.out.show(&answer, |_, _| lines(&values));
    Ok(Exit::DONE)
}

/// Prints an event with those of its kept values that were asked for.
pub(super) async fn show_revealed(
    context: &Context,
    event: EventId,
    wanted: &[String],
    reason: &str,
) -> Outcome {
    let mut recorded = context
        .api()?
        .get(&format!("/v1/audit/events/{event}"))
        .await?;
    let mut values = opened(&open(context, event, reason).await?)?;
    if let Some(missing) = wanted.iter().find(|path| !values.contains_key(*path)) {
        let there: Vec<&str> = values.keys().map(String::as_str).collect();
        let message = format!("the event keeps no value at {missing}");
        let help = format!("it keeps: {}", there.join(", "));
        return Err(Problem::new(Code::NotFound, message, help).into());
    }
    values.retain(|path, _| wanted.is_empty() || wanted.contains(path));
    if let Some(members) = recorded.as_object_mut() {
        members.insert("revealed".to_owned(), json!(values));
    }
    context.out.show(&recorded, |out, recorded| {
        let mut event = recorded.clone();
        if let Some(members) = event.as_object_mut() {
            members.remove("revealed");
        }
        format!("{}\n{}", table::record(out, &event), lines(&values))
    });
    Ok(Exit::DONE)
}

async fn open(context: &Context, event: EventId, reason: &str) -> Result<Value, Failure> {
    let body = json!({"event": event, "reason": reason});
    context.api()?.post("/v1/audit/reveals", &body).await
}

/// The values of a reveal's answer, as text, by path.
pub(super) fn opened(answer: &Value) -> Result<BTreeMap<String, String>, Failure> {
    let values = answer.get("values").and_then(Value::as_array);
    let one = |value: &Value| {
        let path = value.get("path").and_then(Value::as_str)?;
        let encoded = value.get("value").and_then(Value::as_str)?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Some((path.to_owned(), text))
    };
    let values = values.into_iter().flatten().map(one);
    values.collect::<Option<_>>().ok_or_else(|| {
        let message = "the node's answer holds something that is no base64";
        Problem::new(Code::Internal, message, "").into()
    })
}

fn lines(values: &BTreeMap<String, String>) -> String {
    let lines = values
        .iter()
        .map(|(path, value)| format!("{}  {}", Untrusted(path), Untrusted(value)));
    lines.collect::<Vec<_>>().join("\n")
}
