//! Rolling policy out: `shadow` tries a bundle on live calls, `mode` observes policy for a time instead of enforcing it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::directory;
use super::trial::{self, seconds};
use crate::context::Context;
use crate::output::{Out, Untrusted, table};
use crate::{Exit, Outcome};

/// What can be done with a trial.
#[derive(Debug, Subcommand)]
pub(crate) enum ShadowCommand {
    /// Tries a bundle on live calls beside the active one; nothing of it is enforced.
    #[command(after_help = "Example: bailiwick policy shadow start policy")]
    Start {
        /// The bundle's directory.
        dir: PathBuf,
    },
    /// What the bundle that is tried would decide otherwise. Exit 1: something.
    #[command(after_help = "Example: bailiwick policy shadow status")]
    Status,
    /// Publishes the bundle that is tried, if the trial has shown what is asked for.
    #[command(
        after_help = "Example: bailiwick policy shadow promote --after 1h --max-new-denials 0"
    )]
    Promote {
        /// It has run at least so long, such as `1h`.
        #[arg(long, value_name = "TIME", default_value = "0s", value_parser = seconds)]
        after: u64,
        /// It would have stopped at most so many calls that went through.
        #[arg(long, value_name = "N", default_value_t = 0)]
        max_new_denials: u64,
    },
    /// Ends the trial without publishing.
    #[command(after_help = "Example: bailiwick policy shadow stop")]
    Stop,
}

/// Whether policy is enforced.
#[derive(Debug, Args)]
pub(crate) struct ModeArgs {
    /// Without it: which it is now.
    #[arg(value_enum)]
    mode: Option<Mode>,
    /// With `observe`: policy is enforced again after this time, at most `14d`.
    #[arg(long = "for", value_name = "TIME", value_parser = seconds, required_if_eq("mode", "observe"))]
    lasts: Option<u64>,
    /// With `observe`: why; it goes on record.
    #[arg(long, required_if_eq("mode", "observe"))]
    reason: Option<String>,
}

/// The two modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// What policy refuses does not happen.
    Enforce,
    /// What policy refuses is recorded and happens all the same; fences, scope, definitions and budgets are enforced.
    Observe,
}

pub(super) async fn shadow(context: &Context, command: ShadowCommand) -> Outcome {
    let api = context.api()?;
    match command {
        ShadowCommand::Start { dir } => {
            let source = directory::read(&dir)?;
            let body = json!({"files": source.files});
            let answer = api.put("/v1/policy/shadow", &body).await;
            let answer = answer.map_err(|failure| failure.in_files(&source.files))?;
            context.out.show(&answer, told);
            Ok(Exit::DONE)
        }
        ShadowCommand::Status => {
            let answer = api.get("/v1/policy/rollout").await?;
            context.out.show(&answer, told);
            let groups = answer.pointer("/counted/groups").unwrap_or(&Value::Null);
            Ok(if table::items(groups).is_empty() {
                Exit::DONE
            } else {
                Exit::NO
            })
        }
        ShadowCommand::Promote {
            after,
            max_new_denials,
        } => {
            let body = json!({"after_s": after, "max_new_denials": max_new_denials});
            context.record(&api.post("/v1/policy/shadow/promote", &body).await?);
            Ok(Exit::DONE)
        }
        ShadowCommand::Stop => {
            context
                .out
                .show(&api.delete("/v1/policy/shadow").await?, told);
            Ok(Exit::DONE)
        }
    }
}

pub(super) async fn mode(context: &Context, args: &ModeArgs) -> Outcome {
    let api = context.api()?;
    let answer = match args.mode {
        None => api.get("/v1/policy/rollout").await?,
        Some(Mode::Enforce) => {
            api.put("/v1/policy/mode", &json!({"mode": "enforce"}))
                .await?
        }
        Some(Mode::Observe) => {
            let body = json!({"mode": "observe", "for_s": args.lasts, "reason": args.reason});
            api.put("/v1/policy/mode", &body).await?
        }
    };
    context.out.show(&answer, told);
    Ok(Exit::DONE)
}

/// Says on stderr that policy is not enforced, if that is so. A node that does not say is left alone.
pub(super) async fn banner(context: &Context) {
    let Ok(api) = context.api() else { return };
    if let Ok(answer) = api.get("/v1/policy/rollout").await
        && let Some(warning) = warning(&answer)
    {
        context.out.error_line(&warning);
    }
}

fn warning(answer: &Value) -> Option<String> {
    let observe = answer.get("observe")?;
    if answer.get("mode")?.as_str() != Some("observe") {
        return None;
    }
    let text = |name: &str| {
        let text = observe
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default();
        Untrusted(text).to_string()
    };
    Some(format!(
        "POLICY IS NOT ENFORCED until {} (by {}: {}); end it with: bailiwick policy mode enforce",
        text("until"),
        text("by"),
        text("reason"),
    ))
}

fn told(out: &Out, answer: &Value) -> String {
    let mut lines = vec![warning(answer).unwrap_or_else(|| "policy is enforced".to_owned())];
    let digest = answer.pointer("/shadow/digest").and_then(Value::as_str);
    match digest {
        None => lines.push("no bundle is tried".to_owned()),
        Some(digest) => {
            let since = table::cell(out, answer.pointer("/shadow/since"));
            lines.push(format!("{} is tried since {since}", Untrusted(digest)));
            match answer.get("counted").filter(|counted| counted.is_object()) {
                None => lines.push("no call was compared yet".to_owned()),
                Some(counted) => {
                    lines.extend(trial::groups(counted));
                    let number =
                        |name: &str| counted.get(name).and_then(Value::as_u64).unwrap_or(0);
                    lines.push(format!(
                        "{} calls compared, {} could not be",
                        number("compared"),
                        number("missed") + number("unanswerable")
                    ));
                }
            }
        }
    }
    lines.join("\n")
}
