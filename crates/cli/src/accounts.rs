//! `account`: people and services that use the API over TCP. A token is shown once.

use bailiwick_core::name::AccountName;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::context::{Context, Page, confirm};
use crate::{Exit, Outcome};

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Adds an account with these roles.
    #[command(after_help = "Example: bailiwick account add anna --role approver --role viewer")]
    Add {
        /// Its name.
        name: AccountName,
        /// What it may do: viewer, approver, operator, admin. Can be given again.
        #[arg(long = "role", required = true, value_parser = ["viewer", "approver", "operator", "admin"])]
        roles: Vec<String>,
    },
    /// Changes what an account may do, from its next request on.
    #[command(after_help = "Example: bailiwick account roles anna --role viewer")]
    Roles {
        /// Its name.
        name: AccountName,
        /// What it may do from now on: viewer, approver, operator, admin. Can be given again.
        #[arg(long = "role", required = true, value_parser = ["viewer", "approver", "operator", "admin"])]
        roles: Vec<String>,
    },
    /// Disables the account of somebody who leaves: it can do nothing, its tokens and sessions end, and what goes on for that person is revoked.
    #[command(after_help = "Example: bailiwick account disable anna --yes")]
    Disable {
        /// Its name.
        name: AccountName,
        /// Does not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Enables an account again. What was revoked stays revoked; lift the fence if agents are to act for that person again.
    #[command(after_help = "Example: bailiwick account enable anna")]
    Enable {
        /// Its name.
        name: AccountName,
    },
    /// Lists accounts.
    #[command(after_help = "Example: bailiwick account list")]
    List(Page),
    /// Makes a link that signs somebody in at the console as this account, and prints it: good once, within ten minutes.
    #[command(after_help = "Example: bailiwick account link anna")]
    Link {
        /// Its name.
        name: AccountName,
    },
    /// Makes a token for an account and prints it, once.
    #[command(after_help = "Example: bailiwick account token anna --ttl 3600")]
    Token {
        /// Its name.
        name: AccountName,
        /// Seconds it lives, at most 12 hours.
        #[arg(long, value_name = "SECONDS", default_value_t = 3_600, value_parser = clap::value_parser!(u64).range(1..=43_200))]
        ttl: u64,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: AccountCommand) -> Outcome {
    let api = context.api()?;
    match command {
        AccountCommand::Add { name, roles } => {
            context.record(
                &api.post("/v1/accounts", &json!({"name": name, "roles": roles}))
                    .await?,
            );
        }
        AccountCommand::Roles { name, roles } => {
            let path = format!("/v1/accounts/{name}");
            context.record(&api.patch(&path, &json!({ "roles": roles })).await?);
        }
        AccountCommand::Disable { name, yes } => {
            let question = format!("Disable {name}, and revoke what goes on for that person?");
            let on_terminal = std::io::IsTerminal::is_terminal(&std::io::stdin());
            if !yes && on_terminal && !confirm(&context.out, &question).await? {
                return Ok(Exit::NO);
            }
            let path = format!("/v1/accounts/{name}");
            context.record(&api.patch(&path, &json!({ "enabled": false })).await?);
        }
        AccountCommand::Enable { name } => {
            let path = format!("/v1/accounts/{name}");
            context.record(&api.patch(&path, &json!({ "enabled": true })).await?);
        }
        AccountCommand::List(page) => {
            let body = api.query("/v1/accounts", &page.query()).await?;
            context.list(
                &body,
                &COLUMNS,
                "no accounts: bailiwick account add NAME --role viewer",
            );
        }
        AccountCommand::Link { name } => {
            let path = format!("/v1/accounts/{name}/link");
            let body = api.post(&path, &json!({})).await?;
            // In a table only the link itself, so that it can be opened or handed on.
            context.out.show(&body, |_, body| {
                body.get("url")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            });
            context.out.note(&format!(
                "whoever opens it first within 10 minutes is {name}; hand it to nobody else"
            ));
        }
        AccountCommand::Token { name, ttl } => {
            let body = api
                .post(
                    &format!("/v1/accounts/{name}/token"),
                    &json!({"ttl_s": ttl}),
                )
                .await?;
            // In a table only the token itself, so that it can go straight into BAILIWICK_TOKEN.
            context.out.show(&body, |_, body| {
                body.get("token")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            });
            context.out.note(&format!(
                "use it as BAILIWICK_TOKEN; it ends in {ttl} s and is not shown again"
            ));
        }
    }
    Ok(Exit::DONE)
}

const COLUMNS: [(&str, &str); 5] = [
    ("NAME", "/name"),
    ("ROLES", "/roles"),
    ("ENABLED", "/enabled"),
    ("SINCE", "/created_at"),
    ("ID", "/id"),
];
