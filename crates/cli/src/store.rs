//! `store`: what an operator can say about the store of a node that does not run.

use bailiwick_server::node;
use clap::Subcommand;
use serde_json::{Value, json};

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
    /// Copies the state of a node that does not run from `store.db` into the empty PostgreSQL database that `[store] url` names. Every table is
    /// read back and compared before anything counts; then the file is renamed to `store.db.migrated`, and the node goes on with the database.
    #[command(
        after_help = "Example: bailiwick store migrate --config /etc/bailiwick/bailiwick.toml"
    )]
    Migrate {
        #[command(flatten)]
        found: ConfigArgs,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: StoreCommand) -> Outcome {
    match command {
        StoreCommand::Adopt { reason, found } => adopt(context, &reason, &found).await,
        StoreCommand::Migrate { found } => migrate(context, &found).await,
    }
}

async fn adopt(context: &Context, reason: &str, found: &ConfigArgs) -> Outcome {
    let actor = format!("uid:{}", rustix::process::geteuid().as_raw());
    let epoch = node::adopt(&found.load()?, reason, &actor).await?;
    let body = json!({ "epoch": epoch });
    context
        .out
        .show(&body, |_, _| format!("the store is of epoch {epoch} now"));
    context.out.note(
        "at the next start everything it holds ends; set the fences again that it has forgotten, then let agents in",
    );
    Ok(Exit::DONE)
}

async fn migrate(context: &Context, found: &ConfigArgs) -> Outcome {
    let copied = node::migrate(&found.load()?).await?;
    let tables: Vec<Value> = copied
        .iter()
        .map(|copied| {
            json!({ "table": copied.table, "rows": copied.rows, "sha256": copied.sha256.to_hex() })
        })
        .collect();
    let rows: u64 = copied.iter().map(|copied| copied.rows).sum();
    let body = json!({ "tables": tables, "rows": rows });
    context.out.show(&body, |_, _| {
        let each = copied.iter().map(|copied| {
            format!(
                "{:<16} {:>9}  {}\n",
                copied.table,
                copied.rows,
                copied.sha256.to_hex()
            )
        });
        format!(
            "{}{rows} rows of {} tables are in the database, and the same",
            each.collect::<String>(),
            copied.len()
        )
    });
    context
        .out
        .note("store.db is store.db.migrated now; keep it until the database is backed up");
    Ok(Exit::DONE)
}
