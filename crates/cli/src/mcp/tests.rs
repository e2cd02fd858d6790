//! The handshake says what was asked for, and a refusal reaches the reader with its code.

use bailiwick_core::Code;
use clap::Parser as _;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixListener;

use super::{McpArgs, McpClient, client_config, connect, handshake};

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    args: McpArgs,
}

fn args(line: &str) -> McpArgs {
    Line::try_parse_from(line.split(' '))
        .unwrap_or_else(|error| panic!("{error}"))
        .args
}

#[test]
fn the_handshake() {
    assert_eq!(
        handshake(&args("mcp --server files --task text")),
        json!({"v": 1, "server": "files", "task": {"text": "text"}})
    );
    assert_eq!(
        handshake(&args(
            "mcp --server files --agent coder --task-id task_01h455vb4pex5vsknk084sn02q"
        )),
        json!({"v": 1, "server": "files", "agent": "coder", "task": {"id": "task_01h455vb4pex5vsknk084sn02q"}})
    );
    // A launch has a task; without one the node refuses it.
    assert_eq!(
        handshake(&args("mcp --server files")),
        json!({"v": 1, "server": "files", "task": {}})
    );
}

#[test]
fn mcp_config_golden() {
    let args = args("mcp --server files --agent coder --task t");
    let (program, node) = (
        std::path::Path::new("/usr/bin/bailiwick"),
        std::path::Path::new("/run/bailiwick/admin.sock"),
    );
    let entry = json!({
        "command": "/usr/bin/bailiwick",
        "args": ["mcp", "--server", "files", "--agent", "coder", "--task", "t"],
        "env": {"BAILIWICK_NODE": "/run/bailiwick/admin.sock"},
    });
    let mut typed = entry.clone();
    typed["type"] = json!("stdio");
    for (client, list, entry) in [
        (McpClient::ClaudeDesktop, "mcpServers", &entry),
        (McpClient::ClaudeCode, "mcpServers", &entry),
        (McpClient::Cursor, "mcpServers", &entry),
        (McpClient::Gemini, "mcpServers", &entry),
        (McpClient::Json, "mcpServers", &entry),
        (McpClient::Vscode, "servers", &typed),
        (McpClient::Zed, "context_servers", &entry),
        (McpClient::Codex, "mcp_servers", &entry),
    ] {
        let config = client_config(client, program, Some(node), &args);
        assert_eq!(config, json!({ list: { "files": entry } }), "{client:?}");
    }
    let codex = client_config(McpClient::Codex, program, Some(node), &args);
    assert_eq!(
        toml::to_string(&codex).unwrap(),
        "[mcp_servers.files]\ncommand = \"/usr/bin/bailiwick\"\n\
         args = [\"mcp\", \"--server\", \"files\", \"--agent\", \"coder\", \"--task\", \"t\"]\n\n[mcp_servers.files.env]\nBAILIWICK_NODE = \"/run/bailiwick/admin.sock\"\n"
    );
}

async fn answered(answer: &'static str) -> Result<String, (Code, u8)> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mcp.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let node = tokio::spawn(async move {
        let (peer, _) = listener.accept().await.unwrap();
        let mut peer = BufReader::new(peer);
        let mut line = String::new();
        peer.read_line(&mut line).await.unwrap();
        peer.write_all(answer.as_bytes()).await.unwrap();
        line
    });
    let connected = connect(&path, &json!({"v": 1})).await;
    let line = node.await.unwrap();
    assert_eq!(line, "{\"v\":1}\n");
    match connected {
        Ok(mut stream) => {
            let mut rest = String::new();
            stream.read_line(&mut rest).await.unwrap();
            Ok(rest)
        }
        Err(failure) => Err((failure.problem.code, failure.exit_code())),
    }
}

#[tokio::test]
async fn what_follows_the_answer_is_not_lost() {
    let rest =
        answered("{\"ok\":true,\"task\":\"task_1\",\"agent\":\"coder\"}\n{\"jsonrpc\":\"2.0\"}\n")
            .await;
    assert_eq!(rest, Ok("{\"jsonrpc\":\"2.0\"}\n".to_owned()));
}

#[tokio::test]
async fn refusals_keep_their_code() {
    let refused =
        answered("{\"ok\":false,\"code\":\"no_identity\",\"message\":\"m\",\"help\":\"h\"}\n")
            .await;
    assert_eq!(refused, Err((Code::NoIdentity, 5)));
    assert_eq!(answered("").await, Err((Code::NodeUnreachable, 4)));
}
