//! `audit blast-radius`: what somebody touched against what they could have reached.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use bailiwick_core::{Clock as _, Code, Problem, Timestamp};
use bailiwick_crypto::system::SystemClock;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Out, Untrusted, table};
use crate::{Exit, Outcome};

/// Tools that are listed for people; JSON has all.
const MOST_TOOLS: usize = 40;

/// Whose reach.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// A task and everything below it.
    Task,
    /// An agent, in all its tasks.
    Agent,
    /// One process of an agent.
    Instance,
    /// Everything done for a user.
    User,
    /// What one leased credential was used for.
    Lease,
}

/// Whose, and when.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: bailiwick audit blast-radius agent coder --since 24h")]
pub(crate) struct BlastArgs {
    /// What kind: task, agent, instance, user, lease.
    kind: Kind,
    /// Which; a user as `user:<issuer>:<subject>` or by the pseudonym that the record has (`usr_…`).
    id: String,
    /// From then on: RFC 3339, a time of today in UTC (09:00), or so long ago (30m, 24h, 7d).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Until then, written alike; now if not given.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Waits until everything on record is in the index, so that nothing can be missing.
    #[arg(long)]
    wait: bool,
    /// Writes the scope cut to what was touched, as `task open --scope` takes it.
    #[arg(long, value_name = "FILE")]
    propose: Option<PathBuf>,
}

/// Asks the node, prints, and writes the proposal.
pub(super) async fn blast_radius(context: &Context, args: BlastArgs) -> Outcome {
    let kind = match args.kind {
        Kind::Task => "task",
        Kind::Agent => "agent",
        Kind::Instance => "instance",
        Kind::User => "user",
        Kind::Lease => "lease",
    };
    let now = SystemClock.wall();
    let at = |text: &Option<String>| text.as_deref().map(|text| instant(text, now)).transpose();
    let (since, until) = (at(&args.since)?, at(&args.until)?);
    let body =
        json!({"kind": kind, "id": args.id, "since": since, "until": until, "wait": args.wait});
    let answer = context.api()?.post("/v1/audit/blast-radius", &body).await?;
    if let Some(file) = &args.propose {
        let proposal = answer
            .get("proposal")
            .filter(|proposal| !proposal.is_null());
        let proposal = proposal.ok_or_else(|| {
            let message = "nothing was touched, so there is no scope to propose";
            Problem::new(Code::NotFound, message, "give an earlier --since")
        })?;
        std::fs::write(file, format!("{proposal:#}\n")).map_err(|error| {
            let message = format!("{} cannot be written: {error}", file.display());
            Problem::new(
                Code::ConfigInvalid,
                message,
                "name a file that you may write",
            )
        })?;
        context.out.note(&format!("wrote {}", file.display()));
    }
    context.out.show(&answer, tell);
    Ok(Exit::DONE)
}

/// The table, the leases, and every tool that is worth a look.
fn tell(out: &Out, answer: &Value) -> String {
    let count = |name: &str| {
        let count = answer.pointer(&format!("/counts/{name}"));
        count.and_then(Value::as_u64).unwrap_or(0)
    };
    let items = |name: &str| {
        let items = answer.get(name).and_then(Value::as_array);
        items.map_or(&[][..], Vec::as_slice)
    };
    let columns = [
        ("touched", count("touched")),
        ("allowed, unused", count("allowed_unused")),
        ("needs approval", count("needs_approval")),
        ("depends on arguments", count("depends")),
        ("tried, refused", count("refused")),
    ];
    let (mut heads, mut counts) = (" ".repeat(6), " tools".to_owned());
    for (head, count) in columns {
        // Writing to a String cannot fail.
        let _ = write!(heads, "   {head}");
        let _ = write!(counts, "   {count:>width$}", width = head.len());
    }
    let mut lines = vec![heads, counts];
    let leases = items("leases");
    let alive = leases
        .iter()
        .filter(|lease| lease["dead"].is_null())
        .count();
    let fate = match (leases.len(), alive) {
        (0, _) => String::new(),
        (1, 0) => ", dead".to_owned(),
        (2, 0) => ", both dead".to_owned(),
        (_, 0) => ", all dead".to_owned(),
        (_, alive) => format!(", {alive} NOT verified dead"),
    };
    let widest = match answer.get("widest_unused").filter(|it| !it.is_null()) {
        None => "none".to_owned(),
        Some(widest) => {
            let tool = items("tools").iter().find(|tool| tool["tool"] == *widest);
            let effect = table::cell(out, tool.and_then(|tool| tool.get("effect")));
            format!("{} ({effect})", named(widest))
        }
    };
    lines.push(format!(
        " tasks in the window: {} · leases: {}{fate} · widest unused: {widest}",
        items("tasks").len(),
        leases.len()
    ));
    lines.push(String::new());
    for tool in items("tools").iter().take(MOST_TOOLS) {
        lines.push(one(out, tool));
    }
    if items("tools").len() > MOST_TOOLS {
        lines.push(format!(
            " and {} more: --json",
            items("tools").len() - MOST_TOOLS
        ));
    }
    for lease in leases {
        let cell = |name: &str| table::cell(out, lease.get(name));
        lines.push(format!(
            " lease {}  {} for {}  from {}  {}",
            cell("id"),
            cell("credential"),
            cell("server"),
            cell("from"),
            if lease["dead"].is_null() {
                "NOT verified dead".to_owned()
            } else {
                format!("dead {}", cell("dead"))
            }
        ));
    }
    if answer["complete"] != json!(true) {
        lines.push("INCOMPLETE: what is missing stands below".to_owned());
    }
    if let Some(behind) = answer.get("index_behind") {
        let number = |name| table::cell(out, behind.get(name));
        lines.push(format!(
            " · {} of {} events are in the index; --wait waits for it",
            number("indexed"),
            number("size")
        ));
    }
    for note in items("notes") {
        lines.push(format!(" · {}", table::cell(out, Some(note))));
    }
    lines.join("\n")
}

fn one(out: &Out, tool: &Value) -> String {
    let number = |name: &str| tool.get(name).and_then(Value::as_u64).unwrap_or(0);
    let reach = match tool.get("reach").and_then(Value::as_str) {
        Some("allow") => "allowed",
        Some("step_up") => "needs approval",
        Some("depends") => "depends on arguments",
        Some("deny") => "denied",
        _ => "in no scope",
    };
    let mut used = Vec::new();
    if number("calls") > 0 {
        used.push(format!("{} calls", number("calls")));
    }
    if number("refused") > 0 {
        used.push(format!("{} refused", number("refused")));
    }
    let used = if used.is_empty() {
        "unused".to_owned()
    } else {
        used.join(", ")
    };
    let name = named(&tool["tool"]);
    let effect = table::cell(out, tool.get("effect"));
    format!(" {name:<36}  {effect:<8}  {reach:<20}  {used}")
}

/// `server/tool`, however the answer writes it.
fn named(tool: &Value) -> String {
    let text = match tool {
        Value::String(text) => text.clone(),
        tool => {
            let part = |name: &str| tool.get(name).and_then(Value::as_str).unwrap_or_default();
            format!("{}/{}", part("server"), part("tool"))
        }
    };
    Untrusted(&text).to_string()
}

/// An instant as people write it.
fn instant(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    let today = now.to_string();
    let day = today.split('T').next().unwrap_or_default();
    let clock = text.trim_end_matches('Z');
    let of_today = match clock.len() {
        5 => format!("{day}T{clock}:00Z"),
        _ => format!("{day}T{clock}Z"),
    };
    if clock.contains(':')
        && let Ok(instant) = of_today.parse()
    {
        return Ok(instant);
    }
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let ago = units.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(*unit)?.parse().ok()?;
        Some(Duration::from_secs(number.saturating_mul(*seconds)))
    });
    let message = format!("`{text}` is no time");
    let help = "write it like 2026-11-23T09:00:00Z, 09:00, 30m, 24h or 7d";
    let unknown = || Problem::new(Code::InvalidInput, message, help);
    Ok(ago.map(|ago| now.minus(ago)).ok_or_else(unknown)?)
}

#[cfg(test)]
mod tests;
