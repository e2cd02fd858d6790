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
    /// Prints the exact call and lets it run, once.
    #[command(
        after_help = "Example: bailiwick approval approve appr_01h455vb4pex5vsknk084sn02q --reason \"as agreed\""
    )]
    Approve {
        /// Its id.
        approval: ApprovalId,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
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
            yes,
        } => {
            let view = api.get(&format!("/v1/approvals/{approval}")).await?;
            // stdout is for the answer; the call is shown whatever becomes of it.
            context.out.error_line(&call(&context.out, &view));
            let on_terminal = std::io::IsTerminal::is_terminal(&std::io::stdin());
            if !yes
                && on_terminal
                && !confirm(&context.out, "Let exactly this call run, once?").await?
            {
                return Ok(Exit::NO);
            }
            context.record(&answer(&api, &view, &approval.to_string(), true, &reason).await?);
        }
        ApprovalCommand::Deny { approval, reason } => {
            let view = api.get(&format!("/v1/approvals/{approval}")).await?;
            context.record(&answer(&api, &view, &approval.to_string(), false, &reason).await?);
        }
    }
    Ok(Exit::DONE)
}

/// Answers what `view` shows: its digest goes with the vote, so that it counts only while that is still true.
pub(crate) async fn answer(
    api: &Client,
    view: &Value,
    id: &str,
    approve: bool,
    reason: &str,
) -> Result<Value, Failure> {
    let verb = if approve { "approve" } else { "deny" };
    let body = json!({"reason": reason, "shown_digest": view.get("shown_digest")});
    api.post(&format!("/v1/approvals/{id}/{verb}"), &body).await
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
