//! `backend`: the systems that credentials are leased from.

use bailiwick_core::name::BackendName;
use clap::Subcommand;
use serde_json::json;

use crate::context::{Context, Page, confirm};
use crate::{Exit, Outcome};

/// What can be done with backends.
#[derive(Debug, Subcommand)]
pub(crate) enum BackendCommand {
    /// Lists them, and how they stand.
    #[command(after_help = "Example: bailiwick backend list")]
    List(Page),
    /// Asks one how it stands.
    #[command(after_help = "Example: bailiwick backend probe orders-db")]
    Probe {
        /// Its name.
        name: BackendName,
    },
    /// Compares its accounts with our leases and mends what differs. A node does so every minute by itself.
    #[command(after_help = "Example: bailiwick backend reconcile orders-db --dry-run")]
    Reconcile {
        /// Its name.
        name: BackendName,
        /// Only tells what differs.
        #[arg(long)]
        dry_run: bool,
    },
    /// Takes this node's data for the right ones, though the backend has seen newer ones.
    #[command(after_help = "Example: bailiwick backend adopt orders-db --yes")]
    Adopt {
        /// Its name.
        name: BackendName,
        /// Does not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: BackendCommand) -> Outcome {
    let api = context.api()?;
    let at = |name: &BackendName, what: &str| format!("/v1/backends/{name}/{what}");
    match command {
        BackendCommand::List(page) => {
            let body = api.query("/v1/backends", &page.query()).await?;
            context.list(
                &body,
                &COLUMNS,
                "no backends: [[broker.backends]] names them",
            );
        }
        BackendCommand::Probe { name } => {
            context.record(&api.post(&at(&name, "probe"), &json!({})).await?);
        }
        BackendCommand::Reconcile { name, dry_run } => {
            let how = if dry_run {
                "reconcile?dry_run=true"
            } else {
                "reconcile"
            };
            context.record(&api.post(&at(&name, how), &json!({})).await?);
        }
        BackendCommand::Adopt { name, yes } => {
            let differs = api
                .post(&at(&name, "reconcile?dry_run=true"), &json!({}))
                .await?;
            context.record(&differs);
            let question = format!("Remove at {name} what this node's data do not know?");
            if yes || confirm(&context.out, &question).await? {
                context.record(&api.post(&at(&name, "adopt"), &json!({})).await?);
            }
        }
    }
    Ok(Exit::DONE)
}

const COLUMNS: [(&str, &str); 8] = [
    ("NAME", "/name"),
    ("KIND", "/kind"),
    ("CLASS", "/class"),
    ("HEALTHY", "/healthy"),
    ("VERSION", "/version"),
    ("SKEW MS", "/skew_ms"),
    ("READ ONLY", "/read_only"),
    ("RECONCILED", "/reconciled_at"),
];
