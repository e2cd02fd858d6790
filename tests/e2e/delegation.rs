//! Agents delegate by themselves: over the API without a token leaving the parent, and by token exchange. Whatever goes beyond what the
//! parent has is refused with the RFC's error and our code; whatever falls on the parent falls on the child.

use serde_json::{Value, json};

use crate::bad_tokens::payload;
use crate::harness::http::{self, Place};
use crate::harness::{Agent, Mcp, World};
use crate::ship::until;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// Arguments of a write.
const WRITE: &str = r#"{"path":"a","content":"b"}"#;
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// An open task of the test process that may be delegated, and a token of it; `may_act` names who may exchange that.
fn held(world: &World, may_act: Option<&str>) -> (String, String) {
    let task = world.task();
    let mut details = json!({ "type": "agent_task", "task_id": task });
    if let Some(next) = may_act {
        details["may_act"] = json!({ "sub": next });
    }
    let details = json!([details]).to_string();
    let resource = world.agent.resource("workspace");
    let form = [
        ("grant_type", "client_credentials"),
        ("authorization_details", details.as_str()),
        ("resource", &resource),
    ];
    let answer = world.agent.client_asks(&form).unwrap();
    (task, answer["access_token"].as_str().unwrap().to_owned())
}

fn exchange(agent: &Agent, subject: &str, more: &[(&str, &str)]) -> Result<Value, (u16, Value)> {
    let form = [
        ("grant_type", EXCHANGE),
        ("subject_token", subject),
        ("subject_token_type", ACCESS_TOKEN),
    ];
    agent.client_asks(&[&form, more].concat())
}

/// A request for a delegation with this token and a proof of this agent's key, the nonce learned on the way.
fn delegate(agent: &Agent, task: &str, token: &str, body: &Value) -> (u16, Value) {
    let path = format!("/v1/tasks/{task}/delegations");
    let url = format!("{}{path}", agent.issuer());
    let mut nonce: Option<String> = None;
    loop {
        let proof = agent.proof("POST", &url, Some(token), nonce.as_deref());
        let authorization = format!("DPoP {token}");
        let headers = [
            ("Authorization", authorization.as_str()),
            ("DPoP", &proof),
            ("Content-Type", "application/json"),
        ];
        let place = Place::of(&url);
        let body = body.to_string();
        let response = http::send(&place, "POST", &path, &headers, Some(body.as_bytes())).unwrap();
        let challenge = response.headers("www-authenticate");
        let (status, given) = (
            response.status,
            response.header("dpop-nonce").map(str::to_owned),
        );
        if nonce.is_none() && challenge.contains("use_dpop_nonce") {
            nonce = given;
            continue;
        }
        return (status, response.json());
    }
}

fn id_of(agent: &str) -> String {
    format!("spiffe://e2e.internal/agent/{agent}")
}

fn check(case: &str, refused: Result<Value, (u16, Value)>, error: &str, code: &str) -> Value {
    let (status, body) = refused.expect_err(case);
    let wanted = if error == "invalid_client" { 401 } else { 400 };
    assert_eq!(
        (status, &body["error"], &body["code"]),
        (wanted, &json!(error), &json!(code)),
        "{case}: {body}"
    );
    assert!(
        body["error_description"]
            .as_str()
            .is_some_and(|text| text.len() > 8),
        "{case}: {body}"
    );
    body
}

fn reading() -> Value {
    json!({ "grants": [{ "server": ["workspace"], "tool": ["list_files", "read_file"], "effects": ["read"] }] })
}

#[test]
fn an_agent_hands_on_a_part_of_its_task_and_takes_it_back() {
    let world = World::start();
    let helper = Agent::elsewhere(&world.node, "helper");
    let (task, token) = held(&world, None);
    let body = json!({ "to": id_of("helper"), "request": "look at the files", "scope": reading() });
    let (status, child) = delegate(&world.agent, &task, &token, &body);
    assert_eq!(status, 201, "{child}");
    assert_eq!(child["agent"], "helper");
    let id = child["task_id"].as_str().unwrap();

    // The child redeems the id; what it was handed works, and nothing else.
    let client = Mcp::open(&helper, "workspace", id);
    client.ok("list_files", "{}");
    let denied = client.refused("write_file", WRITE);
    assert_eq!(denied["code"], "scope_exceeded", "{denied}");
    assert_eq!(client.tools().len(), 2);
    // The parent cannot act as the child, nor the other way round.
    assert!(world.agent.token(id, "workspace").is_err());
    assert!(helper.token(&task, "workspace").is_err());

    // On record: who, from what, and every call with its whole chain.
    let events = world.node.events();
    let granted = events
        .iter()
        .find(|event| event["type"] == "delegation.granted")
        .unwrap();
    assert_eq!(granted["change"]["before"], json!(task));
    assert!(
        granted["actor"]
            .as_str()
            .is_some_and(|actor| actor.starts_with(&id_of("tester")))
    );
    let intent = events.iter().find(|event| event["type"] == "tool.intent");
    let chain = intent.unwrap()["chain"].as_array().unwrap();
    assert_eq!(chain.len(), 2, "{chain:?}");
    assert_eq!(
        (&chain[0]["agent"], &chain[1]["agent"]),
        (&json!("helper"), &json!("tester"))
    );

    // Wider, for nobody, without a proof of the token's key, for another task.
    let wider = json!({ "to": id_of("helper"), "request": "more",
        "scope": { "grants": [{ "server": ["*"], "tool": ["*"], "effects": ["read"] }] } });
    let (status, refused) = delegate(&world.agent, &task, &token, &wider);
    assert_eq!(
        (status, &refused["code"]),
        (400, &json!("delegation_widening")),
        "{refused}"
    );
    assert!(
        refused["help"].as_str().unwrap().contains("workspace"),
        "{refused}"
    );
    let nobody = json!({ "to": "spiffe://elsewhere.example/agent/helper", "request": "x" });
    let (status, refused) = delegate(&world.agent, &task, &token, &nobody);
    assert_eq!(
        (status, &refused["code"]),
        (400, &json!("invalid_input")),
        "{refused}"
    );
    let (status, refused) = delegate(&helper, &task, &token, &body);
    assert_eq!(
        (status, &refused["code"]),
        (401, &json!("key_mismatch")),
        "{refused}"
    );
    let (status, refused) = delegate(&helper, &task, &client.token, &body);
    assert_eq!(
        (status, &refused["code"]),
        (401, &json!("token_invalid")),
        "{refused}"
    );
    // Nobody waits for these to be carried to the record.
    until("refused delegations on record", &world.node, || {
        let events = world.node.events();
        let refused = events
            .iter()
            .filter(|event| event["type"] == "delegation.refused");
        refused.count() >= 2
    });

    // The parent's end is the child's.
    world
        .node
        .api("POST", &format!("/v1/tasks/{task}/complete"), None);
    let cut = client.start_call("list_files", "{}");
    assert_ne!(cut.status, 200);
    let (status, refused) = delegate(&world.agent, &task, &token, &body);
    assert_eq!(
        (status, &refused["code"]),
        (403, &json!("task_ended")),
        "{refused}"
    );
}

#[test]
fn whom_a_token_names_exchanges_it_for_a_task_of_its_own() {
    let world = World::start();
    let helper = Agent::elsewhere(&world.node, "helper");
    let (task, token) = held(&world, Some(&id_of("helper")));
    let own = helper.jwt_svid(helper.issuer());
    let scope = [
        ("scope", "workspace:read"),
        ("actor_token", own.as_str()),
        ("actor_token_type", JWT),
    ];
    let answer = exchange(&helper, &token, &scope).unwrap();
    assert_eq!(answer["issued_token_type"], ACCESS_TOKEN, "{answer}");
    assert_eq!(answer["token_type"], "DPoP");
    assert_eq!(answer["scope"], "workspace:read");
    assert!(answer["narrowed_by"].is_null(), "{answer}");
    let child = answer["authorization_details"][0]["task_id"]
        .as_str()
        .unwrap();
    assert_ne!(child, task);
    let client = Mcp::with_token(
        &helper,
        "workspace",
        answer["access_token"].as_str().unwrap().to_owned(),
    );
    client.ok("list_files", "{}");
    assert_eq!(
        client.refused("write_file", WRITE)["code"],
        "scope_exceeded"
    );
    // The presenter outermost, the parent inside, both as instances of this issuer.
    let claims = payload(&client.token);
    let actor = claims["act"]["sub"].as_str().unwrap();
    assert!(actor.starts_with(&id_of("helper/inst_")), "{claims}");
    let inner = claims["act"]["act"]["sub"].as_str().unwrap();
    assert!(inner.starts_with(&id_of("tester/inst_")), "{claims}");
    assert_eq!(claims["sub"], "user:local:anna");
    assert_eq!(claims["client_id"], claims["act"]["sub"]);
    // Asked again in the same words it is the same task.
    let again = exchange(&helper, &token, &scope).unwrap();
    assert_eq!(again["authorization_details"][0]["task_id"], child);

    // The holder takes the token back: the child's is dead at its next call, and so is its task.
    let form = [("token", token.as_str())];
    let own = world.agent.jwt_svid(world.agent.issuer());
    let client_form = [
        (
            "client_assertion_type",
            crate::harness::agent::ASSERTION_TYPE,
        ),
        ("client_assertion", own.as_str()),
    ];
    let form = [&form[..], &client_form].concat();
    world
        .agent
        .post_form("/oauth/revoke", &form, &[])
        .expect(200);
    let cut = client.start_call("list_files", "{}").expect(401).json();
    assert_eq!(cut["code"], "revoked", "{cut}");
    assert!(helper.token(child, "workspace").is_err());
    check(
        "under a fence",
        exchange(&helper, &token, &scope),
        "invalid_request",
        "revoked",
    );
    // The parent's task is not: its holder gets another token.
    world.agent.token(&task, "workspace").unwrap();
}

fn details(value: &Value) -> String {
    json!([value]).to_string()
}

/// An `agent_task` that asks for grants on the workspace, with these members of a scope beside them.
fn wanting(effect: &str, more: &Value) -> String {
    let mut scope =
        json!({ "grants": [{ "server": ["workspace"], "tool": ["*"], "effects": [effect] }] });
    for (member, value) in more.as_object().unwrap() {
        scope[member] = value.clone();
    }
    details(&json!({ "type": "agent_task", "scope": scope }))
}

fn token_of(answer: &Value) -> String {
    answer["access_token"].as_str().unwrap().to_owned()
}

/// What goes beyond the parent, or is no subject, is refused whole and never cut short.
#[test]
fn trap_09_chain() {
    let world = World::start();
    let helper = Agent::elsewhere(&world.node, "helper");
    let (_, unnamed) = held(&world, None);
    let nobody = exchange(&helper, &unnamed, &[]);
    let body = check("nobody is named", nobody, "invalid_request", "may_act");
    assert!(body["help"].as_str().unwrap().contains("may_act"), "{body}");
    let (_, other) = held(&world, Some(&id_of("somebody-else")));
    let other = exchange(&helper, &other, &[]);
    check(
        "somebody else is named",
        other,
        "invalid_request",
        "may_act",
    );

    let (_, token) = held(&world, Some(&id_of("helper")));
    let none = json!({});
    let detailed = |details: String| [("authorization_details", details)];
    let words = |name: &'static str, value: &str| [(name, value.to_owned())];
    let late = json!({ "deadline": "2999-01-01T00:00:00Z" });
    let saml = "urn:ietf:params:oauth:token-type:saml2";
    let unknown = details(&json!({ "type": "agent_task", "colour": "red" }));
    let cases = [
        (
            "another resource",
            words("resource", &helper.resource("files")),
            "invalid_target",
            "resource_unknown",
        ),
        (
            "another audience",
            words("audience", &helper.resource("files")),
            "invalid_target",
            "resource_unknown",
        ),
        (
            "wider",
            detailed(wanting("escalate", &none)),
            "invalid_scope",
            "delegation_widening",
        ),
        (
            "outliving its parent",
            detailed(wanting("read", &late)),
            "invalid_scope",
            "delegation_widening",
        ),
        (
            "deeper",
            detailed(wanting("read", &json!({ "depth": 8 }))),
            "invalid_request",
            "delegation_depth",
        ),
        (
            "nothing is left",
            words("scope", "workspace:escalate"),
            "invalid_scope",
            "scope_empty",
        ),
        (
            "a word that is none",
            words("scope", "everything"),
            "invalid_scope",
            "invalid_input",
        ),
        (
            "what nobody reads",
            detailed(unknown),
            "invalid_authorization_details",
            "invalid_input",
        ),
        (
            "another type",
            words("requested_token_type", saml),
            "invalid_request",
            "invalid_input",
        ),
        (
            "an actor without type",
            words("actor_token", &token),
            "invalid_request",
            "invalid_input",
        ),
    ];
    for (case, [(name, value)], error, code) in cases {
        check(
            case,
            exchange(&helper, &token, &[(name, &value)]),
            error,
            code,
        );
    }
    let events = world.node.events();
    assert!(
        events
            .iter()
            .all(|event| event["type"] != "delegation.granted")
    );
}

/// Another class of token, and a chain that somebody wrote themselves.
#[test]
fn trap_09_chain_of_what_is_no_subject() {
    let world = World::start();
    let helper = Agent::elsewhere(&world.node, "helper");
    let (_, token) = held(&world, Some(&id_of("helper")));
    let actor = [("actor_token", token.as_str()), ("actor_token_type", JWT)];
    let actor = exchange(&helper, &token, &actor);
    check(
        "a task token as actor",
        actor,
        "invalid_request",
        "token_class",
    );
    let jwt = world.agent.jwt_svid(world.agent.issuer());
    let subject = exchange(&helper, &jwt, &[]);
    check(
        "an SVID as subject",
        subject,
        "invalid_request",
        "token_class",
    );
    // A forged inner actor breaks the signature.
    let mut claims = payload(&token);
    claims["act"]["act"] = claims["act"].clone();
    let forged = bailiwick_crypto::jose::sign(&helper.key, Some("at+jwt"), &claims).unwrap();
    let forged = exchange(&helper, &forged, &[]);
    check("a forged chain", forged, "invalid_request", "token_invalid");
}

#[test]
fn the_holder_narrows_its_token_and_only_with_its_key() {
    let world = World::start();
    let (task, token) = held(&world, None);
    let narrow = exchange(&world.agent, &token, &[("scope", "workspace:read")]).unwrap();
    assert_eq!(narrow["authorization_details"][0]["task_id"], task);
    let narrow = token_of(&narrow);
    let client = Mcp::with_token(&world.agent, "workspace", narrow.clone());
    client.ok("list_files", "{}");
    let denied = client.refused("write_file", WRITE);
    assert_eq!(denied["code"], "scope_exceeded", "the task could: {denied}");
    assert!(!client.tools().contains(&"write_file".to_owned()));
    let wider = wanting("write", &json!({}));
    let back = exchange(&world.agent, &narrow, &[("authorization_details", &wider)]);
    check(
        "back to what it came from",
        back,
        "invalid_scope",
        "delegation_widening",
    );
    // The same process with another key: whoever has the token alone has nothing.
    let thief = Agent::of(&world.node);
    let stolen = exchange(&thief, &token, &[]);
    check(
        "with another key",
        stolen,
        "invalid_request",
        "key_mismatch",
    );
}

/// Each is an agent of its own, so nothing but the depth speaks against the fifth.
#[test]
fn trap_09_chain_has_an_end_and_no_loop() {
    let world = World::start();
    let (_, token) = held(&world, Some(&id_of("helper1")));
    let next = |to: &str| details(&json!({ "type": "agent_task", "may_act": { "sub": to } }));
    let mut subject = token;
    let mut holders: Vec<Agent> = Vec::new();
    for depth in 1..=5 {
        let agent = Agent::elsewhere(&world.node, &format!("helper{depth}"));
        let further = next(&id_of(&format!("helper{}", depth + 1)));
        let answer = exchange(&agent, &subject, &[("authorization_details", &further)]);
        if depth == 5 {
            check("depth 5", answer, "invalid_request", "delegation_depth");
            break;
        }
        subject = token_of(&answer.unwrap());
        if let [first] = holders.as_slice() {
            // Back to a process that is in the chain already.
            let back = payload(&first.jwt_svid("a"))["sub"]
                .as_str()
                .unwrap()
                .to_owned();
            let back = exchange(&agent, &subject, &[("authorization_details", &next(&back))]);
            let back = exchange(first, &token_of(&back.unwrap()), &[]);
            check("a loop", back, "invalid_request", "delegation_loop");
        }
        holders.push(agent);
    }
}
