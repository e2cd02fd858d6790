//! `serve`: runs a node until a signal, and says on stdout where it is.

use bailiwick_server::node::Node;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::ConfigArgs;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::table;
use crate::{Exit, Outcome};

/// How.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: bailiwick serve --config bailiwick.toml")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    found: ConfigArgs,
}

/// Does it. With JSON, one line on stdout says that the node is ready and where.
pub(crate) async fn run(context: &Context, args: ServeArgs) -> Outcome {
    let config = args.found.load()?;
    bailiwick_server::telemetry::init(&config.log)?;
    // Before the node is up, so that a signal while it starts also ends it in order.
    let failed =
        |error: std::io::Error| Failure::internal(format!("signals cannot be received: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let node = Node::start(config).await?;
    let ready = ready(&node);
    if context.out.is_json() {
        context.out.json_line(&ready);
    } else {
        context.out.line(&table::record(&context.out, &ready));
        context
            .out
            .note("ready; Ctrl-C stops it. Next: bailiwick agent add, bailiwick server add");
    }
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    node.run(stop).await?;
    Ok(Exit::DONE)
}

fn ready(node: &Node) -> Value {
    let at = node.addresses();
    json!({
        "ready": true,
        "node": node.name(),
        "console": at.console_url,
        "gateway": at.gateway_url,
        "mtls": at.mtls_url,
        "admin_socket": at.admin_socket,
        "workload_socket": at.workload_socket,
        "mcp_socket": at.mcp_socket,
        "launch_socket": at.launch_socket,
        "log_vkey": at.log_vkey,
    })
}
