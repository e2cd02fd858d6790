//! `join-token`: a machine that starts elsewhere proves with it, once, which agent it is.

use bailiwick_core::id::JoinTokenId;
use bailiwick_core::name::AgentName;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::context::{Context, Page};
use crate::{Exit, Outcome};

/// What can be done with join tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum JoinTokenCommand {
    /// Makes a join token for an agent and prints it, once. The agent is registered with --selector join:agent=NAME.
    #[command(after_help = "Example: bailiwick join-token create --agent builder --ttl 600")]
    Create {
        /// The agent that its bearer becomes an instance of.
        #[arg(long)]
        agent: AgentName,
        /// Seconds it lives, at most 1 hour.
        #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=3_600))]
        ttl: u64,
    },
    /// Lists the join tokens that have not expired, and which instances they made.
    #[command(after_help = "Example: bailiwick join-token list")]
    List(Page),
    /// Takes a join token back. The instance that it made lives on; to cut that, revoke it.
    #[command(after_help = "Example: bailiwick join-token remove jtok_01h2xcejqtf2nbrexx3vqjhp41")]
    Remove {
        /// Its id.
        id: JoinTokenId,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: JoinTokenCommand) -> Outcome {
    let api = context.api()?;
    match command {
        JoinTokenCommand::Create { agent, ttl } => {
            let body = json!({"agent": agent, "ttl_s": ttl});
            let body = api.post("/v1/join-tokens", &body).await?;
            // In a table only the token itself, so that it can go straight to where it is used.
            context.out.show(&body, |_, body| {
                body.get("token")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            });
            context.out.note(&format!(
                "good for one use within {ttl} s, and not shown again"
            ));
        }
        JoinTokenCommand::List(page) => {
            let body = api.query("/v1/join-tokens", &page.query()).await?;
            context.list(
                &body,
                &COLUMNS,
                "no join tokens: bailiwick join-token create --agent NAME",
            );
        }
        JoinTokenCommand::Remove { id } => {
            api.delete(&format!("/v1/join-tokens/{id}")).await?;
            context.out.note(&format!("{id} is worth nothing now"));
        }
    }
    Ok(Exit::DONE)
}

const COLUMNS: [(&str, &str); 6] = [
    ("ID", "/id"),
    ("AGENT", "/agent"),
    ("MADE BY", "/made_by"),
    ("EXPIRES", "/expires_at"),
    ("USED", "/used/at"),
    ("INSTANCE", "/used/instance"),
];
