//! Questions of servers from outside: what reaches the client, what the server hears, and that nothing gets round the decision.

use bailiwick_core::approval::ApprovalState;
use bailiwick_core::event::EventType;
use serde_json::{Value, json};

use super::form::wants_secret;
use crate::testing::{Pipe, World};

const MODERN: &str = "2026-07-28";

fn all() -> Value {
    json!({ "sampling": {}, "elicitation": { "form": {}, "url": {} }, "roots": {}, "tasks": {}, "experimental": {} })
}

fn message(id: &str, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

fn interview(id: &str, path: &str) -> String {
    message(
        id,
        "tools/call",
        &json!({ "name": "interview", "arguments": { "path": path } }),
    )
}

/// A call in the revision without handshake, with what else its params have.
fn modern(id: &str, (tool, path): (&str, &str), capabilities: &Value, more: &Value) -> String {
    let mut params = json!({
        "name": tool,
        "arguments": { "path": path },
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        },
    });
    let more = more.as_object().unwrap().clone();
    params.as_object_mut().unwrap().extend(more);
    message(id, "tools/call", &params)
}

async fn shake(pipe: &mut Pipe, capabilities: &Value) {
    let params =
        json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {} });
    let answer = pipe.ask(&message("i", "initialize", &params)).await;
    assert!(answer["result"].is_object(), "{answer}");
}

/// What the server was sent last of this method.
fn sent(world: &World, method: &str) -> Value {
    let journal = world.tools.journal.borrow().clone();
    let last = journal
        .iter()
        .rev()
        .find(|received| received.method() == method);
    serde_json::from_slice(&last.unwrap().body).unwrap()
}

fn text(answer: &Value) -> Value {
    let text = answer["result"]["content"][0]["text"].as_str();
    serde_json::from_str(text.unwrap_or_else(|| panic!("{answer}"))).unwrap()
}

fn code(answer: &Value) -> &str {
    let decision = &answer["result"]["_meta"]["bailiwick/decision"];
    decision["code"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn questions_are_withheld_and_refused_where_nobody_permits_them() {
    let world = World::new().await;
    let mut pipe = Pipe::open(&world);
    shake(&mut pipe, &all()).await;
    let offered = &sent(&world, "initialize")["params"]["capabilities"];
    assert_eq!(*offered, json!({ "roots": {}, "experimental": {} }));
    for (id, path) in [
        ("1", "model"),
        ("2", "form"),
        ("3", "url"),
        ("4", "password"),
    ] {
        // The server asks all the same, and hears why not; the client sees the result alone.
        let answer = pipe.ask(&interview(id, path)).await;
        assert_eq!(
            text(&answer)["error"]["data"]["code"],
            "ask_refused",
            "{answer}"
        );
        world.tools.journal.send_modify(Vec::clear);
    }
    assert_eq!(world.recorder.operations(EventType::ToolRefused).len(), 4);
    assert!(!world.recorder.kinds().contains(&EventType::ToolAsked));
}

#[tokio::test]
async fn what_is_permitted_reaches_the_client_and_its_answer_the_server() {
    let world = World::new().await;
    world.label("asks");
    let mut pipe = Pipe::open(&world);
    shake(&mut pipe, &all()).await;
    let mut offered = all();
    offered.as_object_mut().unwrap().remove("tasks");
    assert_eq!(
        sent(&world, "initialize")["params"]["capabilities"],
        offered
    );
    let question = pipe.ask(&interview("1", "form")).await;
    assert_eq!(
        (&question["id"], &question["method"]),
        (&json!("q1"), &json!("elicitation/create"))
    );
    // Nobody waits for these.
    pipe.send(r#"{"jsonrpc":"2.0","id":"q2","result":{"action":"accept"}}"#)
        .await;
    let mut other = Pipe::open(&world);
    other
        .send(r#"{"jsonrpc":"2.0","id":"q1","result":{"action":"stolen"}}"#)
        .await;
    assert_eq!(
        other
            .ask(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)
            .await["id"],
        1
    );
    let said =
        r#"{"jsonrpc":"2.0","id":"q1","result":{"action":"accept","content":{"name":"Ada"}}}"#;
    pipe.send(said).await;
    let answer = pipe.next().await;
    assert_eq!(text(&answer), serde_json::from_str::<Value>(said).unwrap());
    assert_eq!(
        world.recorder.kinds(),
        [
            EventType::ToolIntent,
            EventType::ToolAsked,
            EventType::ToolAnswered,
            EventType::ToolResult
        ]
    );
    // An answer counts once.
    pipe.send(&said.replace("Ada", "Eve")).await;
    pipe.ask(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#)
        .await;
    let journal = world.tools.journal.borrow().clone();
    assert!(
        journal
            .iter()
            .all(|received| !received.body.windows(3).any(|bytes| bytes == b"Eve"))
    );
    assert_eq!(world.recorder.operations(EventType::ToolAnswered).len(), 1);
}

/// Sampling that the client never offered is no way out for what a server knows.
#[tokio::test]
async fn sampling_exfiltration() {
    let world = World::new().await;
    world.label("asks");
    let mut pipe = Pipe::open(&world);
    shake(&mut pipe, &json!({ "elicitation": {} })).await;
    for (id, path) in [("1", "model"), ("2", "url")] {
        let answer = pipe.ask(&interview(id, path)).await;
        assert_eq!(
            text(&answer)["error"]["data"]["code"],
            "ask_refused",
            "{answer}"
        );
        world.tools.journal.send_modify(Vec::clear);
    }
}

#[tokio::test]
async fn password_form() {
    let world = World::new().await;
    world.label("asks");
    let mut pipe = Pipe::open(&world);
    shake(&mut pipe, &all()).await;
    let answer = pipe.ask(&interview("1", "password")).await;
    assert_eq!(
        text(&answer)["error"]["data"]["code"],
        "ask_refused",
        "{answer}"
    );
    let asks = |schema: Value| {
        let params = json!({ "message": "", "requestedSchema": schema }).to_string();
        let limits = bailiwick_core::json::Limits::ENVELOPE;
        wants_secret(&bailiwick_core::json::check(params.as_bytes(), &limits).unwrap())
    };
    for field in [
        json!({ "api_key": {} }),
        json!({ "x": { "title": "Your API key" } }),
        json!({ "x": { "description": "The credit-card number" } }),
        json!({ "x": { "format": "password" } }),
        json!({ "CVV": {} }),
        json!({ "PASSWORD": {} }),
        json!({ "x": { "title": "OTP" } }),
    ] {
        assert!(asks(json!({ "properties": field })), "{field}");
    }
    for field in [
        json!({ "name": {} }),
        json!({ "adopted": {} }),
        json!({ "x": { "title": "E-mail", "format": "email" } }),
    ] {
        assert!(!asks(json!({ "properties": field })), "{field}");
    }
    // What cannot be read is not shown.
    assert!(asks(json!({})));
}

#[tokio::test]
async fn a_server_hears_of_directories_within_scope_alone() {
    let world = World::new().await;
    let mut pipe = Pipe::open(&world);
    shake(&mut pipe, &all()).await;
    let question = pipe.ask(&interview("1", "roots")).await;
    assert_eq!(question["method"], "roots/list", "{question}");
    let roots = json!([{ "uri": "docs://r" }, { "uri": "file:///home" }, { "uri": "secret://s" }]);
    pipe.send(&json!({ "jsonrpc": "2.0", "id": "q1", "result": { "roots": roots } }).to_string())
        .await;
    let heard = text(&pipe.next().await);
    assert_eq!(heard["result"]["roots"], json!([{ "uri": "docs://r" }]));
}

#[tokio::test]
async fn an_answer_that_asks_is_decided_before_it_is_shown() {
    let world = World::new().await;
    let mut pipe = Pipe::open(&world);
    let none = json!({});
    for (id, path) in [("1", "form"), ("2", "model"), ("3", "error")] {
        let answer = pipe
            .ask(&modern(id, ("interview", path), &all(), &none))
            .await;
        assert_eq!(code(&answer), "ask_refused", "{path} {answer}");
    }
    let meta = &sent(&world, "tools/call")["params"]["_meta"];
    assert_eq!(
        meta["io.modelcontextprotocol/clientCapabilities"],
        json!({ "roots": {}, "experimental": {} })
    );
    world.label("asks");
    let asked = pipe
        .ask(&modern("4", ("interview", "form"), &all(), &none))
        .await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let password = pipe
        .ask(&modern("5", ("interview", "password"), &all(), &none))
        .await;
    assert_eq!(code(&password), "ask_refused");
    // Another kind than the client offers.
    let unoffered = pipe
        .ask(&modern(
            "6",
            ("interview", "form"),
            &json!({ "sampling": {} }),
            &none,
        ))
        .await;
    assert_eq!(code(&unoffered), "ask_refused");
    let said =
        json!({ "requestState": "state-1", "inputResponses": { "q": { "action": "accept" } } });
    let done = pipe
        .ask(&modern("7", ("interview", "form"), &all(), &said))
        .await;
    assert_eq!(text(&done), said["inputResponses"]);
}

#[tokio::test]
async fn request_state_forged() {
    let world = World::with(json!({ "calls": 2 })).await;
    world.label("asks");
    let mut pipe = Pipe::open(&world);
    pipe.ask(&modern("1", ("interview", "form"), &all(), &json!({})))
        .await;
    let with = |state: &str| json!({ "requestState": state, "inputResponses": { "q": { "action": "accept" } } });
    let forged = pipe
        .ask(&modern(
            "2",
            ("interview", "form"),
            &all(),
            &with("state-2"),
        ))
        .await;
    assert_eq!(forged["error"]["code"], -32_602, "{forged}");
    // The state of one call is none of another, nor of another session.
    let other = pipe
        .ask(&modern(
            "3",
            ("interview", "model"),
            &all(),
            &with("state-1"),
        ))
        .await;
    assert_eq!(other["error"]["code"], -32_602, "{other}");
    let stranger = Pipe::open(&world)
        .ask(&modern(
            "4",
            ("interview", "form"),
            &all(),
            &with("state-1"),
        ))
        .await;
    assert_eq!(stranger["error"]["code"], -32_602, "{stranger}");
    // Both rounds are one call of the budget; going on from the same state again is another, and then the budget is used up.
    for (id, refused) in [("5", None), ("6", None), ("7", Some("budget_exhausted"))] {
        let answer = pipe
            .ask(&modern(id, ("interview", "form"), &all(), &with("state-1")))
            .await;
        let decision = &answer["result"]["_meta"]["bailiwick/decision"]["code"];
        assert_eq!(decision.as_str(), refused, "{id} {answer}");
    }
}

#[tokio::test]
async fn a_step_up_asks_the_clients_user_to_go_and_see() {
    let world = World::new().await;
    let mut pipe = Pipe::open(&world);
    let put = |id: &str, said: &Value| modern(id, ("put", "docs/x"), &all(), said);
    let asked = pipe.ask(&put("1", &json!({}))).await;
    let question = &asked["result"]["inputRequests"]["bailiwick.approval"];
    assert_eq!(question["params"]["mode"], "url", "{asked}");
    let declined = json!({ "inputResponses": { "bailiwick.approval": { "action": "decline" } } });
    assert_eq!(
        code(&pipe.ask(&put("2", &declined)).await),
        "approval_required"
    );
    world.approver.answer(ApprovalState::Approved).await;
    let went = json!({ "inputResponses": { "bailiwick.approval": { "action": "accept" } } });
    let done = pipe.ask(&put("3", &went)).await;
    assert_eq!(done["result"]["content"][0]["text"], "done", "{done}");
    // Our question is no business of the server.
    let params = &sent(&world, "tools/call")["params"];
    assert!(params.get("inputResponses").is_none(), "{params}");
    assert_eq!(world.tools.calls().len(), 1);
}

#[tokio::test]
async fn a_step_up_asks_on_the_calls_stream_where_there_is_a_handshake() {
    let world = World::new().await;
    let mut pipe = Pipe::open(&world);
    shake(&mut pipe, &all()).await;
    let put = |id: &str| message(id, "tools/call", &json!({ "name": "put", "arguments": {} }));
    let question = pipe.ask(&put("1")).await;
    assert_eq!(
        (&question["method"], &question["params"]["mode"]),
        (&json!("elicitation/create"), &json!("url"))
    );
    let answer = |question: &Value, action: &str| {
        json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": action } })
            .to_string()
    };
    assert_eq!(
        code(&pipe.ask(&answer(&question, "cancel")).await),
        "approval_required"
    );
    let question = pipe.ask(&put("2")).await;
    pipe.send(&answer(&question, "accept")).await;
    world.approver.answer(ApprovalState::Approved).await;
    let complete = pipe.next().await;
    assert_eq!(
        complete["method"], "notifications/elicitation/complete",
        "{complete}"
    );
    assert_eq!(
        complete["params"]["elicitationId"],
        question["params"]["elicitationId"]
    );
    assert_eq!(pipe.next().await["result"]["content"][0]["text"], "done");
}
