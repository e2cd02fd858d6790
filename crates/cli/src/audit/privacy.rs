//! `audit reveal` and `audit erase`: what the record keeps sealed.

use bailiwick_core::id::EventId;
use bailiwick_core::{Code, Problem};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::context::{Context, confirm};
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
    context.out.show(&erased, |out, answer| {
        format!(
            "erased the values of {} events; proofs stand",
            count(out, answer)
        )
    });
    Ok(Exit::DONE)
}

fn count(out: &Out, answer: &Value) -> String {
    table::cell(out, answer.get("count"))
}

/// Prints the kept values of an event.
pub(super) async fn reveal(context: &Context, event: EventId, reason: &str) -> Outcome {
    let body = json!({"event": event, "reason": reason});
    let answer = context.api()?.post("/v1/audit/reveals", &body).await?;
    let values = answer.get("values").and_then(Value::as_array);
    for value in values.into_iter().flatten() {
        let encoded = value.get("value").and_then(Value::as_str);
        if encoded
            .and_then(|value| STANDARD.decode(value).ok())
            .is_none()
        {
            let problem = Problem::new(
                Code::Internal,
                "the node's answer holds something that is no base64",
                "",
            );
            return Err(problem.into());
        }
    }
    context.out.show(&answer, |out, answer| {
        let values = answer.get("values").and_then(Value::as_array);
        let lines = values.into_iter().flatten().map(|value| {
            let encoded = value.get("value").and_then(Value::as_str);
            let bytes = encoded.and_then(|value| STANDARD.decode(value).ok());
            let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
            format!(
                "{}  {}",
                table::cell(out, value.get("path")),
                Untrusted(&text)
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    Ok(Exit::DONE)
}
