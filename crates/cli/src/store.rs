//! `store`: what an operator can say about the store of a node that does not run.

use bailiwick_server::node;
use clap::Subcommand;
use serde_json::json;

use crate::config::ConfigArgs;
use crate::context::Context;
use crate::{Exit, Outcome};

/// What can be said.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Takes a store that is an older copy of itself into use. Everything that it holds ends: instances, tasks, tokens, leases, join tokens and
    /// accounts' tokens. Registrations, policy, accounts and fences stay as they were in the copy.
    #[command(
        after_help = "Example: bailiwick store adopt --reason \"INC-9: restored from Monday\""
    )]
    Adopt {
        /// Why; it goes on record.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        found: ConfigArgs,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: StoreCommand) -> Outcome {
    let StoreCommand::Adopt { reason, found } = command;
    let actor = format!("uid:{}", rustix::process::geteuid().as_raw());
    let epoch = node::adopt(&found.load()?, &reason, &actor).await?;
    let body = json!({ "epoch": epoch });
    context
        .out
        .show(&body, |_, _| format!("the store is of epoch {epoch} now"));
    context.out.note(
        "at the next start everything it holds ends; set the fences again that it has forgotten, then let agents in",
    );
    Ok(Exit::DONE)
}
