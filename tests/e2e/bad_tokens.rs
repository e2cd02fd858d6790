//! Credentials that are not good here: expired, foreign, for another server, unbound, replayed. Each is told what is wrong with it and
//! reaches nothing.

use bailiwick_crypto::jose;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::http::{self, Place, Response};
use crate::harness::node::{bailiwick, run};
use crate::harness::world::{add_workspace, open_task};
use crate::harness::{Agent, Mcp, Node, Setup, World};

const LIST: &str = r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"list_files","arguments":{}}}"#;

/// A refusal at the gateway's door: status, body, challenge.
fn refusal(response: Response) -> (u16, Value, String) {
    let (status, challenge) = (response.status, response.headers("www-authenticate"));
    (status, response.json(), challenge)
}

fn check(case: &str, response: Response, code: &str) {
    let (status, body, challenge) = refusal(response);
    assert_eq!(
        (status, &body["code"]),
        (401, &json!(code)),
        "{case}: {body}"
    );
    assert!(
        body["error_description"]
            .as_str()
            .is_some_and(|text| text.len() > 8),
        "{case}: {body}"
    );
    assert!(
        body["help"].as_str().is_some_and(|text| text.len() > 8),
        "{case}: no help: {body}"
    );
    assert!(
        challenge.contains("resource_metadata=") && challenge.contains("DPoP"),
        "{case}: {challenge}"
    );
}

/// The payload of a token.
pub(crate) fn payload(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[test]
fn a_token_works_only_as_it_was_issued() {
    let world = World::start();
    let (_, client) = world.session();
    let agent = &world.agent;
    let url = agent.resource("workspace");
    let nonce = client.nonce();
    let proof = |token: &str| agent.proof("POST", &url, Some(token), nonce.as_deref());
    let send =
        |token: &str| client.post_with(LIST.as_bytes(), &format!("DPoP {token}"), &proof(token));

    let bare = agent.send(
        "workspace",
        "POST",
        &[("Content-Type", "application/json")],
        Some(LIST.as_bytes()),
    );
    check("no token", bare, "not_signed_in");
    let bearer = client.post_with(
        LIST.as_bytes(),
        &format!("Bearer {}", client.token),
        &proof(&client.token),
    );
    check("a bound token as bearer", bearer, "token_unbound");
    check("no token at all", send("abc"), "token_invalid");
    check(
        "a JWT-SVID as token",
        send(&agent.jwt_svid(&url)),
        "token_class",
    );

    // The same claims, signed by somebody else.
    let claims = payload(&client.token);
    let forged = jose::sign(&agent.key, Some("at+jwt"), &claims).unwrap();
    check("a token of another issuer", send(&forged), "token_invalid");
    // Other claims, under the old signature.
    let mut wider = claims.clone();
    wider["exp"] = json!(claims["exp"].as_i64().unwrap() + 3_600);
    let parts: Vec<&str> = client.token.split('.').collect();
    let wider = [
        parts[0],
        &URL_SAFE_NO_PAD.encode(wider.to_string()),
        parts[2],
    ]
    .join(".");
    check("claims that were changed", send(&wider), "token_invalid");

    // Nothing of this was forwarded; the refusals are on record; the true token still works.
    assert_eq!(world.tools.calls(), 0);
    let refused = world
        .node
        .events()
        .into_iter()
        .filter(|event| event["type"] == "caller.refused");
    assert!(refused.count() >= 4, "refused callers are not on record");
    client.ok("list_files", "{}");
}

#[test]
fn an_agent_gets_nothing_from_the_admin_socket() {
    let node = Node::start();
    let admin = Place::Unix(node.ready("admin_socket").into());
    let ask = || http::send(&admin, "GET", "/v1/agents", &[], None).unwrap();
    assert_eq!(ask().status, 200);
    let agent = Agent::register(&node);
    agent.jwt_svid("https://service.example");
    // The same process, the same user; but now it is known what it is. Nor does it help to start another.
    let (status, refused) = (ask().expect(403).status, ask().json());
    assert_eq!(
        (status, &refused["code"]),
        (403, &json!("peer_is_agent")),
        "{refused}"
    );
    let mut child = bailiwick(&["agent", "list", "--output", "json"]);
    let ran = run(child.env("BAILIWICK_NODE", node.ready("admin_socket")), "");
    assert_eq!(
        (ran.code, &ran.problem()["code"]),
        (Some(5), &json!("peer_is_agent")),
        "{ran:?}"
    );
}

#[test]
fn a_token_of_one_server_is_worth_nothing_at_another() {
    let world = World::start();
    let node = &world.node;
    let other = json!({
        "name": "twin",
        "transport": { "kind": "http", "url": world.tools.url() },
        "credential": "workspace-token",
    });
    crate::harness::world::add_server(node, &other, |_| "read");
    let task = open_task(node, "tester", "*", "everything");
    let client = Mcp::open(&world.agent, "workspace", &task);
    let url = world.agent.resource("twin");
    let proof = world
        .agent
        .proof("POST", &url, Some(&client.token), client.nonce().as_deref());
    let headers = [
        ("Authorization", format!("DPoP {}", client.token)),
        ("DPoP", proof),
        ("Content-Type", "application/json".to_owned()),
    ];
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let response = world
        .agent
        .send("twin", "POST", &headers, Some(LIST.as_bytes()));
    check("another audience", response, "token_invalid");
    assert_eq!(world.tools.calls(), 0);
    // With a token of its own the call is heard there, and no policy permits it.
    let own = Mcp::open(&world.agent, "twin", &task);
    assert_eq!(own.refused("list_files", "{}")["code"], "no_permit");
    client.ok("list_files", "{}");
}

#[test]
fn a_token_of_another_node_is_foreign() {
    let world = World::start();
    let elsewhere = Node::start();
    let visitor = Agent::register(&elsewhere);
    add_workspace(&elsewhere, &world.tools);
    let task = open_task(&elsewhere, "tester", "workspace", "look around");
    let token = visitor.token(&task, "workspace").unwrap();

    let (_, client) = world.session();
    let url = world.agent.resource("workspace");
    let proof = visitor.proof("POST", &url, Some(&token), client.nonce().as_deref());
    let response = client.post_with(LIST.as_bytes(), &format!("DPoP {token}"), &proof);
    check("a token of another node", response, "token_invalid");
    assert_eq!(world.tools.calls(), 0);

    // Its SVIDs are foreign at the token endpoint too.
    let foreign = visitor.jwt_svid(world.node.ready("console"));
    let task = world.task();
    let (status, refused) = world.agent.token_for(&foreign, &task, &url).unwrap_err();
    assert_eq!(
        (status, &refused["error"]),
        (401, &json!("invalid_client")),
        "{refused}"
    );
    assert_eq!(refused["code"], "token_invalid", "{refused}");
}

#[test]
fn a_proof_is_good_for_one_request_of_one_key() {
    let world = World::start();
    let (_, client) = world.session();
    let agent = &world.agent;
    let url = agent.resource("workspace");
    let nonce = client.nonce();
    let authorization = format!("DPoP {}", client.token);
    let send = |proof: &str| client.post_with(LIST.as_bytes(), &authorization, proof);

    let proof = agent.proof("POST", &url, Some(&client.token), nonce.as_deref());
    send(&proof).expect(200).text();
    assert_eq!(world.tools.calls(), 1);
    check("a proof that was used", send(&proof), "dpop_proof");

    check(
        "no nonce",
        send(&agent.proof("POST", &url, Some(&client.token), None)),
        "dpop_nonce",
    );
    check(
        "an invented nonce",
        send(&agent.proof("POST", &url, Some(&client.token), Some("bm9uY2U"))),
        "dpop_nonce",
    );
    check(
        "for another method",
        send(&agent.proof("GET", &url, Some(&client.token), nonce.as_deref())),
        "dpop_proof",
    );
    let elsewhere = agent.resource("twin");
    check(
        "for another URL",
        send(&agent.proof("POST", &elsewhere, Some(&client.token), nonce.as_deref())),
        "dpop_proof",
    );
    check(
        "for no token",
        send(&agent.proof("POST", &url, None, nonce.as_deref())),
        "dpop_proof",
    );
    check("not a proof", send("e30.e30.e30"), "dpop_proof");
    let thief = Agent::of(&world.node);
    check(
        "with another key",
        send(&thief.proof("POST", &url, Some(&client.token), nonce.as_deref())),
        "key_mismatch",
    );
    assert_eq!(world.tools.calls(), 1, "a refused request was forwarded");
}

#[test]
fn a_token_ends_and_so_does_its_stream() {
    let world = World::with(&Setup {
        task_ttl: "5s",
        ..Setup::default()
    });
    let (task, client) = world.session();
    client.ok("list_files", "{}");
    // The standing stream lives as long as the token: its end is the event to wait for.
    let stream = client.listen();
    assert_eq!(stream.status, 200);
    stream.events().for_each(drop);
    check(
        "an expired token",
        client.start_call("list_files", "{}"),
        "token_expired",
    );
    assert_eq!(world.tools.calls(), 1);
    // The task lives on; a new token is all it takes.
    Mcp::open(&world.agent, "workspace", &task).ok("list_files", "{}");
}

#[test]
fn the_token_endpoint_says_what_is_missing() {
    let world = World::start();
    let agent = &world.agent;
    let resource = agent.resource("workspace");
    let task = world.task();
    let own = agent.jwt_svid(world.node.ready("console"));
    let cases = [
        (
            "an SVID for another audience",
            agent.jwt_svid("https://other.example"),
            task.clone(),
            resource.clone(),
            401,
            "invalid_client",
        ),
        (
            "no SVID",
            "e30.e30.e30".to_owned(),
            task.clone(),
            resource.clone(),
            401,
            "invalid_client",
        ),
        (
            "a task that is not there",
            own.clone(),
            "task_00000000000000000000000000".to_owned(),
            resource,
            400,
            "invalid_grant",
        ),
        (
            "a server the task has no grant on",
            own.clone(),
            task.clone(),
            agent.resource("files"),
            400,
            "invalid_target",
        ),
        (
            "another resource",
            own,
            task,
            "https://other.example/mcp/workspace".to_owned(),
            400,
            "invalid_target",
        ),
    ];
    for (case, assertion, task, resource, status, error) in cases {
        let (got, refused) = agent
            .token_for(&assertion, &task, &resource)
            .expect_err(case);
        assert_eq!(
            (got, &refused["error"]),
            (status, &json!(error)),
            "{case}: {refused}"
        );
        for member in ["error_description", "code"] {
            assert!(
                refused[member]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{case}: {refused}"
            );
        }
    }
}
