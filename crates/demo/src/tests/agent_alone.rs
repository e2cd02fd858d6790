//! The agent against servers that refuse, ask for a nonce, or cut it off.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response};
use axum::routing::any;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, stream};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::agent::{AgentError, Authorise, BoxError, Headers, Opening};

use super::parties::{Bearer, Script};

/// What a request looked like.
#[derive(Debug, Clone)]
struct Seen {
    method: Method,
    headers: HeaderMap,
    body: Value,
}

/// A server that opens sessions as every other, and answers `tools/call` with what the test has prepared.
#[derive(Clone, Default)]
struct Scripted {
    answers: Arc<Mutex<VecDeque<Prepared>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    nonce: Option<&'static str>,
    cut: Arc<Notify>,
}

enum Prepared {
    Result(Value),
    Error(Value),
    Status(u16, &'static str, &'static str),
    /// Reports progress on a stream with event ids, waits for the test, then ends the stream: mid-chunk or cleanly.
    Cut {
        abruptly: bool,
    },
}

impl Scripted {
    fn with(answers: impl IntoIterator<Item = Prepared>) -> Self {
        Self {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            ..Self::default()
        }
    }

    async fn start(&self) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/mcp", any(answer))
            .with_state(self.clone());
        (
            url,
            tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }),
        )
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn answer(
    State(server): State<Scripted>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    server.seen.lock().unwrap().push(Seen {
        method: method.clone(),
        headers: headers.clone(),
        body: body.clone(),
    });
    let reply = |status: u16| Response::builder().status(status);
    if let Some(nonce) = server.nonce
        && headers
            .get("dpop")
            .is_none_or(|proof| !proof.to_str().unwrap().ends_with(nonce))
    {
        let challenge = "DPoP error=\"use_dpop_nonce\", error_description=\"a nonce is needed\"";
        return reply(401)
            .header("www-authenticate", challenge)
            .header("dpop-nonce", nonce)
            .body(Body::empty())
            .unwrap();
    }
    if method != Method::POST {
        return reply(405).body(Body::empty()).unwrap();
    }
    let id = body["id"].clone();
    let json = |message: Value| {
        reply(200)
            .header("content-type", "application/json")
            .body(Body::from(message.to_string()))
            .unwrap()
    };
    let result = |result: Value| json(json!({"jsonrpc": "2.0", "id": id, "result": result}));
    match body["method"].as_str() {
        Some("initialize") => {
            let info = json!({"name": "scripted", "version": "1"});
            let mut response = result(
                json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}),
            );
            response
                .headers_mut()
                .insert("mcp-session-id", HeaderValue::from_static("s-1"));
            response
        }
        Some("tools/call") => match server.answers.lock().unwrap().pop_front().unwrap() {
            Prepared::Result(value) => result(value),
            Prepared::Error(error) => json(json!({"jsonrpc": "2.0", "id": id, "error": error})),
            Prepared::Status(status, challenge, body) => reply(status)
                .header("www-authenticate", challenge)
                .header("content-type", "application/json")
                .body(Body::from(body))
                .unwrap(),
            Prepared::Cut { abruptly } => {
                let params = json!({"progressToken": body["params"]["_meta"]["progressToken"], "progress": 1});
                let progress =
                    json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
                let events = format!("id: 0\nretry: 10\ndata:\n\nid: 1\ndata: {progress}\n\n");
                let cut = async move {
                    server.cut.notified().await;
                    abruptly.then(|| Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)))
                };
                let cut = stream::once(cut).filter_map(std::future::ready);
                let body =
                    Body::from_stream(stream::once(std::future::ready(Ok(events))).chain(cut));
                reply(200)
                    .header("content-type", "text/event-stream")
                    .body(body)
                    .unwrap()
            }
        },
        Some("server/discover") => reply(400)
            .body(Body::from("Bad Request: no session"))
            .unwrap(),
        _ => reply(202).body(Body::empty()).unwrap(),
    }
}

async fn outcomes(answers: impl IntoIterator<Item = Prepared>) -> Vec<Value> {
    let server = Scripted::with(answers);
    let (url, serving) = server.start().await;
    let mut script = Script::start(
        &url,
        Opening::Initialize,
        Arc::new(Bearer("Bearer x".into())),
    );
    script.next().await;
    let mut outcomes = Vec::new();
    while !server.answers.lock().unwrap().is_empty() {
        outcomes.push(script.ask(json!({"call": "read_file", "args": {}})).await);
    }
    script.close().await.unwrap();
    serving.abort();
    outcomes
}

#[tokio::test]
async fn a_decision_is_reported_as_it_came() {
    let decision = json!({"code": "no_permit", "decision": "dec_1", "event": "evt_1", "help": "ask for the grant", "approval": "appr_1", "url": "http://x/"});
    let meta = json!({"bailiwick/decision": decision});
    let seen = outcomes([
        Prepared::Result(json!({"content": [{"type": "text", "text": "No policy permits it."}], "isError": true, "_meta": meta})),
        Prepared::Error(json!({"code": 7000, "message": "The server is down.", "data": {"code": "server_down", "decision": "dec_2"}})),
        Prepared::Error(json!({"code": -32601, "message": "Method not found"})),
    ])
    .await;
    assert_eq!(
        seen[0],
        json!({"id": 1, "ok": false, "code": "no_permit", "message": "No policy permits it.", "decision": decision})
    );
    assert_eq!(seen[1]["code"], json!("server_down"));
    assert_eq!(seen[1]["decision"]["decision"], json!("dec_2"));
    assert_eq!(
        seen[2],
        json!({"id": 3, "ok": false, "code": "rpc_error", "message": "Method not found (-32601)"})
    );
}

#[tokio::test]
async fn refusals_by_http_status_keep_code_and_challenge() {
    let problem = r#"{"code":"revoked","message":"A fence stands.","help":"Ask the owner."}"#;
    let challenge = "DPoP error=\"invalid_token\"";
    let seen = outcomes([
        Prepared::Status(401, challenge, problem),
        Prepared::Status(401, challenge, r#"{"error":"invalid_token","error_description":"expired"}"#),
        Prepared::Status(403, "x", "not json"),
        Prepared::Status(502, "x", r#"{"jsonrpc":"2.0","id":3,"error":{"code":-32000,"message":"upstream","data":{"code":"server_down"}}}"#),
        Prepared::Status(404, "x", "gone"),
    ])
    .await;
    let problem: Value = serde_json::from_str(problem).unwrap();
    assert_eq!(
        seen[0],
        json!({"id": 1, "ok": false, "code": "revoked", "message": "A fence stands.", "decision": problem, "status": 401, "challenge": challenge})
    );
    assert_eq!(
        (&seen[1]["code"], &seen[1]["message"]),
        (&json!("invalid_token"), &json!("expired"))
    );
    assert_eq!(
        (&seen[2]["code"], &seen[2]["message"]),
        (&json!("http_refused"), &json!("not json"))
    );
    assert_eq!(
        (&seen[3]["code"], &seen[3]["message"]),
        (&json!("server_down"), &json!("upstream"))
    );
    assert_eq!(seen[4]["code"], json!("session_lost"));
}

#[tokio::test]
async fn a_cut_stream_is_reported_at_once_and_not_reopened() {
    for abruptly in [true, false] {
        let server = Scripted::with([Prepared::Cut { abruptly }]);
        let (url, serving) = server.start().await;
        let mut script = Script::start(&url, Opening::Initialize, Arc::new(Bearer::right()));
        script.next().await;
        script
            .tell(json!({"call": "export_all", "progress": true}))
            .await;
        assert_eq!(script.next().await["progress"], json!(1.0));
        server.cut.notify_one();
        assert_eq!(script.next().await["code"], json!("stream_cut"));
        script.close().await.unwrap();
        serving.abort();
        let seen = server.seen();
        assert!(
            !seen
                .iter()
                .any(|seen| seen.headers.contains_key("last-event-id"))
        );
    }
}

/// Proofs that end in the newest nonce, and count.
#[derive(Default)]
struct Proofs {
    nonce: Mutex<String>,
    made: Mutex<u32>,
}

impl Authorise for Proofs {
    fn headers<'a>(
        &'a self,
        method: &'a Method,
        url: &'a str,
    ) -> BoxFuture<'a, Result<Headers, BoxError>> {
        Box::pin(async move {
            let mut made = self.made.lock().unwrap();
            *made += 1;
            let proof = format!("{method} {url} {made} nonce={}", self.nonce.lock().unwrap());
            Ok(vec![(
                HeaderName::from_static("dpop"),
                HeaderValue::from_str(&proof)?,
            )])
        })
    }

    fn learn_nonce(&self, nonce: &str) {
        nonce.clone_into(&mut self.nonce.lock().unwrap());
    }
}

#[tokio::test]
async fn each_request_has_its_own_proof_and_a_nonce_is_learnt_once() {
    let mut server = Scripted::with([Prepared::Result(json!({"content": []}))]);
    server.nonce = Some("n-1");
    let (url, serving) = server.start().await;
    let mut script = Script::start(&url, Opening::Auto, Arc::new(Proofs::default()));
    assert_eq!(script.next().await["protocol"], json!("2025-11-25"));
    assert_eq!(
        script.ask(json!({"call": "read_file"})).await["ok"],
        json!(true)
    );
    script.close().await.unwrap();
    serving.abort();
    let seen = server.seen();
    let proofs: Vec<String> = seen
        .iter()
        .map(|seen| seen.headers["dpop"].to_str().unwrap().to_owned())
        .collect();
    assert!(
        proofs[0].ends_with("nonce=") && proofs[1..].iter().all(|proof| proof.ends_with("n-1")),
        "{proofs:?}"
    );
    assert!(
        seen.iter()
            .zip(&proofs)
            .all(|(seen, proof)| proof.starts_with(&format!("{} {url} ", seen.method)))
    );
    let distinct: std::collections::BTreeSet<&String> = proofs.iter().collect();
    assert_eq!(distinct.len(), proofs.len());
    assert_eq!(
        (
            &seen[0].body["method"],
            &seen[1].body["method"],
            &seen[2].body["method"]
        ),
        (
            &json!("server/discover"),
            &json!("server/discover"),
            &json!("initialize")
        )
    );
    assert_eq!(seen.last().unwrap().method, Method::DELETE);
}

#[tokio::test]
async fn a_server_that_never_accepts_the_nonce_is_asked_twice_only() {
    /// Ignores every nonce.
    struct Deaf;
    impl Authorise for Deaf {
        fn headers<'a>(
            &'a self,
            _method: &'a Method,
            _url: &'a str,
        ) -> BoxFuture<'a, Result<Headers, BoxError>> {
            Box::pin(async {
                Ok(vec![(
                    HeaderName::from_static("dpop"),
                    HeaderValue::from_static("stale"),
                )])
            })
        }
        fn learn_nonce(&self, _nonce: &str) {}
    }
    let server = Scripted {
        nonce: Some("n-1"),
        ..Scripted::default()
    };
    let (url, serving) = server.start().await;
    let mut script = Script::start(&url, Opening::Initialize, Arc::new(Deaf));
    let line = script.next().await;
    assert_eq!(
        (&line["ready"], &line["status"]),
        (&json!(false), &json!(401)),
        "{line}"
    );
    assert!(matches!(
        script.ended().await,
        Err(AgentError::Refused { .. })
    ));
    assert_eq!(server.seen().len(), 2);
    serving.abort();
}

#[tokio::test]
async fn credentials_that_cannot_be_had_and_absent_servers_are_told_apart() {
    struct None;
    impl Authorise for None {
        fn headers<'a>(
            &'a self,
            _method: &'a Method,
            _url: &'a str,
        ) -> BoxFuture<'a, Result<Headers, BoxError>> {
            Box::pin(async { Err("no registered agent matches".into()) })
        }
        fn learn_nonce(&self, _nonce: &str) {}
    }
    let server = Scripted::default();
    let (url, serving) = server.start().await;
    let mut script = Script::start(&url, Opening::Initialize, Arc::new(None));
    let line = script.next().await;
    assert_eq!(line["code"], json!("no_credentials"));
    assert!(
        line["message"]
            .as_str()
            .unwrap()
            .contains("no registered agent matches")
    );
    assert!(server.seen().is_empty());
    serving.abort();
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let mut script = Script::start(
        &format!("http://{free}/mcp"),
        Opening::Initialize,
        Arc::new(Bearer("Bearer x".into())),
    );
    assert_eq!(script.next().await["code"], json!("unreachable"));
}

#[tokio::test]
async fn commands_that_make_no_sense_are_answered_and_the_script_goes_on() {
    let server = Scripted::with([Prepared::Result(
        json!({"content": [{"type": "text", "text": "hi"}]}),
    )]);
    let (url, serving) = server.start().await;
    let mut script = Script::start(
        &url,
        Opening::Initialize,
        Arc::new(Bearer("Bearer x".into())),
    );
    script.next().await;
    for nonsense in [
        json!({"dance": true}),
        json!({"list": false}),
        json!([1]),
        json!("x".repeat(2 << 20)),
    ] {
        assert_eq!(script.ask(nonsense).await["code"], json!("invalid_command"));
    }
    assert_eq!(
        script.ask(json!({"cancel": "nothing"})).await["cancelling"],
        json!(false)
    );
    assert_eq!(
        script.ask(json!({"id": "a", "call": "read_file"})).await,
        json!({"id": "a", "ok": true, "content": "hi"})
    );
    script.close().await.unwrap();
    serving.abort();
}
