//! `key`: the keys that sign SVIDs, task tokens, receipts and heads of the feed.

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use crate::context::{Context, Page, confirm};
use crate::{Exit, Outcome};

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Lists the keys: which signs, which will and when, and until when others accept those that do not any more.
    #[command(after_help = "Example: bailiwick key list")]
    List(Page),
    /// Has a key replaced. The new one is published, and signs when everybody could learn it; the old one is accepted until everything that it
    /// signed is over. The node does this by itself at half of a key's life, but for heads of the feed. Role admin.
    #[command(after_help = "Example: bailiwick key rotate task")]
    Rotate {
        /// What the key signs.
        class: Class,
        /// The new key signs at once. Who keeps the keys for a while refuses what it signs until they look again.
        #[arg(long)]
        now: bool,
    },
    /// Takes a key back, because others know it: nothing that it signed is accepted any more. If it signs, another does at once. Role admin.
    #[command(
        after_help = "Example: bailiwick key taint Qm9iJ3Mga2V5IGlzIG5vdCBhIHNlY3JldC4uLg --yes"
    )]
    Taint {
        /// Its id, as `bailiwick key list` shows it.
        // A thumbprint may begin with a dash.
        #[arg(allow_hyphen_values = true)]
        kid: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// What a key signs.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Class {
    /// X.509-SVIDs: the CA of the trust domain. A new one is in the bundle for a day before it signs.
    X509,
    /// JWT-SVIDs; ten minutes.
    JwtSvid,
    /// Task tokens; ten minutes.
    Task,
    /// Receipts of revocations; ten minutes. Those before stay published.
    Receipt,
    /// Heads of the feed; a day. A point that follows in none of it has to be added anew.
    Head,
}

/// Does it.
pub(crate) async fn run(context: &Context, command: KeyCommand) -> Outcome {
    let api = context.api()?;
    match command {
        KeyCommand::List(page) => {
            let body = api.query("/v1/keys", &page.query()).await?;
            context.list(&body, &COLUMNS, "no keys");
        }
        KeyCommand::Rotate { class, now } => {
            let name = class.to_possible_value();
            let name = name.as_ref().map_or("", |name| name.get_name());
            let body = json!({"class": name, "now": now});
            let body = api.post("/v1/keys", &body).await?;
            context.list(&body, &COLUMNS, "no keys");
        }
        KeyCommand::Taint { kid, yes } => {
            let question = format!("Refuse everything that key {kid} signed?");
            if !yes && !confirm(&context.out, &question).await? {
                return Ok(Exit::NO);
            }
            let path = format!("/v1/keys/{}/taint", crate::client::encode(&kid));
            api.post(&path, &json!({})).await?;
            context.out.note(&format!("{kid} is taken back"));
        }
    }
    Ok(Exit::DONE)
}

const COLUMNS: [(&str, &str); 6] = [
    ("CLASS", "/class"),
    ("STATE", "/state"),
    ("KEY", "/kid"),
    ("MADE", "/made_at"),
    ("SIGNS FROM", "/signs_from"),
    ("ACCEPTED UNTIL", "/accepted_until"),
];
