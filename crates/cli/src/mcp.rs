//! `mcp`: what an MCP client starts instead of a tool server. After one line of handshake with the node it copies both ways and
//! changes nothing; the node looks at the process that started this one and decides every call.

use std::path::Path;

use bailiwick_core::id::TaskId;
use bailiwick_core::name::{AgentName, ServerName};
use bailiwick_core::{Code, Problem};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use crate::context::Context;
use crate::failure::Failure;
use crate::{Exit, Outcome};

/// Bytes of the node's answer to the handshake.
const LONGEST_LINE: u64 = 64 << 10;

/// Which server, for which agent and task.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: bailiwick mcp --server files --task \"fix issue 12\"")]
pub(crate) struct McpArgs {
    /// The tool server.
    #[arg(long)]
    server: ServerName,
    /// The agent that starts this; default the one whose registration fits the process.
    #[arg(long)]
    agent: Option<AgentName>,
    /// Opens a task for this request; it ends when the agent closes the connection. Under `bailiwick run` the launch's task is used.
    #[arg(long, value_name = "TEXT", conflicts_with = "task_id")]
    task: Option<String>,
    /// An open task.
    #[arg(long)]
    task_id: Option<TaskId>,
    /// Prints what to put into a client's configuration, instead of connecting.
    #[arg(long, value_enum, value_name = "CLIENT")]
    print_config: Option<McpClient>,
}

/// MCP clients whose configuration we know.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum McpClient {
    /// claude_desktop_config.json.
    ClaudeDesktop,
    /// .mcp.json in a project.
    ClaudeCode,
    /// ~/.cursor/mcp.json.
    Cursor,
    /// .vscode/mcp.json.
    Vscode,
    /// ~/.codex/config.toml.
    Codex,
    /// ~/.gemini/settings.json.
    Gemini,
    /// settings.json of Zed.
    Zed,
    /// What most others read: an object `mcpServers`.
    Json,
}

/// Does it.
pub(crate) async fn run(context: &Context, args: McpArgs) -> Outcome {
    if let Some(client) = args.print_config {
        let executable =
            std::env::current_exe().map_err(|error| Failure::internal(error.to_string()))?;
        let node = context.socket("admin.sock").ok();
        let config = client_config(client, &executable, node.as_deref(), &args);
        if matches!(client, McpClient::Codex) {
            let text = toml::to_string(&config);
            let text = text.map_err(|error| Failure::internal(error.to_string()))?;
            context.out.line(text.trim_end());
        } else {
            context.out.document(&config);
        }
        return Ok(Exit::DONE);
    }
    let socket = context
        .socket("mcp.sock")
        .map_err(|failure| failure.exits(UNABLE))?;
    let stream = connect(&socket, &handshake(&args))
        .await
        .map_err(|failure| failure.exits(UNABLE))?;
    copy(stream).await
}

/// The first line (the node's own protocol on `mcp.sock`, version 1).
fn handshake(args: &McpArgs) -> Value {
    let task = match (&args.task_id, &args.task) {
        (Some(id), _) => json!({"id": id}),
        (None, Some(text)) => json!({"text": text}),
        // Only in a launch, which has one.
        (None, None) => json!({}),
    };
    let mut line = json!({"v": 1, "server": args.server, "task": task});
    if let (Some(agent), Some(members)) = (&args.agent, line.as_object_mut()) {
        members.insert("agent".to_owned(), json!(agent));
    }
    line
}

async fn connect(socket: &Path, handshake: &Value) -> Result<BufReader<UnixStream>, Failure> {
    let unreachable = |error: std::io::Error| {
        let message = format!("no node answers at {}: {error}", socket.display());
        Problem::new(
            Code::NodeUnreachable,
            message,
            "start it with `bailiwick serve`, or name its admin socket with BAILIWICK_NODE",
        )
    };
    let mut stream = BufReader::new(UnixStream::connect(socket).await.map_err(unreachable)?);
    stream
        .write_all(format!("{handshake}\n").as_bytes())
        .await
        .map_err(unreachable)?;
    let mut line = String::new();
    (&mut stream)
        .take(LONGEST_LINE)
        .read_line(&mut line)
        .await
        .map_err(unreachable)?;
    admitted(&line)?;
    Ok(stream)
}

/// Whether the node took the handshake.
fn admitted(line: &str) -> Result<(), Failure> {
    let answer: Value = serde_json::from_str(line).map_err(|_| {
        Problem::new(
            Code::NodeUnreachable,
            "the node ended the connection without an answer",
            "see the node's log",
        )
    })?;
    if answer.get("ok") == Some(&Value::Bool(true)) {
        return Ok(());
    }
    let text = |name: &str| {
        answer
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let code = answer
        .get("code")
        .and_then(|code| serde_json::from_value(code.clone()).ok());
    Err(Problem::new(
        code.unwrap_or(Code::NotPermitted),
        text("message"),
        text("help"),
    )
    .into())
}

/// Copies until either side ends. The client's end of input is passed on, and what the node still answers is delivered.
async fn copy(stream: BufReader<UnixStream>) -> Outcome {
    // Bytes that came right behind the answer are in the buffer.
    let early = stream.buffer().to_vec();
    let (mut from_node, mut to_node) = stream.into_inner().into_split();
    let lost = |error: std::io::Error| {
        Failure::from(Problem::new(
            Code::NodeUnreachable,
            format!("the connection to the node broke: {error}"),
            "see the node's log",
        ))
        .exits(UNABLE)
    };
    let upward = tokio::spawn(async move {
        let mut stdin = tokio::io::stdin();
        let copied = tokio::io::copy(&mut stdin, &mut to_node).await;
        let _ = to_node.shutdown().await;
        copied
    });
    let mut stdout = tokio::io::stdout();
    stdout.write_all(&early).await.map_err(lost)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from_node.read(&mut buffer).await.map_err(lost)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        let written = async {
            stdout.write_all(bytes).await?;
            stdout.flush().await
        };
        if written.await.is_err() {
            // The client is gone; there is nobody to tell.
            return Ok(Exit::DONE);
        }
    }
    if upward.is_finished() {
        return Ok(Exit::DONE);
    }
    upward.abort();
    // The node hung up first: a fence fell, the task ended, or the node stopped.
    let problem = Problem::new(
        Code::CallCut,
        "the node ended the session: the task ended, was revoked, or the node stopped",
        "see `bailiwick audit task`",
    );
    Err(Failure::from(problem).exits(CUT))
}

/// The entry for a client's configuration file, in the form that its documentation gives. Clients hand on few variables of their own, so
/// where the node is stands in it; nothing in it is secret.
fn client_config(
    client: McpClient,
    executable: &Path,
    node: Option<&Path>,
    args: &McpArgs,
) -> Value {
    let mut words = vec![
        "mcp".to_owned(),
        "--server".to_owned(),
        args.server.to_string(),
    ];
    if let Some(agent) = &args.agent {
        words.extend(["--agent".to_owned(), agent.to_string()]);
    }
    words.extend([
        "--task".to_owned(),
        args.task
            .clone()
            .unwrap_or_else(|| "interactive session".to_owned()),
    ]);
    let mut entry = json!({"command": executable, "args": words});
    let mut add = |name: &str, value: Value| {
        if let Some(members) = entry.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    };
    if let Some(node) = node {
        add("env", json!({ "BAILIWICK_NODE": node }));
    }
    let list = match client {
        McpClient::Vscode => {
            add("type", json!("stdio"));
            "servers"
        }
        McpClient::Codex => "mcp_servers",
        McpClient::Zed => "context_servers",
        McpClient::ClaudeDesktop
        | McpClient::ClaudeCode
        | McpClient::Cursor
        | McpClient::Gemini
        | McpClient::Json => "mcpServers",
    };
    json!({ list: { args.server.to_string(): entry } })
}

/// Our own failure before the session, as launchers name it.
const UNABLE: u8 = 126;
/// The node ended the session.
const CUT: u8 = 125;

#[cfg(test)]
mod tests;
