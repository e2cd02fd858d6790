//! A small MCP tool server over HTTP that keeps every byte it was sent.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The definition that the server shows for a tool.
pub(crate) fn definition(name: &str) -> String {
    format!(
        r#"{{ "name":"{name}", "inputSchema":{{"type":"object","properties":{{"path":{{"type":"string"}},"paths":{{"type":"array","items":{{"type":"string"}}}}}}}} }}"#
    )
}

/// The definition that the server shows for a prompt.
pub(crate) fn prompt(name: &str) -> String {
    json!({ "name": name, "description": "Says hello.", "arguments": [{ "name": "to" }] })
        .to_string()
}

/// One request as it came.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn method(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        body["method"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) struct ToolServer {
    port: u16,
    pub(crate) journal: watch::Sender<Vec<Received>>,
    /// Lets calls of `slow` end.
    pub(crate) release: watch::Sender<bool>,
    /// What `get` looks like, if not as approved.
    pub(crate) drift: Mutex<Option<String>>,
    /// What the prompt `greet` looks like, if not as approved.
    pub(crate) prompt_drift: Mutex<Option<String>>,
    /// The result of calls, if another than `done`.
    pub(crate) says: Mutex<Option<Value>>,
}

impl ToolServer {
    pub(crate) async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Arc::new(Self {
            port: listener.local_addr().unwrap().port(),
            journal: watch::Sender::new(Vec::new()),
            release: watch::Sender::new(false),
            drift: Mutex::default(),
            prompt_drift: Mutex::default(),
            says: Mutex::default(),
        });
        let own = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = Arc::clone(&own);
                let service = service_fn(move |request| {
                    let own = Arc::clone(&own);
                    async move { Ok::<_, Infallible>(own.answer(request).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// The calls that came.
    pub(crate) fn calls(&self) -> Vec<Received> {
        self.journal
            .borrow()
            .iter()
            .filter(|received| received.method() == "tools/call")
            .cloned()
            .collect()
    }

    /// Waits until a request of this method has come.
    pub(crate) async fn reached(&self, method: &str) {
        let mut journal = self.journal.subscribe();
        let there =
            journal.wait_for(|journal| journal.iter().any(|received| received.method() == method));
        there.await.unwrap();
    }

    async fn answer(&self, request: Request<hyper::body::Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        if body.is_empty() {
            return plain(405);
        }
        let message: Value = serde_json::from_slice(&body).unwrap();
        self.journal.send_modify(|journal| {
            journal.push(Received {
                headers: head.headers,
                body,
            });
        });
        let id = &message["id"];
        let result = match message["method"].as_str() {
            Some("initialize") => {
                json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} }, "serverInfo": {} })
            }
            Some("tools/list") => {
                let tools: Vec<String> =
                    ["get", "slow", "ask", "put", "new", "interview", "unknown"]
                        .map(|name| self.definition(name))
                        .into();
                let list = tools.join(" , ");
                let body =
                    format!(r#"{{"result":{{"tools":[ {list} ]}},"id":{id},"jsonrpc":"2.0"}}"#);
                return typed("application/json", body);
            }
            Some("tools/call") => return self.call(&message, id).await,
            Some("prompts/list") => {
                let prompts = [self.prompt("greet"), prompt("new"), prompt("odd name")].join(",");
                let body =
                    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"prompts":[{prompts}]}}}}"#);
                return typed("application/json", body);
            }
            Some("prompts/get") => json!({ "messages": [] }),
            Some("resources/list") => json!({ "resources": [
                { "uri": "docs://a", "name": "a" }, { "uri": "secret://b", "name": "b" },
            ] }),
            Some("resources/templates/list") => json!({ "resourceTemplates": [
                { "uriTemplate": "docs://{id}", "name": "a" }, { "uriTemplate": "secret://{id}", "name": "b" },
            ] }),
            Some("resources/read") => {
                json!({ "contents": [{ "uri": message["params"]["uri"], "text": "read" }] })
            }
            // News that go on until somebody lets them end.
            Some("subscriptions/listen") => {
                let mut release = self.release.subscribe();
                release.wait_for(|released| *released).await.unwrap();
                json!({})
            }
            Some("completion/complete") => json!({ "completion": { "values": ["x"] } }),
            Some("ping" | "resources/subscribe" | "resources/unsubscribe") => json!({}),
            _ if id.is_null() => return plain(202),
            _ => {
                let error = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": "Method not found" } });
                return typed("application/json", error.to_string());
            }
        };
        typed(
            "application/json",
            json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string(),
        )
    }

    async fn call(&self, message: &Value, id: &Value) -> Response<Body> {
        let says = self.says.lock().unwrap().clone();
        let says =
            says.unwrap_or_else(|| json!({ "content": [{ "type": "text", "text": "done" }] }));
        let result = json!({ "jsonrpc": "2.0", "id": id, "result": says });
        match message["params"]["name"].as_str() {
            Some("interview") => self.interview(message, id),
            Some("slow") => {
                self.release
                    .subscribe()
                    .wait_for(|released| *released)
                    .await
                    .unwrap();
                typed("application/json", result.to_string())
            }
            Some("ask") => {
                let ask = json!({ "jsonrpc": "2.0", "id": "s1", "method": "sampling/createMessage", "params": {} });
                let note = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "data": "working" } });
                typed(
                    "text/event-stream",
                    format!("id: 0\ndata:\n\ndata: {ask}\n\ndata: {note}\n\ndata: {result}\n\n"),
                )
            }
            _ => typed("application/json", result.to_string()),
        }
    }

    /// Asks what `path` says; the result is what the client answered.
    fn interview(&self, message: &Value, id: &Value) -> Response<Body> {
        let params = &message["params"];
        let (method, question) = match params["arguments"]["path"].as_str() {
            Some("form") => ("elicitation/create", form("name")),
            Some("password") => ("elicitation/create", form("Pass-Word")),
            Some("url" | "error") => (
                "elicitation/create",
                json!({ "mode": "url", "url": "https://x.example", "message": "go" }),
            ),
            Some("roots") => ("roots/list", json!({})),
            _ => (
                "sampling/createMessage",
                json!({ "messages": [], "maxTokens": 1 }),
            ),
        };
        let result =
            |result: Value| json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
        if params["arguments"]["path"] == "error" {
            let data = json!({ "elicitations": [question] });
            let error = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32042, "message": "go", "data": data } });
            return typed("application/json", error.to_string());
        }
        if params["_meta"]["io.modelcontextprotocol/protocolVersion"].is_string() {
            let responses = &params["inputResponses"];
            let body = if responses.is_object() {
                json!({ "resultType": "complete", "content": [{ "type": "text", "text": responses.to_string() }] })
            } else {
                let asked = json!({ "q": { "method": method, "params": question } });
                json!({ "resultType": "input_required", "inputRequests": asked, "requestState": "state-1" })
            };
            return typed("application/json", result(body));
        }
        let ask = json!({ "jsonrpc": "2.0", "id": "q1", "method": method, "params": question });
        let (journal, id) = (self.journal.subscribe(), id.clone());
        let frame = |message: &Value| Frame::data(Bytes::from(format!("data: {message}\n\n")));
        let first = frame(&ask);
        let events = stream::unfold(
            (Some(first), journal, id),
            move |(first, mut journal, id)| async move {
                if let Some(first) = first {
                    return Some((Ok::<_, Infallible>(first), (None, journal, id)));
                }
                if id.is_null() {
                    return None;
                }
                let answer = |received: &Received| {
                    let body: Value = serde_json::from_slice(&received.body).unwrap();
                    (body["id"] == "q1").then_some(body)
                };
                let seen = journal
                    .wait_for(|journal| journal.iter().any(|received| answer(received).is_some()))
                    .await
                    .unwrap();
                let said = seen.iter().find_map(answer).unwrap().to_string();
                drop(seen);
                let result = json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [{ "type": "text", "text": said }] } });
                Some((Ok(frame(&result)), (None, journal, Value::Null)))
            },
        );
        let mut response = Response::new(StreamBody::new(events).boxed_unsync());
        response
            .headers_mut()
            .insert(CONTENT_TYPE, "text/event-stream".parse().unwrap());
        response
    }

    fn prompt(&self, name: &str) -> String {
        self.prompt_drift
            .lock()
            .unwrap()
            .clone()
            .unwrap_or_else(|| prompt(name))
    }

    fn definition(&self, name: &str) -> String {
        let drift = self.drift.lock().unwrap().clone().filter(|_| name == "get");
        drift.unwrap_or_else(|| definition(name))
    }
}

fn typed(media: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Full::from(body).boxed_unsync());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, media.parse().unwrap());
    response
        .headers_mut()
        .insert("mcp-session-id", "upstream-session".parse().unwrap());
    response
}

fn form(field: &str) -> Value {
    json!({ "message": "Who are you?", "requestedSchema": { "type": "object", "properties": { field: { "type": "string" } } } })
}

fn plain(status: u16) -> Response<Body> {
    let mut response = Response::new(Empty::new().boxed_unsync());
    *response.status_mut() = status.try_into().unwrap();
    response
}
