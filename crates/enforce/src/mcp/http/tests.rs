//! The HTTP front with real tokens and proofs: who gets in, whose session is whose, and what an answer looks like.

mod connection;
mod unbound;

use std::time::Duration;

use bailiwick_core::change::ChangeBody;
use bailiwick_core::fence::Subject;
use bailiwick_core::id::TokenId;
use bailiwick_core::{Clock, Secret};
use bailiwick_crypto::dpop::{self, prove};
use bailiwick_crypto::keys::SigningKey;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use bailiwick_crypto::token::task::{
    Actor, AgentTask, AgentTaskKind, Confirmation, Profile, Provenance, TaskClaims, TaskSubject,
    TaskToken,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};

use crate::testing::{INSTANCE, ISSUER, TASK, URL, World};

const RESOURCE: &str = "http://127.0.0.1:8421/mcp/tools";
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{}}}"#;
const CALL: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get","arguments":{}}}"#;

/// What makes a token unfit.
type Change = fn(&mut TaskClaims);

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn challenge(&self) -> &str {
        self.headers["www-authenticate"].to_str().unwrap()
    }
}

/// An agent with its own key and token.
struct Agent<'a> {
    world: &'a World,
    key: SigningKey,
    token: Secret<String>,
}

impl<'a> Agent<'a> {
    fn new(world: &'a World) -> Self {
        Self::with(world, |_| {})
    }

    fn with(world: &'a World, change: impl FnOnce(&mut TaskClaims)) -> Self {
        let key = SigningKey::generate().unwrap();
        let mut claims = claims(world, &key);
        change(&mut claims);
        let token = TaskToken::issue(&world.signer, &claims).unwrap();
        Self { world, key, token }
    }

    fn proof(&self, method: &str, nonce: Option<&str>) -> String {
        let request = dpop::Request {
            method,
            url: RESOURCE,
            access_token: Some(self.token.expose()),
        };
        prove(&self.key, &request, nonce, &SystemClock, &SystemRng).unwrap()
    }

    fn nonce(&self) -> String {
        self.world.gateway.authenticator.nonce(&SystemClock)
    }

    async fn send(&self, method: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let proof = self.proof(method, Some(&self.nonce()));
        let authorization = format!("DPoP {}", self.token.expose());
        let mut all = vec![
            ("authorization", authorization.as_str()),
            ("dpop", proof.as_str()),
        ];
        all.extend_from_slice(headers);
        send(self.world, method, "/mcp/tools", body, &all).await
    }

    async fn session(&self) -> String {
        let opened = self.send("POST", INITIALIZE, &[]).await;
        assert_eq!(opened.status, 200, "{}", opened.body);
        opened.headers["mcp-session-id"]
            .to_str()
            .unwrap()
            .to_owned()
    }
}

fn claims(world: &World, key: &SigningKey) -> TaskClaims {
    let now = SystemClock.wall().as_secs();
    let task = world.task();
    let spiffe = "test.example"
        .parse::<bailiwick_core::spiffe_id::TrustDomain>()
        .unwrap()
        .instance(&task.agent, INSTANCE);
    TaskClaims {
        iss: ISSUER.to_owned(),
        sub: TaskSubject::User(task.user.clone()),
        aud: RESOURCE.to_owned(),
        client_id: spiffe.to_string(),
        iat: now,
        exp: now + 300,
        jti: TokenId::new(&SystemClock, &SystemRng),
        scope: "tools:read".to_owned(),
        cnf: Some(Confirmation::Key(key.thumbprint().clone())),
        act: Actor {
            sub: spiffe,
            iss: ISSUER.to_owned(),
            sub_profile: Profile::AiAgent,
            act: None,
        },
        may_act: None,
        authorization_details: vec![AgentTask {
            kind: AgentTaskKind::AgentTask,
            task_id: TASK,
            scope_digest: task.scope_digest,
            deadline: now + 3_600,
            depth: 2,
            grants: None,
        }],
        bailiwick: Provenance {
            v: 1,
            epoch: 0,
            seq: 10,
            parents: Vec::new(),
        },
    }
}

async fn send(
    world: &World,
    method: &str,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    let named = |name: &str| headers.iter().any(|(own, _)| *own == name);
    for (name, value) in [
        ("host", "127.0.0.1:8421"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ] {
        if !named(name) {
            request = request.header(name, value);
        }
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .unwrap();
    let (head, body) = world.gateway.handle(request).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: head.status,
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

#[tokio::test]
async fn a_caller_learns_how_to_get_in() {
    let world = World::new().await;
    let nobody = send(&world, "POST", "/mcp/tools", CALL, &[]).await;
    assert_eq!(nobody.status, 401);
    assert!(
        nobody.challenge().starts_with("DPoP algs="),
        "{}",
        nobody.challenge()
    );
    let metadata =
        format!("resource_metadata=\"{URL}/.well-known/oauth-protected-resource/mcp/tools\"");
    assert!(
        nobody
            .headers
            .get_all("www-authenticate")
            .iter()
            .all(|value| value.to_str().unwrap().contains(&metadata)
                && value.to_str().unwrap().contains("scope=\"tools:read\""))
    );
    let document = send(
        &world,
        "GET",
        "/.well-known/oauth-protected-resource/mcp/tools",
        "",
        &[],
    )
    .await
    .json();
    assert_eq!(
        (&document["resource"], &document["authorization_servers"][0]),
        (&json!(RESOURCE), &json!(ISSUER))
    );
    assert_eq!(
        document["scopes_supported"],
        json!(["tools:read", "tools:write", "tools:escalate"])
    );
    // The first proof has no nonce yet; the answer brings one, and with it the same request passes.
    let agent = Agent::new(&world);
    let authorization = format!("DPoP {}", agent.token.expose());
    let first = agent.proof("POST", None);
    let refused = send(
        &world,
        "POST",
        "/mcp/tools",
        INITIALIZE,
        &[("authorization", &authorization), ("dpop", &first)],
    )
    .await;
    assert_eq!(refused.status, 401);
    assert!(refused.challenge().contains("error=\"use_dpop_nonce\""));
    let nonce = refused.headers["dpop-nonce"].to_str().unwrap();
    let second = agent.proof("POST", Some(nonce));
    let headers = [
        ("authorization", authorization.as_str()),
        ("dpop", second.as_str()),
    ];
    assert_eq!(
        send(&world, "POST", "/mcp/tools", INITIALIZE, &headers)
            .await
            .status,
        200
    );
    // A proof is good once.
    let replayed = send(&world, "POST", "/mcp/tools", INITIALIZE, &headers).await;
    assert_eq!(
        (replayed.status.as_u16(), &replayed.json()["code"]),
        (401, &json!("dpop_proof"))
    );
}

#[tokio::test]
async fn tokens_that_do_not_fit_are_refused() {
    let world = World::new().await;
    let agent = Agent::new(&world);
    let bearer = format!("Bearer {}", agent.token.expose());
    let unbound = send(
        &world,
        "POST",
        "/mcp/tools",
        CALL,
        &[("authorization", &bearer)],
    )
    .await;
    assert_eq!(
        (unbound.status.as_u16(), &unbound.json()["code"]),
        (401, &json!("token_unbound"))
    );
    let stranger = Agent {
        world: &world,
        key: SigningKey::generate().unwrap(),
        token: agent.token.clone(),
    };
    assert_eq!(
        stranger.send("POST", CALL, &[]).await.json()["code"],
        "key_mismatch"
    );
    let cases: [(Change, &str); 7] = [
        (
            |claims| claims.aud = format!("{URL}/mcp/other"),
            "token_invalid",
        ),
        (|claims| claims.aud = URL.to_owned(), "token_invalid"),
        (|claims| claims.exp = claims.iat + 1 - 300, "token_expired"),
        (|claims| claims.bailiwick.epoch = 1, "epoch_old"),
        (|claims| claims.bailiwick.seq = 999, "replica_behind"),
        (
            |claims| claims.sub = TaskSubject::User("user:local:mallory".parse().unwrap()),
            "token_invalid",
        ),
        (
            |claims| claims.client_id = "spiffe://test.example/agent/x/y".to_owned(),
            "token_invalid",
        ),
    ];
    for (change, code) in cases {
        let agent = Agent::with(&world, |claims| {
            change(claims);
            claims.iat = claims.iat.min(claims.exp - 1);
        });
        let answer = agent.send("POST", CALL, &[]).await;
        assert_eq!(answer.json()["code"], code, "{}", answer.body);
    }
    assert!(world.tools.journal.borrow().is_empty());
}

#[tokio::test]
async fn host_and_origin_come_before_everything() {
    let world = World::new().await;
    let agent = Agent::new(&world);
    for (name, value, status) in [
        ("host", "evil.example:8421", 421),
        ("host", "127.0.0.1:9999", 421),
        ("host", "127.0.0.1", 421),
        ("origin", "http://evil.example", 403),
        ("origin", "null", 403),
        ("origin", "http://127.0.0.1:8421.evil.example", 403),
    ] {
        let answer = send(&world, "POST", "/mcp/tools", CALL, &[(name, value)]).await;
        assert_eq!(answer.status, status, "{name}: {value}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
    for host in ["localhost:8421", "[::1]:8421"] {
        assert_eq!(
            agent
                .send("POST", INITIALIZE, &[("host", host)])
                .await
                .status,
            200
        );
    }
    assert_eq!(
        agent
            .send("POST", INITIALIZE, &[("origin", URL)])
            .await
            .headers["access-control-allow-origin"],
        URL
    );
}

#[tokio::test]
async fn a_session_belongs_to_its_caller_alone() {
    let world = World::new().await;
    let (agent, other) = (Agent::new(&world), Agent::new(&world));
    let session = agent.session().await;
    let named = [
        ("mcp-session-id", session.as_str()),
        ("mcp-protocol-version", "2025-11-25"),
    ];
    assert_eq!(
        agent.send("POST", CALL, &named).await.json()["result"]["content"][0]["text"],
        "done"
    );
    // Another key, though of the same task and process: as if there were no such session.
    for method in ["POST", "GET", "DELETE"] {
        assert_eq!(
            other.send(method, CALL, &named).await.status,
            404,
            "{method}"
        );
    }
    // The server's own session id stays here, and ours does not go there.
    let sent = world.tools.calls().pop().unwrap();
    assert_eq!(sent.headers["mcp-session-id"], "upstream-session");
    assert!(!sent.headers.contains_key("dpop"));
    assert_eq!(
        agent
            .send("POST", CALL, &[("mcp-session-id", "00")])
            .await
            .status,
        404
    );
    assert_eq!(agent.send("POST", CALL, &[]).await.status, 400);
    let wrong = [named[0], ("mcp-protocol-version", "2025-06-18")];
    assert_eq!(
        agent.send("POST", CALL, &wrong).await.json()["error"]["code"],
        -32_020
    );
    // The server has no standing stream, so neither has the session.
    assert_eq!(agent.send("GET", "", &named).await.status, 405);
    assert_eq!(agent.send("DELETE", "", &named).await.status, 204);
    assert_eq!(agent.send("POST", CALL, &named).await.status, 404);
}

#[tokio::test]
async fn what_comes_before_the_answer_makes_a_stream() {
    let world = World::new().await;
    let agent = Agent::new(&world);
    let session = agent.session().await;
    let call = CALL.replace("\"get\"", "\"ask\"");
    let answer = agent
        .send("POST", &call, &[("mcp-session-id", &session)])
        .await;
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let events: Vec<&str> = answer
        .body
        .split("\n\n")
        .filter(|event| !event.is_empty())
        .collect();
    assert_eq!(events.len(), 2, "{}", answer.body);
    assert!(events[0].contains("notifications/message") && events[1].contains("\"done\""));
    // No event ids: a cut stream is not resumed behind our back.
    assert!(!answer.body.contains("id: "));
}

#[tokio::test]
async fn malformed_bodies_and_lying_headers_are_refused() {
    let world = World::new().await;
    let agent = Agent::new(&world);
    let broken = agent.send("POST", "{\"jsonrpc\":", &[]).await;
    assert_eq!(
        (broken.status.as_u16(), &broken.json()["error"]["code"]),
        (400, &json!(-32_700))
    );
    assert_eq!(broken.json()["error"]["data"]["code"], "envelope_invalid");
    let batch = agent.send("POST", &format!("[{CALL}]"), &[]).await;
    assert_eq!(
        (batch.status.as_u16(), &batch.json()["error"]["code"]),
        (400, &json!(-32_600))
    );
    let lie = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "put"),
    ];
    let modern = CALL.replace(
        "\"arguments\"",
        r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"},"arguments""#,
    );
    let answer = agent.send("POST", &modern, &lie).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["error"]["code"]),
        (400, &json!(-32_020))
    );
    // What its body lacks is no header's fault.
    let unnamed = agent.send("POST", CALL, &lie).await;
    assert_eq!(
        (unnamed.status.as_u16(), &unnamed.json()["error"]["code"]),
        (400, &json!(-32_602))
    );
    let later = modern.replace("2026-07-28", "2031-01-01");
    let versions = [("mcp-protocol-version", "2031-01-01"), lie[1]];
    let answer = agent.send("POST", &later, &versions).await;
    let error = &answer.json()["error"];
    assert_eq!(
        (answer.status.as_u16(), &error["code"]),
        (400, &json!(-32_022))
    );
    assert_eq!(error["data"]["requested"], "2031-01-01");
    assert_eq!(error["data"]["supported"], json!(["2026-07-28"]));
    let gone = modern.replace("tools/call", "resources/subscribe");
    let subscribes = [lie[0], ("mcp-method", "resources/subscribe")];
    let answer = agent.send("POST", &gone, &subscribes).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["error"]["code"]),
        (404, &json!(-32_601))
    );
    let truth = [lie[0], lie[1], ("mcp-name", "get")];
    assert_eq!(
        agent.send("POST", &modern, &truth).await.json()["result"]["content"][0]["text"],
        "done"
    );
    let large = format!("{}{CALL}", " ".repeat(4 << 20));
    assert_eq!(agent.send("POST", &large, &[]).await.status, 413);
    assert_eq!(
        agent
            .send("POST", CALL, &[("content-type", "text/plain")])
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn a_probe_is_answered_as_the_server_answers_it() {
    let world = World::new().await;
    let agent = Agent::new(&world);
    let probe = r#"{"jsonrpc":"2.0","id":0,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    let headers = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "server/discover"),
    ];
    assert_eq!(
        agent.send("POST", probe, &headers).await.json()["error"]["code"],
        -32_601
    );
    agent.session().await;
    assert_eq!(
        world.gateway.sessions.len(),
        1,
        "the handshake goes on with the probed session"
    );
}

#[tokio::test]
async fn a_fenced_caller_is_told_so_and_its_session_is_gone() {
    let world = World::new().await;
    let agent = Agent::new(&world);
    let session = agent.session().await;
    world.commit(ChangeBody::Fence(
        world.fence(Subject::Agent("coder".parse().unwrap())),
    ));
    for method in ["POST", "GET", "DELETE"] {
        let answer = agent
            .send(method, CALL, &[("mcp-session-id", &session)])
            .await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["code"]),
            (401, &json!("revoked")),
            "{method}"
        );
        assert!(answer.challenge().contains("invalid_token"));
    }
    world
        .gateway
        .sessions
        .sweep(SystemClock.monotonic() + Duration::from_secs(1));
    assert_eq!(world.gateway.sessions.len(), 0);
    assert!(world.tools.calls().is_empty());
}

#[tokio::test]
async fn a_remembered_signature_is_no_remembered_token() {
    let world = World::new().await;
    let agent = Agent::new(&world);
    let session = agent.session().await;
    let headers = [("mcp-session-id", session.as_str())];
    assert_eq!(agent.send("POST", CALL, &headers).await.status, 200);
    // The key that signed it is withdrawn, and then it is back.
    let keys = |key: &SigningKey| ChangeBody::TokenKeys(json!({ "keys": [key.jwk()] }).to_string());
    world.commit(keys(&SigningKey::generate().unwrap()));
    assert_eq!(agent.send("POST", CALL, &headers).await.status, 401);
    world.commit(keys(&world.signer));
    assert_eq!(agent.send("POST", CALL, &headers).await.status, 200);
    // What it names is looked at each time.
    world.commit(ChangeBody::Fence(world.fence(Subject::Task(TASK))));
    assert_eq!(agent.send("POST", CALL, &headers).await.status, 401);
}
