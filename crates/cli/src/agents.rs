//! `agent`: who answers for it, which processes are it, the widest scope it may get.

use bailiwick_core::name::{AgentName, OwnerName};
use bailiwick_core::selector::Selector;
use bailiwick_core::{Code, Problem};
use clap::Subcommand;
use serde_json::json;

use crate::context::{Context, Page};
use crate::scopes::ScopeArgs;
use crate::{Exit, Outcome};

/// What can be done with agents.
#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Registers an agent. --allow or --scope set the widest scope of its tasks; policy still decides each call.
    #[command(
        after_help = "Example: bailiwick agent add coder --owner team-dev --selector unix:path=/usr/bin/coder --allow 'files/*:read,write'"
    )]
    Add {
        /// Its name.
        name: AgentName,
        /// Who answers for it.
        #[arg(long)]
        owner: OwnerName,
        /// A process is this agent if all of these are found on it: unix:uid=N, unix:gid=N, unix:path=/…, unix:sha256=HEX,
        /// launcher:agent=NAME; or, elsewhere,
        /// join:agent=NAME, or oidc:iss=URL with oidc:sub=… or oidc:/CLAIM=…, or x509pop:ca=HEX with
        /// x509pop:san=dns:NAME.
        #[arg(long = "selector", required = true, value_name = "SELECTOR")]
        selectors: Vec<Selector>,
        #[command(flatten)]
        ceiling: ScopeArgs,
        /// Risk that each of its tasks starts with at least: low, medium, high or critical.
        #[arg(long, default_value = "low", value_parser = ["low", "medium", "high", "critical"])]
        risk: String,
        /// Unix user ids that may start it through `bailiwick mcp`, which opens a task for them.
        #[arg(long = "launch-uid", value_name = "UID")]
        launch_uids: Vec<u32>,
    },
    /// Lists the agents.
    #[command(after_help = "Example: bailiwick agent list")]
    List(Page),
    /// Shows one agent.
    #[command(after_help = "Example: bailiwick agent show coder")]
    Show {
        /// Its name.
        name: AgentName,
    },
    /// Lets an agent attest and get tasks again.
    #[command(after_help = "Example: bailiwick agent enable coder")]
    Enable {
        /// Its name.
        name: AgentName,
    },
    /// Stops an agent from attesting and getting tasks. To cut what runs, revoke it.
    #[command(after_help = "Example: bailiwick agent disable coder")]
    Disable {
        /// Its name.
        name: AgentName,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: AgentCommand) -> Outcome {
    let api = context.api()?;
    match command {
        AgentCommand::Add {
            name,
            owner,
            selectors,
            ceiling,
            risk,
            launch_uids,
        } => {
            let ceiling = ceiling.draft()?.ok_or_else(no_ceiling)?;
            let body = json!({
                "name": name,
                "owner": owner,
                "selectors": selectors,
                "ceiling": ceiling,
                "base_risk": risk,
                "launch_uids": launch_uids,
            });
            context.record(&api.post("/v1/agents", &body).await?);
            context.out.note(&format!(
                "next: bailiwick task open --agent {name} --request \"…\""
            ));
        }
        AgentCommand::List(page) => {
            let body = api.query("/v1/agents", &page.query()).await?;
            context.list(
                &body,
                &COLUMNS,
                "no agents yet: bailiwick agent add NAME --owner TEAM --selector unix:path=/…",
            );
        }
        AgentCommand::Show { name } => {
            context.record(&api.get(&format!("/v1/agents/{name}")).await?);
        }
        AgentCommand::Enable { name } => context.record(
            &api.post(&format!("/v1/agents/{name}/enable"), &json!({}))
                .await?,
        ),
        AgentCommand::Disable { name } => {
            context.record(
                &api.post(&format!("/v1/agents/{name}/disable"), &json!({}))
                    .await?,
            );
            context.out.note(&format!(
                "what it runs goes on; to cut it: bailiwick revoke agent {name} --reason \"…\""
            ));
        }
    }
    Ok(Exit::DONE)
}

fn no_ceiling() -> Problem {
    Problem::new(
        Code::InvalidInput,
        "an agent needs a ceiling: the widest scope that its tasks may have",
        "say --allow 'files/*:read' once or more, or --scope FILE; everything is --allow '*/*:read,write,escalate'",
    )
}

const COLUMNS: [(&str, &str); 6] = [
    ("NAME", "/name"),
    ("OWNER", "/owner"),
    ("ENABLED", "/enabled"),
    ("RISK", "/base_risk"),
    ("SELECTORS", "/selectors"),
    ("REGISTERED", "/created_at"),
];
