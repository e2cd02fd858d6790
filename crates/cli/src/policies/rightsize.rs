//! `policy rightsize`: what an agent or a workflow may do and nothing on record needed, as a bundle that takes it away.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bailiwick_core::name::ToolRef;
use bailiwick_core::{Code, Problem, Timestamp};
use clap::Args;
use serde_json::{Value, json};

use super::directory;
use super::trial::{groups, instant, list, number, text, word};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Out, table};
use crate::{Exit, Outcome};

/// Whose authority, and on what record.
#[derive(Debug, Args)]
pub(crate) struct RightsizeArgs {
    /// The agent; with `--workflow`, the workflow.
    name: String,
    /// All tasks of a workflow, whatever agent they are of.
    #[arg(long)]
    workflow: bool,
    /// From then on: a time ago such as `90d` or `12h`, or an instant in RFC 3339.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = instant)]
    since: Timestamp,
    /// Up to then; default: now.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<Timestamp>,
    /// A tool that stays whatever is on record, as `files/delete`. Repeatable.
    #[arg(long, value_name = "TOOL")]
    keep: Vec<ToolRef>,
    /// So many ended tasks suffice for every effect; default: 20 to take away an escalate, 59 a write, 299 a read.
    #[arg(long, value_name = "N")]
    min_tasks: Option<u64>,
    /// The tasks may lie within so many days; default: 14.
    #[arg(long, value_name = "DAYS")]
    min_days: Option<u64>,
    /// Writes the smaller bundle into this new directory, ready for `policy publish`.
    #[arg(long, short = 'o', value_name = "DIR")]
    to: Option<PathBuf>,
    /// Writes a scope that holds what is kept and nothing more, as `agent add --scope` and `task open --scope` take it.
    #[arg(long, value_name = "FILE", conflicts_with = "workflow")]
    scope: Option<PathBuf>,
}

/// Exit 1 if nothing is proposed or the proof does not hold; then nothing is written.
pub(super) async fn rightsize(context: &Context, args: &RightsizeArgs) -> Outcome {
    let whose = if args.workflow { "workflow" } else { "agent" };
    let body = json!({
        whose: args.name,
        "since": args.since,
        "until": args.until,
        "keep": args.keep,
        "min_tasks": args.min_tasks,
        "min_days": args.min_days,
    });
    let api = context.api()?;
    let answer = api.post("/v1/rightsize", &body).await?;
    let proven = answer.get("proven") == Some(&Value::Bool(true));
    if let (true, Some(dir)) = (proven, &args.to) {
        let base = answer
            .get("base")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let path = format!("/v1/policy/{}", crate::client::encode(base));
        write(dir, &api.get(&path).await?, &answer)?;
    }
    if let (true, Some(file)) = (proven, &args.scope) {
        write_scope(file, &answer)?;
    }
    context.out.show(&answer, told);
    if let (true, Some(dir)) = (proven, &args.to) {
        context.out.note(&format!(
            "next: bailiwick policy shadow start {0}, and when it held: bailiwick policy publish {0}",
            dir.display()
        ));
    }
    Ok(if proven { Exit::DONE } else { Exit::NO })
}

/// The files of the bundle that it was made for, and the new one.
fn write(dir: &Path, base: &Value, answer: &Value) -> Result<(), Failure> {
    let files = base.get("files").cloned().unwrap_or_default();
    let mut files: BTreeMap<String, String> = serde_json::from_value(files)
        .map_err(|error| Failure::internal(format!("the node sent no files: {error}")))?;
    let guard = answer.get("guard").unwrap_or(&Value::Null);
    let part = |name: &str| guard.get(name).and_then(Value::as_str).map(str::to_owned);
    if let (Some(path), Some(text)) = (part("path"), part("text")) {
        files.insert(path, text);
    }
    directory::write(dir, &files)
}

fn write_scope(file: &Path, answer: &Value) -> Result<(), Failure> {
    let scope = answer.get("scope").unwrap_or(&Value::Null);
    std::fs::write(file, format!("{scope:#}\n")).map_err(|error| {
        let message = format!("{} cannot be written: {error}", file.display());
        let help = "name a file that you may write";
        Problem::new(Code::ConfigInvalid, message, help).into()
    })
}

fn told(out: &Out, answer: &Value) -> String {
    let sample = answer.get("sample").unwrap_or(&Value::Null);
    let mut lines = vec![format!(
        "{}: {} tasks on record, {} of them ended",
        text(answer, "subject"),
        number(sample, "tasks"),
        number(sample, "ended"),
    )];
    for missing in list(sample, "missing") {
        lines.push(format!("  too few to tell: {}", word(missing)));
    }
    for removed in list(answer, "removed") {
        lines.push(format!(
            "- {}, granted, unused in {} tasks: needed by at most {} % of tasks",
            named(removed),
            number(removed, "tasks"),
            table::cell(out, removed.get("needed_by_at_most")),
        ));
    }
    for kept in list(answer, "kept") {
        let why = match kept.get("why").and_then(Value::as_str) {
            Some("used") => format!(
                "used in {} tasks, {} decisions",
                number(kept, "tasks"),
                number(kept, "decisions")
            ),
            Some("stale") => format!("used, last {}", table::cell(out, kept.get("last"))),
            Some("unplaced") => "used, nobody knows where".to_owned(),
            Some("asked") => "kept as you said".to_owned(),
            _ => "unused, too few tasks to tell".to_owned(),
        };
        lines.push(format!("  {}, {why}", named(kept)));
    }
    if let Some(held) = answer.get("hold_out").filter(|held| held.is_object()) {
        lines.push(format!(
            "made from the oldest {} tasks, it would have stopped {} of the newest {}",
            number(held, "made_from"),
            number(held, "broken"),
            number(held, "tried_on"),
        ));
    }
    let proof = answer.get("proof").filter(|proof| proof.is_object());
    if let Some(proof) = proof {
        lines.extend(groups(proof));
        lines.push(format!(
            "{} decisions on record: {} of it were let through or held and made again, {} come out otherwise; {} before policy, {} not kept, {} drifted, {} unanswerable",
            number(proof, "decisions"),
            number(proof, "allowed"),
            proof
                .get("shifts")
                .and_then(Value::as_object)
                .map_or(0, |shifts| shifts.values().filter_map(Value::as_u64).sum::<u64>()),
            number(proof, "before_policy"),
            number(proof, "unkept"),
            number(proof, "drifted"),
            number(proof, "unanswerable"),
        ));
    }
    lines.push(
        match (proof, answer.get("proven") == Some(&Value::Bool(true))) {
            (None, _) => "nothing is taken away".to_owned(),
            (Some(_), true) => "proved: nothing that was allowed is denied".to_owned(),
            (Some(_), false) => "NOT PROVED: publish nothing of it".to_owned(),
        },
    );
    lines.join("\n")
}

fn named(item: &Value) -> String {
    format!(
        "{} (stage {} of {})",
        text(item, "tool"),
        text(item, "stage"),
        text(item, "workflow")
    )
}
