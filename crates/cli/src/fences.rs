//! `fence`: what is revoked. A lift lets new things be born; it revives nothing.

use bailiwick_core::Problem;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::context::{Context, Page};
use crate::output::table;
use crate::{Exit, Outcome};

/// What can be done with fences.
#[derive(Debug, Subcommand)]
pub(crate) enum FenceCommand {
    /// Lists fences.
    #[command(after_help = "Example: bailiwick fence list")]
    List(Page),
    /// Lifts a fence, by its id or its subject.
    #[command(after_help = "Example: bailiwick fence lift agent/coder --reason \"cleared\"")]
    Lift {
        /// fence_… or KIND/ID.
        fence: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: FenceCommand) -> Outcome {
    let api = context.api()?;
    match command {
        FenceCommand::List(page) => {
            let body = api.query("/v1/fences", &page.query()).await?;
            context.list(&body, &COLUMNS, "nothing is revoked");
        }
        FenceCommand::Lift { fence, reason } => {
            let id = if fence.starts_with("fence_") {
                fence
            } else {
                let body = api
                    .query("/v1/fences", &[("limit", "1000".to_owned())])
                    .await?;
                let standing = table::items(&body).iter().find(|row| {
                    row.get("subject").and_then(Value::as_str) == Some(fence.as_str())
                        && row.get("lifted_seq").is_none_or(Value::is_null)
                });
                let id = standing
                    .and_then(|row| row.get("id"))
                    .and_then(Value::as_str)
                    .map(str::to_owned);
                id.ok_or_else(|| {
                    Problem::new(
                        bailiwick_core::Code::NotFound,
                        format!("no fence stands on {fence}"),
                        "see `bailiwick fence list`",
                    )
                })?
            };
            let path = format!("/v1/fences/{}/lift", crate::client::encode(&id));
            context.record(&api.post(&path, &json!({"reason": reason})).await?);
        }
    }
    Ok(Exit::DONE)
}

const COLUMNS: [(&str, &str); 6] = [
    ("ID", "/id"),
    ("SUBJECT", "/subject"),
    ("SINCE", "/set_at"),
    ("BY", "/actor"),
    ("LIFTED", "/lifted_seq"),
    ("REASON", "/reason"),
];
