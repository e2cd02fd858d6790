//! What the demo's child processes do. They know nothing of the demo but their arguments, and end with their parent.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use bailiwick_core::id::TaskId;
use bailiwick_core::{Code, Problem, Secret};
use bailiwick_crypto::system::SystemClock;
use bailiwick_demo::agent::{AgentConfig, Opening};
use bailiwick_demo::workspace::{Pace, Place, WorkspaceConfig};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::agent_auth::TaskTokens;
use crate::context::Context;
use crate::workload::Workload;
use crate::{Exit, Outcome, process, svid};

/// The agent's.
#[derive(Debug, clap::Args)]
pub(crate) struct AgentArgs {
    /// The MCP server.
    #[arg(long)]
    url: String,
    /// The task.
    #[arg(long)]
    task: TaskId,
    /// The Workload API.
    #[arg(long)]
    socket: PathBuf,
}

/// The agent: says who it is, then does what its stdin says.
pub(crate) async fn agent(context: &Context, args: AgentArgs) -> Outcome {
    process::die_with_parent()?;
    let svid = Workload::connect(&args.socket).await?.x509_svid().await?;
    context.out.json_line(&json!({"svid": svid::public(&svid)}));
    let tokens = TaskTokens::discover(&args.url, args.task, args.socket).await?;
    let config = AgentConfig {
        url: args.url,
        opening: Opening::Initialize,
    };
    bailiwick_demo::agent::run(
        config,
        Arc::new(tokens),
        tokio::io::stdin(),
        tokio::io::stdout(),
    )
    .await?;
    Ok(Exit::DONE)
}

/// The tool server's.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkspaceArgs {
    /// Where it keeps what it serves.
    #[arg(long)]
    dir: PathBuf,
}

/// The tool server. The first line of its stdin is the token that it insists on, the second a canary for its secret file: neither
/// is ever in an argument, a variable or a file of the demo's.
pub(crate) async fn workspace(_: &Context, args: WorkspaceArgs) -> Outcome {
    process::die_with_parent()?;
    let mut stdin = BufReader::new(tokio::io::stdin());
    let mut lines = [String::new(), String::new()];
    for line in &mut lines {
        stdin.read_line(line).await.map_err(|error| {
            Problem::new(
                Code::InvalidInput,
                format!("stdin cannot be read: {error}"),
                "",
            )
        })?;
    }
    let [bearer, canary] = lines.map(|line| line.trim_end().to_owned());
    let config = WorkspaceConfig {
        place: Place {
            root: args.dir.join("files"),
            database: args.dir.join("orders.db"),
            journal: args.dir.join("journal.jsonl"),
            canary,
            pace: Pace::default(),
        },
        bearer: Secret::new(bearer),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    };
    bailiwick_demo::workspace::run(config, Arc::new(SystemClock), tokio::io::stdout(), stdin)
        .await?;
    Ok(Exit::DONE)
}
