//! `client`: OAuth clients that are not ours, the agent each acts as, and where its users are sent back to.

use std::path::{Path, PathBuf};

use bailiwick_core::Fault;
use bailiwick_core::client::{ClientId, RedirectUri};
use bailiwick_core::name::{AgentName, ServerName};
use bailiwick_crypto::token::KeySet;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::client::encode;
use crate::context::{Context, Page, read_file};
use crate::failure::Failure;
use crate::{Exit, Outcome};

/// What can be done with clients.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Registers a client that gets its tokens by its user's consent: an IDE, a desktop assistant.
    #[command(
        after_help = "Example: bailiwick client add ide --agent coder --redirect-uri http://127.0.0.1/callback"
    )]
    Add {
        /// Its `client_id`.
        id: ClientId,
        /// The agent that it acts as: its owner answers, its ceiling bounds.
        #[arg(long)]
        agent: AgentName,
        /// Where its users may be sent back to: https, http on loopback (the port of 127.0.0.1 and [::1] is free), or a private
        /// scheme with a dot such as com.example.app:/cb.
        #[arg(long = "redirect-uri", required = true, value_name = "URI")]
        redirect_uris: Vec<RedirectUri>,
        /// The tool server it wants if its request names none.
        #[arg(long, value_name = "SERVER")]
        default_server: Option<ServerName>,
        /// A file with the public keys that it proves itself with (`private_key_jwt`), as JWKS: 1 to 8, each with a `kid`.
        #[arg(long, value_name = "FILE")]
        jwks: Option<PathBuf>,
    },
    /// Lists the clients.
    #[command(after_help = "Example: bailiwick client list")]
    List(Page),
    /// Removes a client: it gets no code and no token any more. To cut what it has, revoke its tasks or its agent.
    #[command(after_help = "Example: bailiwick client remove ide")]
    Remove {
        /// Its `client_id`.
        id: ClientId,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: ClientCommand) -> Outcome {
    let api = context.api()?;
    match command {
        ClientCommand::Add {
            id,
            agent,
            redirect_uris,
            default_server,
            jwks,
        } => {
            let jwks = jwks.map(|file| keys(&file)).transpose()?;
            let body = json!({
                "id": id,
                "agent": agent,
                "redirect_uris": redirect_uris,
                "default_server": default_server,
                "jwks": jwks,
            });
            context.record(&api.post("/v1/clients", &body).await?);
        }
        ClientCommand::List(page) => {
            let body = api.query("/v1/clients", &page.query()).await?;
            context.list(
                &body,
                &COLUMNS,
                "no clients yet: bailiwick client add ID --agent NAME --redirect-uri URI",
            );
        }
        ClientCommand::Remove { id } => {
            api.delete(&format!("/v1/clients/{}", encode(id.as_str())))
                .await?;
            context.out.note(&format!("client {id} is removed"));
        }
    }
    Ok(Exit::DONE)
}

/// The public keys in a file. One with a private part goes nowhere.
fn keys(file: &Path) -> Result<Value, Failure> {
    let keys = KeySet::of_client(&read_file(file, MAX_FILE)?);
    let keys = keys.map_err(|error| error.problem())?;
    Ok(keys.to_jwks())
}

/// Longest file of keys.
const MAX_FILE: usize = 64 << 10;

const COLUMNS: [(&str, &str); 5] = [
    ("CLIENT", "/id"),
    ("AGENT", "/agent"),
    ("REDIRECT URIS", "/redirect_uris"),
    ("SERVER", "/default_server"),
    ("REGISTERED", "/created_at"),
];
