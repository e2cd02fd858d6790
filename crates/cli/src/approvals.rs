//! `approval`: calls that wait for a person. What is printed is exactly what would run, and the answer carries its digest.

use bailiwick_core::id::ApprovalId;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::client::Client;
use crate::context::{Context, Page, confirm};
use crate::failure::Failure;
use crate::output::{Out, Untrusted, table};
use crate::{Exit, Outcome};

/// What can be done with approvals.
#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalCommand {
    /// Lists approvals; without --state those that wait.
    #[command(after_help = "Example: bailiwick approval list")]
    List {
        /// In this state.
        #[arg(long, default_value = "pending", value_parser = ["pending", "approved", "consumed", "denied", "expired", "void"])]
        state: String,
        #[command(flatten)]
        page: Page,
    },
    /// Shows the exact call.
    #[command(after_help = "Example: bailiwick approval show appr_01h455vb4pex5vsknk084sn02q")]
    Show {
        /// Its id.
        approval: ApprovalId,
    },
    /// Prints each call that waits, as it comes, until Ctrl-C.
    #[command(after_help = "Example: bailiwick approval watch")]
    Watch,
    /// Prints the exact call and lets it run, once; more calls alike only where policy lets it and you say so.
    #[command(
        after_help = "Example: bailiwick approval approve appr_01h455vb4pex5vsknk084sn02q --reason \"as agreed\""
    )]
    Approve {
        /// Its id.
        approval: ApprovalId,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
        /// Lets this many more calls alike run in the same task, where policy lets it.
        #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(u32).range(1..))]
        standing: Option<u32>,
        /// An argument that may be otherwise in those; repeat it. All others are the same.
        #[arg(long, value_name = "ARGUMENT", requires = "standing")]
        vary: Vec<String>,
        /// Does not ask after it has printed the call.
        #[arg(long)]
        yes: bool,
    },
    /// Refuses the call.
    #[command(
        after_help = "Example: bailiwick approval deny appr_01h455vb4pex5vsknk084sn02q --reason \"wrong order\""
    )]
    Deny {
        /// Its id.
        approval: ApprovalId,
        /// Why; the agent is told.
        #[arg(long)]
        reason: String,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: ApprovalCommand) -> Outcome {
    let api = context.api()?;
    match command {
        ApprovalCommand::List { state, page } => {
            let mut query = page.query();
            query.push(("state", state));
            let body = api.query("/v1/approvals", &query).await?;
            context.list(&body, &COLUMNS, "nothing waits");
        }
        ApprovalCommand::Show { approval } => {
            let view = api.get(&format!("/v1/approvals/{approval}")).await?;
            context.out.show(&view, call);
        }
        ApprovalCommand::Watch => return watch(context, &api).await,
        ApprovalCommand::Approve {
            approval,
            reason,
            standing,
            vary,
            yes,
        } => {
            let view = api.get(&format!("/v1/approvals/{approval}")).await?;
            // stdout is for the answer; the call is shown whatever becomes of it.
            context.out.error_line(&call(&context.out, &view));
            let on_terminal = std::io::IsTerminal::is_terminal(&std::io::stdin());
            if !yes && on_terminal && !confirm(&context.out, &question(standing, &vary)).await? {
                return Ok(Exit::NO);
            }
            let more = standing.map(|calls| json!({ "calls": calls, "vary": vary }));
            let id = approval.to_string();
            context.record(&answer_for(&api, &view, &id, true, &reason, more).await?);
        }
        ApprovalCommand::Deny { approval, reason } => {
            let view = api.get(&format!("/v1/approvals/{approval}")).await?;
            context.record(&answer(&api, &view, &approval.to_string(), false, &reason).await?);
        }
    }
    Ok(Exit::DONE)
}

/// What is asked before a yes.
fn question(standing: Option<u32>, vary: &[String]) -> String {
    let Some(calls) = standing else {
        return "Let exactly this call run, once?".to_owned();
    };
    let vary = if vary.is_empty() {
        "with the same arguments".to_owned()
    } else {
        format!("whatever their {} may be", vary.join(", "))
    };
    format!("Let this call run, and {calls} more of this task {vary}?")
}

/// An answer to what `view` shows: its digest goes with the vote, so that it counts only while that is still true.
pub(crate) async fn answer(
    api: &Client,
    view: &Value,
    id: &str,
    approve: bool,
    reason: &str,
) -> Result<Value, Failure> {
    answer_for(api, view, id, approve, reason, None).await
}

async fn answer_for(
    api: &Client,
    view: &Value,
    id: &str,
    approve: bool,
    reason: &str,
    standing: Option<Value>,
) -> Result<Value, Failure> {
    let verb = if approve { "approve" } else { "deny" };
    let mut body = json!({"reason": reason, "shown_digest": view.get("shown_digest")});
    if let (Some(body), Some(standing)) = (body.as_object_mut(), standing) {
        body.insert("standing".to_owned(), standing);
    }
    api.post(&format!("/v1/approvals/{id}/{verb}"), &body).await
}

/// What more an answer may be, or is, for.
fn more(out: &Out, approval: &Value) -> Vec<String> {
    let text = |pointer: &str| table::cell(out, approval.pointer(pointer));
    let mut lines = Vec::new();
    if let Some(most) = approval.get("standing_at_most") {
        let most = table::cell(out, Some(most));
        lines.push(format!(
            "  more       policy lets an answer be for {most} more calls alike: --standing, --vary"
        ));
    }
    if approval.get("standing").is_some() {
        let names = approval.pointer("/standing/vary").and_then(Value::as_array);
        let names = names.into_iter().flatten();
        let names: Vec<String> = names.map(|name| table::cell(out, Some(name))).collect();
        let vary = if names.is_empty() {
            "nothing".to_owned()
        } else {
            names.join(", ")
        };
        let left = text("/standing/left");
        lines.push(format!(
            "  standing   for {left} more calls; {vary} may vary"
        ));
    }
    if approval.get("under").is_some() {
        lines.push(format!("  under      {}", text("/under")));
    }
    lines
}

/// The call as it would run, with everything invisible made visible.
pub(crate) fn call(out: &Out, view: &Value) -> String {
    let approval = view.get("approval").unwrap_or(view);
    let text = |pointer: &str| table::cell(out, approval.pointer(pointer));
    let arguments = approval
        .get("arguments")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut lines = vec![
        format!("{}  {}", text("/id"), text("/state")),
        format!("  call       {} ({})", text("/tool"), text("/effect")),
        format!("  arguments  {}", Untrusted(arguments)),
        format!("  agent      {} for {}", text("/agent"), text("/user")),
        format!("  task       {} at risk {}", text("/task"), text("/risk")),
    ];
    for reason in approval
        .get("reasons")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let part = |name: &str| table::cell(out, reason.get(name));
        lines.push(format!(
            "  because    {} ({})",
            part("reason"),
            part("source")
        ));
    }
    let votes = approval
        .get("votes")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    lines.push(format!("  answers    {votes} of {}", text("/quorum")));
    lines.extend(more(out, approval));
    lines.push(format!("  until      {}", text("/expires_at")));
    if let Some(digest) = view.get("shown_digest").and_then(Value::as_str) {
        lines.push(format!("  digest     {digest}"));
    }
    lines.join("\n")
}

/// Follows the log and prints each approval as it is asked for. What waits already comes first.
async fn watch(context: &Context, api: &Client) -> Outcome {
    let mut events = api.follow("/v1/audit/tail").await?;
    let mut seen = std::collections::HashSet::new();
    loop {
        let waiting = api
            .query(
                "/v1/approvals",
                &[
                    ("state", "pending".to_owned()),
                    ("limit", "1000".to_owned()),
                ],
            )
            .await?;
        for approval in table::items(&waiting) {
            let Some(id) = approval.get("id").and_then(Value::as_str) else {
                continue;
            };
            if seen.insert(id.to_owned()) {
                let view = api.get(&format!("/v1/approvals/{id}")).await?;
                if context.out.is_json() {
                    context.out.json_line(&view);
                } else {
                    context
                        .out
                        .line(&format!("{}\n", call(&context.out, &view)));
                }
            }
        }
        loop {
            let event = tokio::select! {
                event = events.event() => event,
                _ = tokio::signal::ctrl_c() => return Ok(Exit::INTERRUPTED),
            };
            let Some(event) = event else {
                return Ok(Exit::DONE);
            };
            if context.out.closed() {
                return Ok(Exit::DONE);
            }
            if event.to_string().contains("approval.requested") {
                break;
            }
        }
    }
}

const COLUMNS: [(&str, &str); 6] = [
    ("ID", "/id"),
    ("STATE", "/state"),
    ("TOOL", "/tool"),
    ("ARGUMENTS", "/arguments"),
    ("AGENT", "/agent"),
    ("UNTIL", "/expires_at"),
];

#[cfg(test)]
mod tests;
