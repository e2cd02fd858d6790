//! Runs the script: reads commands, keeps calls going beside each other, cancels them when told or when the script ends.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientRequest, CustomRequest, ListToolsRequest,
    ProgressToken, ServerResult,
};
use rmcp::service::{PeerRequestOptions, RequestHandle};
use rmcp::{Peer, RoleClient};
use serde_json::{Value, json};
use tokio::io::AsyncRead;
use tokio::task::JoinSet;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use tokio_util::sync::CancellationToken;

use super::answer::{self, Answers};
use super::command::{Act, Command};
use super::denial::Denial;

/// Which running call a progress token belongs to.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<Mutex<HashMap<ProgressToken, Value>>>);

impl Progress {
    /// The id of the call that asked to hear of this token.
    pub(super) fn call(&self, token: &ProgressToken) -> Option<Value> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(token)
            .cloned()
    }

    fn expect(&self, token: ProgressToken, id: Value) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(token, id);
    }

    fn forget(&self, token: &ProgressToken) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(token);
    }
}

/// Runs commands until `close` or the end of input. At the end of input, calls that run are cancelled.
pub(super) async fn run(
    peer: &Peer<RoleClient>,
    progress: &Progress,
    commands: impl AsyncRead + Unpin,
    answers: &Answers,
) -> io::Result<()> {
    let mut lines = FramedRead::new(commands, LinesCodec::new_with_max_length(LONGEST_LINE));
    let mut script = Script {
        peer,
        progress,
        answers,
        calls: JoinSet::new(),
        running: HashMap::new(),
        ended: CancellationToken::new(),
    };
    let mut number = 0_u64;
    let mut read = Ok(());
    loop {
        let line = tokio::select! {
            line = lines.next() => line,
            Some(done) = script.calls.join_next() => {
                script.running.retain(|key, _| done.as_ref().map_or(true, |done| done != key));
                continue;
            }
        };
        number += 1;
        let command = match line {
            Some(Ok(line)) if line.trim().is_empty() => continue,
            Some(Ok(line)) => {
                serde_json::from_str::<Command>(&line).map_err(|error| error.to_string())
            }
            Some(Err(LinesCodecError::MaxLineLengthExceeded)) => {
                // After an error the decoder reports one end that is none: the next lines follow.
                lines.next().await;
                Err(format!("the line is over {LONGEST_LINE} bytes"))
            }
            Some(Err(LinesCodecError::Io(error))) => {
                read = Err(error);
                break;
            }
            None => break,
        };
        match command {
            Ok(Command {
                act: Act::Close { .. },
                ..
            }) => {
                while script.calls.join_next().await.is_some() {}
                return Ok(());
            }
            Ok(Command { id, act }) => script.take(id.unwrap_or_else(|| json!(number)), act).await,
            Err(reason) => {
                script
                    .refuse(&json!(number), "invalid_command", reason)
                    .await;
            }
        }
    }
    script.ended.cancel();
    while script.calls.join_next().await.is_some() {}
    read
}

/// The calls that run.
struct Script<'a> {
    peer: &'a Peer<RoleClient>,
    progress: &'a Progress,
    answers: &'a Answers,
    calls: JoinSet<String>,
    /// By the JSON text of their ids.
    running: HashMap<String, CancellationToken>,
    ended: CancellationToken,
}

impl Script<'_> {
    async fn take(&mut self, id: Value, act: Act) {
        match act {
            Act::Call {
                call,
                args,
                progress,
            } => self.begin(id, call_tool(call, args), progress).await,
            Act::List { .. } => {
                let request = ClientRequest::ListToolsRequest(ListToolsRequest::default());
                self.begin(id, request, false).await;
            }
            Act::Raw { raw, params } => {
                let request = ClientRequest::CustomRequest(CustomRequest::new(raw, params));
                self.begin(id, request, false).await;
            }
            Act::Cancel { cancel } => {
                let known = self.running.get(&cancel.to_string());
                let known = known.inspect(|call| call.cancel()).is_some();
                self.answers
                    .send(answer::value(&id, "cancelling", &known))
                    .await;
            }
            // The reader of the commands has ended the script already.
            Act::Close { .. } => {}
        }
    }

    /// Starts a request beside those that run.
    async fn begin(&mut self, id: Value, request: ClientRequest, with_progress: bool) {
        let key = id.to_string();
        if self.calls.len() >= MOST_CALLS || self.running.contains_key(&key) {
            let reason = format!("{MOST_CALLS} calls run, or one with the same id");
            return self.refuse(&id, "busy", reason).await;
        }
        let cancelled = self.ended.child_token();
        self.running.insert(key.clone(), cancelled.clone());
        let (peer, progress, answers) = (
            self.peer.clone(),
            self.progress.clone(),
            self.answers.clone(),
        );
        self.calls.spawn(async move {
            let answer = perform(&peer, &progress, &id, request, with_progress, &cancelled).await;
            answers.send(answer).await;
            key
        });
    }

    async fn refuse(&self, id: &Value, code: &str, reason: String) {
        self.answers
            .send(answer::denied(id, &Denial::new(code, reason)))
            .await;
    }
}

fn call_tool(name: String, arguments: serde_json::Map<String, Value>) -> ClientRequest {
    ClientRequest::CallToolRequest(CallToolRequest::new(
        CallToolRequestParams::new(name).with_arguments(arguments),
    ))
}

/// One request to its end.
async fn perform(
    peer: &Peer<RoleClient>,
    progress: &Progress,
    id: &Value,
    request: ClientRequest,
    with_progress: bool,
    cancelled: &CancellationToken,
) -> Value {
    let sent = peer
        .send_cancellable_request(request, PeerRequestOptions::no_options())
        .await;
    let mut handle: RequestHandle<RoleClient> = match sent {
        Ok(handle) => handle,
        Err(error) => return answer::denied(id, &Denial::of_service(&error)),
    };
    let token = handle.progress_token.clone();
    if with_progress {
        progress.expect(token.clone(), id.clone());
    }
    let answer = tokio::select! {
        response = &mut handle.rx => match response {
            Ok(Ok(result)) => of_result(id, &result),
            Ok(Err(error)) => answer::denied(id, &Denial::of_service(&error)),
            Err(_) => answer::denied(id, &Denial::new("stream_cut", "the session ended before the answer")),
        },
        () = cancelled.cancelled() => {
            // The server is told, so that it does not go on with what nobody reads.
            if let Err(error) = handle.cancel(Some("cancelled by the script".to_owned())).await {
                tracing::debug!(%error, "the cancellation was not delivered");
            }
            answer::denied(id, &Denial::new("cancelled", "cancelled by the script"))
        }
    };
    progress.forget(&token);
    answer
}

fn of_result(id: &Value, result: &ServerResult) -> Value {
    match result {
        ServerResult::CallToolResult(result) => answer::result(id, result),
        ServerResult::ListToolsResult(list) => answer::value(id, "tools", &list.tools),
        other => answer::value(id, "result", other),
    }
}

/// Calls that run beside each other.
pub(super) const MOST_CALLS: usize = 16;
/// Bytes of one command.
const LONGEST_LINE: usize = 1 << 20;
