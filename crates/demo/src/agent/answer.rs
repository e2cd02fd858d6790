//! The agent's answers: one JSON object a line, written by one task so that lines never mix.

use std::io;

use rmcp::model::{CallToolResult, ContentBlock, ProgressNotificationParam};
use rmcp::{Peer, RoleClient};
use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::denial::Denial;

/// Where answers go.
#[derive(Debug, Clone)]
pub(super) struct Answers(mpsc::Sender<Value>);

impl Answers {
    /// Starts the writer; its task ends when all clones are gone or `output` fails.
    pub(super) fn start(
        mut output: impl AsyncWrite + Unpin + Send + 'static,
    ) -> (Self, JoinHandle<io::Result<()>>) {
        let (sender, mut answers) = mpsc::channel::<Value>(QUEUE);
        let written = tokio::spawn(async move {
            while let Some(answer) = answers.recv().await {
                output.write_all(format!("{answer}\n").as_bytes()).await?;
                output.flush().await?;
            }
            Ok(())
        });
        (Self(sender), written)
    }

    /// Queues one answer. If nobody reads any more, it is dropped: the end of the writer is reported when the agent ends.
    pub(super) async fn send(&self, answer: Value) {
        if self.0.send(answer).await.is_err() {
            tracing::debug!("an answer was dropped, nobody reads");
        }
    }
}

/// The connection is open.
pub(super) fn ready(peer: &Peer<RoleClient>) -> Value {
    let info = peer.peer_info();
    let server = info.as_ref().and_then(|info| info.server_info.as_ref());
    json!({
        "ready": true,
        "protocol": info.as_ref().map(|info| info.protocol_version.as_str()),
        "server": server.map(|server| json!({"name": server.name, "version": server.version})),
    })
}

/// The connection was refused.
pub(super) fn not_ready(denial: &Denial) -> Value {
    with(json!({"ready": false}), denial)
}

/// A call reports progress.
pub(super) fn progress(id: &Value, params: &ProgressNotificationParam) -> Value {
    json!({"id": id, "progress": params.progress, "total": params.total, "message": params.message})
}

/// A call gave its result; a failed tool is an answer with `"ok": false`.
pub(super) fn result(id: &Value, result: &CallToolResult) -> Value {
    if result.is_error == Some(true) {
        return denied(id, &Denial::of_result(result));
    }
    let mut answer = json!({"id": id, "ok": true, "content": text(result)});
    if let (Some(structured), Some(answer)) = (&result.structured_content, answer.as_object_mut()) {
        answer.insert("structured".to_owned(), structured.clone());
    }
    answer
}

/// Another request gave its result.
pub(super) fn value(id: &Value, name: &str, value: &impl serde::Serialize) -> Value {
    match serde_json::to_value(value) {
        Ok(value) => json!({"id": id, "ok": true, name: value}),
        Err(error) => denied(id, &Denial::new("unexpected", error.to_string())),
    }
}

/// A command failed.
pub(super) fn denied(id: &Value, denial: &Denial) -> Value {
    with(json!({"id": id, "ok": false}), denial)
}

fn with(mut answer: Value, denial: &Denial) -> Value {
    if let (Some(answer), Ok(Value::Object(denial))) =
        (answer.as_object_mut(), serde_json::to_value(denial))
    {
        answer.extend(denial);
    }
    answer
}

/// The text of a result, its blocks joined by line feeds.
pub(super) fn text(result: &CallToolResult) -> String {
    let texts = result.content.iter().filter_map(|block| match block {
        ContentBlock::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// Answers that wait to be written; beyond that, calls wait for the reader.
const QUEUE: usize = 64;
