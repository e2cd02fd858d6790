//! What a bundle would do before it is live: `diff` and `replay`; and why a recorded call was decided as it was: `explain`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bailiwick_core::id::EventId;
use bailiwick_core::{Clock as _, Code, Problem, Timestamp};
use bailiwick_crypto::system::SystemClock;
use clap::Args;
use serde_json::{Value, json};

use super::{directory, grounds};
use crate::context::{Context, read_file};
use crate::failure::Failure;
use crate::output::{Out, Untrusted, table};
use crate::{Exit, Outcome};

/// Two bundles.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// A directory; or a published version: `active`, a number of the history, a digest.
    from: String,
    /// The same.
    to: String,
}

/// A bundle and a stretch of the record.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The proposed bundle: a directory; or a published version: `active`, a number of the history, a digest.
    bundle: String,
    /// From then on: a time ago such as `7d` or `12h`, or an instant in RFC 3339.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = instant)]
    since: Timestamp,
    /// Up to then; default: now.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<Timestamp>,
}

/// A decision on record, or a request that is written down.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The event that an agent was told, or of `audit search`.
    #[arg(required_unless_present = "input")]
    event: Option<EventId>,
    /// Why you look; it goes on record, as argument values are shown.
    #[arg(long, default_value = "policy explain")]
    reason: String,
    /// A request instead of an event: a JSON file with agent, tool and arguments, and what else a case of `tests/` gives.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["event", "reason"])]
    input: Option<PathBuf>,
    /// With `--input`: a directory; or a published version: `active`, a number of the history, a digest.
    #[arg(
        long,
        value_name = "BUNDLE",
        requires = "input",
        default_value = "active"
    )]
    bundle: String,
}

/// Exit 1 if anything differs.
pub(super) async fn diff(context: &Context, args: &DiffArgs) -> Outcome {
    let (from, to) = (choice(&args.from)?, choice(&args.to)?);
    let body = json!({"from": from.body, "to": to.body});
    let answer = context.api()?.post("/v1/policy/diff", &body).await;
    let answer = answer.map_err(|failure| to.place(from.place(failure)))?;
    context.out.show(&answer, told_diff);
    let same = number(&answer, "changed") == 0
        && list(&answer, "workflows").is_empty()
        && answer.get("complete") == Some(&Value::Bool(true));
    Ok(if same { Exit::DONE } else { Exit::NO })
}

/// Exit 1 if any call would be decided otherwise, or not all could be looked at.
pub(super) async fn replay(context: &Context, args: &ReplayArgs) -> Outcome {
    let bundle = choice(&args.bundle)?;
    let body = json!({"bundle": bundle.body, "since": args.since, "until": args.until});
    let answer = context.api()?.post("/v1/policy/replay", &body).await;
    let answer = answer.map_err(|failure| bundle.place(failure))?;
    context.out.show(&answer, told_replay);
    let same =
        list(&answer, "groups").is_empty() && answer.get("complete") == Some(&Value::Bool(true));
    Ok(if same { Exit::DONE } else { Exit::NO })
}

pub(super) async fn explain(context: &Context, args: &ExplainArgs) -> Outcome {
    let Some(file) = &args.input else {
        let body = json!({"event": args.event, "reason": args.reason});
        let answer = context.api()?.post("/v1/policy/explain", &body).await?;
        context.out.show(&answer, grounds::told);
        return Ok(Exit::DONE);
    };
    let text = read_file(file, MAX_INPUT)?;
    let input: Value = serde_json::from_slice(&text).map_err(|error| {
        let message = format!("{} is not JSON: {error}", file.display());
        let help = r#"write {"agent": "…", "tool": "server/tool", "arguments": {…}}"#;
        Problem::new(Code::ConfigInvalid, message, help)
    })?;
    let bundle = choice(&args.bundle)?;
    let body = json!({"input": input, "bundle": bundle.body});
    let answer = context.api()?.post("/v1/policy/explain-input", &body).await;
    let answer = answer.map_err(|failure| bundle.place(failure))?;
    context.out.show(&answer, |_, body| {
        grounds::of_bundle("under", body).join("\n")
    });
    Ok(Exit::DONE)
}

/// A request that is written down has at most so many bytes.
const MAX_INPUT: usize = 1 << 20;

/// A bundle as the API takes it, and the text that flaws are shown in.
struct Choice {
    body: Value,
    files: std::collections::BTreeMap<String, String>,
}

impl Choice {
    fn place(&self, failure: Failure) -> Failure {
        if self.files.is_empty() {
            failure
        } else {
            failure.in_files(&self.files)
        }
    }
}

/// What is a directory here is one; all else is a version.
fn choice(named: &str) -> Result<Choice, Failure> {
    let path = Path::new(named);
    if path.is_dir() {
        let files = directory::read(path)?.files;
        let body = json!({"files": files});
        return Ok(Choice { body, files });
    }
    if named.contains(['/', '\\']) {
        let message = format!("{named} is no directory");
        return Err(Problem::new(
            Code::ConfigInvalid,
            message,
            "bailiwick policy init DIR makes one",
        )
        .into());
    }
    Ok(Choice {
        body: json!({"version": named}),
        files: std::collections::BTreeMap::default(),
    })
}

/// A time ago, or an instant.
pub(crate) fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    let ago = seconds(text).map_err(|_| {
        "write a time ago such as 7d, 12h or 30m, or an instant such as 2026-11-23T05:00:00Z"
            .to_owned()
    })?;
    Ok(SystemClock.wall().minus(Duration::from_secs(ago)))
}

/// Seconds of a time such as `7d`, `12h`, `30m` or `90s`.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let read = || {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return None,
        };
        digits.parse::<u64>().ok()?.checked_mul(seconds)
    };
    read().ok_or_else(|| "write a time such as 7d, 12h, 30m or 90s".to_owned())
}

fn told_diff(_: &Out, body: &Value) -> String {
    let mut lines = Vec::new();
    for permission in list(body, "permissions") {
        lines.push(format!(
            "{:<9} {} ({}) for agent {}",
            text(permission, "change"),
            text(permission, "tool"),
            text(permission, "effect"),
            text(permission, "agent"),
        ));
        for (sign, side) in [("-", "before"), ("+", "after")] {
            let access = permission.get(side).unwrap_or(&Value::Null);
            for (word, ways) in [("permits", "permits"), ("forbids", "forbids")] {
                for way in list(access, ways) {
                    lines.push(format!(
                        "  {sign} {} {word}{}",
                        text(way, "policy"),
                        terms(way)
                    ));
                }
            }
        }
    }
    for workflow in list(body, "workflows") {
        lines.push(format!(
            "workflow {} differs: its stages cap tasks",
            word(workflow)
        ));
    }
    for flaw in list(body, "broken") {
        lines.push(format!(
            "no longer fits the registry: {}",
            text(flaw, "message")
        ));
    }
    let changed = number(body, "changed");
    let shown = u64::try_from(list(body, "permissions").len()).unwrap_or(u64::MAX);
    if changed > shown {
        lines.push(format!("and {} more", changed - shown));
    }
    if body.get("complete") != Some(&Value::Bool(true)) {
        lines.push("not everything could be compared".to_owned());
    }
    lines.push(match changed {
        0 => "no permission differs".to_owned(),
        _ => format!(
            "{changed} permissions differ, of {} pairs of agent and tool",
            number(body, "pairs")
        ),
    });
    lines.join("\n")
}

fn terms(way: &Value) -> String {
    let conditions: Vec<String> = list(way, "conditions").iter().map(word).collect();
    let needs = text(way, "needs");
    let mut said = String::new();
    if !conditions.is_empty() {
        said = format!(" when {}", conditions.join(" and "));
    }
    if !needs.is_empty() {
        said = format!("{said}, with {needs}");
    }
    said
}

fn told_replay(_: &Out, body: &Value) -> String {
    let mut lines = groups(body);
    lines.push(format!(
        "{} decisions: {} made again, {} before policy, {} not kept, {} that their own bundle decides otherwise by now, {} about what is no longer registered",
        number(body, "decisions"),
        number(body, "compared"),
        number(body, "before_policy"),
        number(body, "unkept"),
        number(body, "drifted"),
        number(body, "unanswerable"),
    ));
    if body.get("complete") != Some(&Value::Bool(true)) {
        lines.push("that was not all: name a narrower window with --since and --until".to_owned());
    }
    if list(body, "groups").is_empty() {
        lines.push("no call would be decided otherwise".to_owned());
    }
    lines.join("\n")
}

/// The differences that a tally has, a line each, and its examples.
pub(super) fn groups(body: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for group in list(body, "groups") {
        let shifts = group.get("shifts").and_then(Value::as_object);
        for (shift, count) in shifts.into_iter().flatten() {
            lines.push(format!(
                "{:<12} {:>7}  {} ({}) by agent {}",
                said_shift(shift),
                count,
                text(group, "tool"),
                text(group, "effect"),
                text(group, "agent"),
            ));
        }
        for example in list(group, "examples") {
            let sources: Vec<String> = list(example, "sources").iter().map(word).collect();
            lines.push(format!(
                "    {}: {} → {}{}",
                text(example, "event"),
                text(example, "was"),
                text(example, "now"),
                match sources.as_slice() {
                    [] => String::new(),
                    _ => format!(" by {}", sources.join(", ")),
                },
            ));
        }
    }
    lines
}

fn said_shift(shift: &str) -> String {
    match shift {
        "denied" => "newly denied".to_owned(),
        "allowed" => "newly allowed".to_owned(),
        "stepped_up" => "now asks".to_owned(),
        "terms" => "other terms".to_owned(),
        other => Untrusted(other).to_string(),
    }
}

pub(super) fn list<'a>(body: &'a Value, name: &str) -> &'a [Value] {
    table::items(body.get(name).unwrap_or(&Value::Null))
}

pub(super) fn number(body: &Value, name: &str) -> u64 {
    body.get(name).and_then(Value::as_u64).unwrap_or(0)
}

pub(super) fn text(body: &Value, name: &str) -> String {
    body.get(name).map(word).unwrap_or_default()
}

/// What a text says, with what hides made visible.
pub(super) fn word(value: &Value) -> String {
    Untrusted(value.as_str().unwrap_or_default()).to_string()
}

#[cfg(test)]
mod tests;
