//! Messages that no careful party sends: each is refused with a code, a reason and what to do, nothing reaches the tool server, and
//! the session goes on.

use serde_json::{Value, json};

use crate::harness::World;
use crate::harness::http::Response;

/// The error of a refused message.
fn error(response: Response) -> (u16, Value) {
    let status = response.status;
    let mut message = response.json();
    // Refused before there was a message: a problem document. After: a JSON-RPC error.
    let mut error = message["error"].take();
    if error.is_null() {
        return (status, message);
    }
    let mut data = error["data"].take();
    data["message"] = error["message"].take();
    data["rpc"] = error["code"].take();
    (status, data)
}

fn check(case: &str, (status, error): &(u16, Value), expected: (u16, &str, i64)) {
    let (expected_status, code, rpc) = expected;
    assert_eq!(
        (*status, &error["code"]),
        (expected_status, &json!(code)),
        "{case}: {error}"
    );
    if rpc != 0 {
        assert_eq!(error["rpc"], json!(rpc), "{case}: {error}");
    }
    for member in ["message", "help"] {
        assert!(
            error[member].as_str().is_some_and(|text| text.len() > 3),
            "{case}: no {member}: {error}"
        );
    }
}

#[test]
fn messages_that_two_parsers_could_read_differently_go_nowhere() {
    let world = World::start();
    let (_, client) = world.session();
    let call = |arguments: &str| client.call_text("read_file", arguments);
    let plan = r#"{"path":"notes/plan.md"}"#;
    let cases: Vec<(&str, Vec<u8>, i64)> = vec![
        (
            "cut off",
            br#"{"jsonrpc":"2.0","id":1,"method":"#.to_vec(),
            -32_700,
        ),
        ("nothing", b" ".to_vec(), -32_700),
        ("not JSON", b"tools/call".to_vec(), -32_700),
        (
            "something after it",
            format!("{} {{}}", call(plan)).into_bytes(),
            -32_700,
        ),
        (
            "duplicate member",
            call(plan)
                .replace(r#""id":"#, r#""id":1,"id":"#)
                .into_bytes(),
            -32_700,
        ),
        (
            "duplicate argument",
            call(r#"{"path":"notes/plan.md","path":"secrets/prod.env"}"#).into_bytes(),
            -32_700,
        ),
        (
            "the same key in escapes",
            call(r#"{"path":"notes/plan.md","pat\u0068":"secrets/prod.env"}"#).into_bytes(),
            -32_700,
        ),
        (
            "duplicate far inside",
            call(r#"{"path":"notes/plan.md","more":[{"a":{"b":1,"b":2}}]}"#).into_bytes(),
            -32_700,
        ),
        (
            "the same key in another case",
            call(r#"{"path":"notes/plan.md","Path":"secrets/prod.env"}"#).into_bytes(),
            -32_700,
        ),
        (
            "half a surrogate",
            call(r#"{"path":"\ud800"}"#).into_bytes(),
            -32_700,
        ),
        (
            "not UTF-8",
            [call(plan).as_bytes(), b"\xff"].concat(),
            -32_700,
        ),
        (
            "a byte order mark",
            [b"\xef\xbb\xbf", call(plan).as_bytes()].concat(),
            -32_700,
        ),
        (
            "too deep",
            call(&format!("{}1{}", r#"{"a":"#.repeat(80), "}".repeat(80))).into_bytes(),
            -32_600,
        ),
        ("a batch", format!("[{}]", call(plan)).into_bytes(), -32_600),
        (
            "another version",
            call(plan).replace(r#""2.0""#, r#""1.0""#).into_bytes(),
            -32_600,
        ),
        (
            "request and answer at once",
            call(plan)
                .replace(r#""params""#, r#""result":{},"params""#)
                .into_bytes(),
            -32_600,
        ),
        (
            "an id that is a fraction",
            call(plan)
                .replacen(r#""id":"#, r#""id":0."#, 1)
                .into_bytes(),
            -32_600,
        ),
    ];
    for (case, body, rpc) in cases {
        check(
            case,
            &error(client.post(&body)),
            (400, "envelope_invalid", rpc),
        );
        assert_eq!(world.tools.calls(), 0, "{case} was forwarded");
    }
    assert!(client.ok("read_file", plan).starts_with("# Plan"));
    assert_eq!(world.tools.ran("read_file"), [plan]);
}

#[test]
fn calls_of_the_wrong_form_go_nowhere() {
    let world = World::start();
    let (_, client) = world.session();
    let cases = [
        ("an unknown tool", "drop_table", "{}", "tool_unknown"),
        ("a name that is none", "../read_file", "{}", "tool_unknown"),
        (
            "arguments that are a list",
            "read_file",
            "[]",
            "envelope_invalid",
        ),
        (
            "arguments that are text",
            "read_file",
            r#""notes/plan.md""#,
            "envelope_invalid",
        ),
    ];
    for (case, tool, arguments, code) in cases {
        check(
            case,
            &error(client.start_call(tool, arguments)),
            (200, code, -32_602),
        );
    }
    for (case, arguments) in [
        ("an argument is missing", "{}"),
        ("an argument of another type", r#"{"path":7}"#),
        (
            "an argument that nobody reviewed",
            r#"{"path":"notes/plan.md","as_root":true}"#,
        ),
    ] {
        let decision = client.refused("read_file", arguments);
        assert_eq!(decision["code"], "arguments_invalid", "{case}: {decision}");
        assert!(
            !decision["help"].as_str().unwrap().is_empty(),
            "{case}: {decision}"
        );
    }
    let body = br#"{"jsonrpc":"2.0","id":"r","method":"resources/read","params":{"uri":"file:///etc/passwd"}}"#;
    check(
        "a resource that no policy permits",
        &error(client.post(body)),
        (200, "no_permit", 7_000),
    );
    assert_eq!(world.tools.calls(), 0);
    client.ok("list_files", "{}");
}

#[test]
fn bodies_over_the_bound_are_refused_unread() {
    let world = World::start();
    let (_, client) = world.session();
    let big = client.call_text(
        "write_file",
        &json!({ "path": "big", "content": "x".repeat(5 << 20) }).to_string(),
    );
    check(
        "5 MiB",
        &error(client.post(big.as_bytes())),
        (413, "too_large", 0),
    );
    assert_eq!(world.tools.calls(), 0);
    client.ok("list_files", "{}");
    // Within the bound it passes, whole.
    let content = "y".repeat(32 << 10);
    client.ok(
        "write_file",
        &json!({ "path": "big", "content": content }).to_string(),
    );
    assert!(world.tools.ran("write_file")[0].contains(&content));
}

#[test]
fn requests_that_are_not_what_they_say_go_nowhere() {
    let world = World::start();
    let (_, client) = world.session();
    let url = world.agent.resource("workspace");
    let authorization = format!("DPoP {}", client.token);
    let call = client.call_text("list_files", "{}");
    let send = |changes: &[(&str, &str)], body: &str| {
        let proof = world
            .agent
            .proof("POST", &url, Some(&client.token), client.nonce().as_deref());
        let mut headers = vec![
            ("Authorization", authorization.as_str()),
            ("DPoP", proof.as_str()),
            ("Accept", "application/json, text/event-stream"),
        ];
        headers.extend(changes);
        error(
            world
                .agent
                .send("workspace", "POST", &headers, Some(body.as_bytes())),
        )
    };
    let json_type = ("Content-Type", "application/json");
    check(
        "a form",
        &send(
            &[("Content-Type", "application/x-www-form-urlencoded")],
            &call,
        ),
        (400, "invalid_input", 0),
    );
    check(
        "no session",
        &send(&[json_type], &call),
        (400, "invalid_input", 0),
    );
    let invented = ("Mcp-Session-Id", "00000000000000000000000000000000");
    check(
        "a session that is not its own",
        &send(&[json_type, invented], &call),
        (404, "session_unknown", 0),
    );
    let origin = ("Origin", "https://evil.example");
    check(
        "a page of another site",
        &send(&[json_type, origin], &call),
        (403, "origin_refused", 0),
    );
    let modern = call.replace(
        r#""_meta":{"#,
        r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"#,
    );
    let lies = [
        json_type,
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/list"),
        ("Mcp-Name", "list_files"),
    ];
    check(
        "a header that lies",
        &send(&lies, &modern),
        (400, "header_mismatch", -32_020),
    );
    assert_eq!(world.tools.calls(), 0);
    client.ok("list_files", "{}");
}

#[test]
fn the_api_says_what_is_wrong_with_a_request() {
    let world = World::start();
    let node = &world.node;
    let cases: [(&str, &str, &str, u16, &str); 8] = [
        (
            "POST",
            "/v1/tasks",
            r#"{"agent":"tester","#,
            400,
            "invalid_input",
        ),
        (
            "POST",
            "/v1/tasks",
            r#"{"agent":"tester","user":"user:local:a","request":"x","scoop":{}}"#,
            400,
            "invalid_input",
        ),
        (
            "POST",
            "/v1/tasks",
            r#"{"agent":"nobody","user":"user:local:a","request":"x","scope":{"grants":[]}}"#,
            404,
            "not_found",
        ),
        (
            "POST",
            "/v1/agents",
            r#"{"name":"UPPER","owner":"o","selectors":["unix:uid=1"]}"#,
            400,
            "invalid_input",
        ),
        (
            "POST",
            "/v1/servers",
            r#"{"name":"x","transport":{"kind":"http","url":"ftp://x"}}"#,
            400,
            "invalid_input",
        ),
        (
            "GET",
            "/v1/tasks/task_00000000000000000000000000",
            "",
            404,
            "not_found",
        ),
        ("GET", "/v1/nothing", "", 404, "not_found"),
        ("DELETE", "/v1/agents", "", 405, "method_not_allowed"),
    ];
    for (method, path, body, status, code) in cases {
        let body = (!body.is_empty()).then_some(body.as_bytes());
        let response = node.request(method, path, body);
        let (got, problem) = (response.status, response.json());
        assert_eq!(
            (got, &problem["code"]),
            (status, &json!(code)),
            "{method} {path}: {problem}"
        );
        assert!(
            !problem["message"].as_str().unwrap().is_empty(),
            "{problem}"
        );
        assert!(
            problem["request_id"].as_str().unwrap().starts_with("req_"),
            "{problem}"
        );
    }
    assert_eq!(node.items("/v1/agents").len(), 1);
    assert!(node.items("/v1/tasks").is_empty());
}
