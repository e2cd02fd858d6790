//! `finding`: what scans found and reported, who answers for it, and how it ends.

use bailiwick_core::Timestamp;
use bailiwick_core::id::FindingId;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::context::{Context, Page};
use crate::output::{Out, table};
use crate::{Exit, Outcome};

/// What can be done with findings.
#[derive(Debug, Subcommand)]
pub(crate) enum FindingCommand {
    /// Lists findings, newest first. Exit 1: some wait longer than they should.
    #[command(after_help = "Example: bailiwick finding list")]
    List(Page),
    /// How many wait, how many for too long, and how long it took to remediate the others.
    #[command(after_help = "Example: bailiwick finding standing")]
    Standing,
    /// Shows one, with its newest steps and what to run.
    #[command(after_help = "Example: bailiwick finding show find_01h455vb4pex5vsknk084sn02q")]
    Show {
        /// Its id.
        id: FindingId,
    },
    /// Ends the lease whose secret it is, and waits until that is dead. Exit 1: it may still live.
    #[command(after_help = "Example: bailiwick finding fix find_01h455vb4pex5vsknk084sn02q")]
    Fix {
        /// Its id.
        id: FindingId,
    },
    /// Says that the secret was replaced where it was issued; a complete scan without it closes the finding.
    #[command(
        after_help = "Example: bailiwick finding rotated find_01h455vb4pex5vsknk084sn02q --note \"new token, INC-7\""
    )]
    Rotated {
        /// Its id.
        id: FindingId,
        /// What was done; goes on record.
        #[arg(long)]
        note: String,
    },
    /// Bears it until a date, at most 90 days away; then it waits again.
    #[command(
        after_help = "Example: bailiwick finding accept find_01h455vb4pex5vsknk084sn02q --until 2026-12-24T00:00:00Z --reason \"a test account\""
    )]
    Accept {
        /// Its id.
        id: FindingId,
        /// RFC 3339.
        #[arg(long)]
        until: Timestamp,
        /// Why; goes on record.
        #[arg(long)]
        reason: String,
    },
    /// Says that this rule on this secret is no finding, wherever it is seen.
    #[command(
        after_help = "Example: bailiwick finding dismiss find_01h455vb4pex5vsknk084sn02q --reason \"an example in the docs\""
    )]
    Dismiss {
        /// Its id.
        id: FindingId,
        /// Why; goes on record.
        #[arg(long)]
        reason: String,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: FindingCommand) -> Outcome {
    let api = context.api()?;
    let path = |id: FindingId, verb: &str| format!("/v1/findings/{id}/{verb}");
    let answer = match command {
        FindingCommand::List(page) => {
            let body = api.query("/v1/findings", &page.query()).await?;
            context.list(&body, &COLUMNS, "no findings");
            let overdue = |item: &Value| item.get("overdue") == Some(&Value::Bool(true));
            let late = table::items(&body).iter().any(overdue);
            return Ok(if late { Exit::NO } else { Exit::DONE });
        }
        FindingCommand::Standing => {
            context.record(&api.get("/v1/findings/standing").await?);
            return Ok(Exit::DONE);
        }
        FindingCommand::Show { id } => api.get(&format!("/v1/findings/{id}")).await?,
        FindingCommand::Fix { id } => {
            let answer = api.post(&path(id, "fix"), &json!({})).await?;
            context.out.show(&answer, told);
            let pending = answer.get("pending") != Some(&Value::Bool(false));
            return Ok(if pending { Exit::NO } else { Exit::DONE });
        }
        FindingCommand::Rotated { id, note } => {
            api.post(&path(id, "rotated"), &json!({ "note": note }))
                .await?
        }
        FindingCommand::Accept { id, until, reason } => {
            let body = json!({"until": until, "reason": reason});
            api.post(&path(id, "accept"), &body).await?
        }
        FindingCommand::Dismiss { id, reason } => {
            api.post(&path(id, "dismiss"), &json!({ "reason": reason }))
                .await?
        }
    };
    context.out.show(&answer, told);
    Ok(Exit::DONE)
}

fn told(out: &Out, finding: &Value) -> String {
    let cell = |name: &str| table::cell(out, finding.get(name));
    let mut lines = vec![
        format!(
            "{}  {}  {}  {}  {}",
            cell("id"),
            cell("severity"),
            cell("check"),
            cell("link"),
            cell("state")
        ),
        format!(
            "  print {}, {} places of {}",
            cell("subject"),
            cell("count"),
            cell("target")
        ),
    ];
    for place in finding
        .get("places")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        lines.push(format!("  {}", table::cell(out, Some(place))));
    }
    if finding.get("lease").is_some_and(Value::is_string) {
        lines.push(format!(
            "  lease {} of {} in task {}",
            cell("lease"),
            cell("agent"),
            cell("task")
        ));
    }
    lines.push(format!(
        "  owner {}, first seen {}, due {}{}",
        cell("owner"),
        cell("first_seen"),
        cell("due_at"),
        if finding.get("overdue") == Some(&Value::Bool(true)) {
            ": OVERDUE"
        } else {
            ""
        }
    ));
    for step in finding
        .get("history")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let cell = |name: &str| table::cell(out, step.get(name));
        lines.push(format!(
            "  {}  {} by {}: {}",
            cell("at"),
            cell("state"),
            cell("by"),
            cell("note")
        ));
    }
    lines.push(format!("  fix: {}", cell("fix")));
    lines.join("\n")
}

const COLUMNS: [(&str, &str); 9] = [
    ("ID", "/id"),
    ("SEVERITY", "/severity"),
    ("CHECK", "/check"),
    ("LINK", "/link"),
    ("STATE", "/state"),
    ("OWNER", "/owner"),
    ("DUE", "/due_at"),
    ("OVERDUE", "/overdue"),
    ("PLACE", "/places/0"),
];
