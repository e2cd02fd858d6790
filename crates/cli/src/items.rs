//! `item`: what tools name, the labels of what was written into it, and taking one off.

use std::path::PathBuf;

use bailiwick_core::label::Label;
use bailiwick_core::name::{ItemKind, ServerName};
use bailiwick_crypto::hash::sha256;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::context::{Context, Page, read_file};
use crate::{Exit, Outcome};

/// Content that somebody looked at is at most this large.
const LARGEST: usize = 64 << 20;

/// What can be done with items.
#[derive(Debug, Subcommand)]
pub(crate) enum ItemCommand {
    /// Lists items that have taken labels.
    #[command(after_help = "Example: bailiwick item list --server memory")]
    List {
        /// Only this server's.
        #[arg(long)]
        server: Option<ServerName>,
        #[command(flatten)]
        page: Page,
    },
    /// Shows one item.
    #[command(after_help = "Example: bailiwick item show memory entity anna")]
    Show {
        /// The server that keeps it.
        server: ServerName,
        /// What sort of thing it is; `server` for all of the server.
        kind: ItemKind,
        /// Its name, in as many parts as its binding has; none for `server`.
        name: Vec<String>,
    },
    /// Takes a label off an item, after a look at what is in it. What has read it keeps the label.
    #[command(
        after_help = "Example: bailiwick item clear memory entity anna --label untrusted --seen anna.json --reason \"I wrote it\""
    )]
    Clear {
        /// The server that keeps it.
        server: ServerName,
        /// What sort of thing it is; `server` for all of the server.
        kind: ItemKind,
        /// Its name, in as many parts as its binding has; none for `server`.
        name: Vec<String>,
        /// The label.
        #[arg(long)]
        label: Label,
        /// What was looked at; its SHA-256 goes on record.
        #[arg(long, value_name = "FILE")]
        seen: PathBuf,
        /// Why; goes on record.
        #[arg(long)]
        reason: String,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: ItemCommand) -> Outcome {
    let api = context.api()?;
    match command {
        ItemCommand::List { server, page } => {
            let mut query = page.query();
            query.extend(server.map(|server| ("server", server.to_string())));
            let body = api.query("/v1/items", &query).await?;
            context.list(&body, &COLUMNS, "nothing has taken a label");
        }
        ItemCommand::Show { server, kind, name } => {
            let item = item(&server, &kind, &name);
            context.record(&api.post("/v1/items/find", &item).await?);
        }
        ItemCommand::Clear {
            server,
            kind,
            name,
            label,
            seen,
            reason,
        } => {
            let looked_at = read_file(&seen, LARGEST)?;
            let body = json!({
                "item": item(&server, &kind, &name),
                "label": label,
                "seen": sha256(&[&looked_at]),
                "reason": reason,
            });
            context.record(&api.post("/v1/items/declassify", &body).await?);
        }
    }
    Ok(Exit::DONE)
}

fn item(server: &ServerName, kind: &ItemKind, name: &[String]) -> Value {
    json!({ "server": server, "kind": kind, "name": name })
}

const COLUMNS: [(&str, &str); 6] = [
    ("SERVER", "/server"),
    ("KIND", "/kind"),
    ("ID", "/id"),
    ("LABELS", "/labels"),
    ("WRITTEN BY", "/task"),
    ("AT", "/changed_at"),
];
