//! Agents elsewhere: they show evidence over HTTP and get an identity, once.

mod oidc;
mod people;
mod renew;
mod x509pop;

use std::process::Command;
use std::sync::{Arc, Barrier};

use serde_json::{Value, json};

use crate::harness::http::{self, Place};
use crate::harness::world::open_task;
use crate::harness::{Agent, Node, World, deps, node};

/// A request whose key nobody needs.
const REQUEST: &str = include_str!("../../crates/identity/src/tests/request.pem");

/// Registers an agent that joins by token.
fn register(node: &Node, name: &str) {
    crate::harness::agent::register(node, name, &format!("join:agent={name}"));
}

/// A machine elsewhere shows evidence; status and answer, which it checked.
fn machine(node: &Node, kind: &str, evidence: &Value) -> (u64, Value) {
    let told = json!({
        "url": node.ready("console"),
        "kind": kind,
        "evidence": evidence,
        "audiences": [node.ready("console")],
    });
    let mut command = Command::new(deps::python());
    command.arg(deps::script("join.py")).arg(told.to_string());
    let ran = node::run(&mut command, "");
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stderr, node.log());
    let mut said = ran.json();
    (said["status"].as_u64().unwrap(), said["body"].take())
}

/// One bare attestation; status and code.
fn attest(console: &str, body: &Value) -> (u16, String) {
    let headers = [("Content-Type", "application/json")];
    let body = body.to_string();
    let answer = http::send(
        &Place::of(console),
        "POST",
        "/v1/attest",
        &headers,
        Some(body.as_bytes()),
    );
    let answer = answer.unwrap();
    let status = answer.status;
    let code = answer.json()["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (status, code)
}

fn join_token(node: &Node, agent: &str) -> String {
    let made = node.cli(&["join-token", "create", "--agent", agent]);
    made["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_machine_elsewhere_joins_and_works() {
    let world = World::start();
    let node = &world.node;
    register(node, "builder");
    let token = join_token(node, "builder");
    let (status, joined) = machine(node, "join_token", &json!(token));
    assert_eq!(status, 201, "{joined}");
    let instance = joined["instance"].as_str().unwrap();
    let id = format!("spiffe://e2e.internal/agent/builder/{instance}");
    assert_eq!(joined["spiffe_id"], json!(id));

    // Its JWT-SVID is a client like any other's.
    let task = open_task(node, "builder", "workspace", "build it");
    let agent = Agent::of(node);
    let assertion = joined["jwt_svid"].as_str().unwrap();
    let resource = agent.resource("workspace");
    let access = agent.token_for(assertion, &task, &resource).unwrap();
    assert_eq!(crate::bad_tokens::payload(&access)["act"]["sub"], json!(id));

    // On record, in this order; the token itself nowhere.
    let events = node.events();
    let of = |kind: &str| {
        let about =
            |event: &&Value| event["type"] == kind && event["agent"]["instance"] == instance;
        events.iter().position(|event| about(&event)).unwrap()
    };
    assert!(of("instance.attested") < of("svid.issued"));
    assert_eq!(
        events[of("instance.attested")]["change"]["kind"],
        "join_token"
    );
    assert!(!json!(events).to_string().contains(&token));

    // A fence on the instance: its next token is refused.
    node.cli(&["revoke", "instance", instance, "--reason", "lost", "--yes"]);
    let (_, refused) = agent.token_for(assertion, &task, &resource).unwrap_err();
    assert_eq!(refused["error"], "invalid_grant", "{refused}");
}

#[test]
fn a_join_token_has_one_winner_and_outlives_a_restart() {
    let mut node = Node::start();
    register(&node, "builder");
    let (first, second) = (join_token(&node, "builder"), join_token(&node, "builder"));
    node.kill_nine();
    node.start_again();

    let body = |token: &str| json!({ "kind": "join_token", "evidence": token, "csr": REQUEST });
    let (gate, console) = (Arc::new(Barrier::new(8)), node.ready("console").to_owned());
    let tries: Vec<_> = (0..8)
        .map(|_| {
            let (gate, console, body) = (Arc::clone(&gate), console.clone(), body(&first));
            std::thread::spawn(move || {
                gate.wait();
                attest(&console, &body)
            })
        })
        .collect();
    let mut answers: Vec<_> = tries.into_iter().map(|one| one.join().unwrap()).collect();
    answers.sort();
    let refused = (401, "token_invalid".to_owned());
    assert_eq!(answers.remove(0), (201, String::new()));
    assert_eq!(answers, vec![refused.clone(); 7]);

    // What was used stays used; what was not is good still; what was taken back is nothing.
    node.kill_nine();
    node.start_again();
    let console = node.ready("console").to_owned();
    assert_eq!(attest(&console, &body(&first)), refused);
    assert_eq!(attest(&console, &body(&second)).0, 201);
    let listed = node.items("/v1/join-tokens");
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert!(
        listed
            .iter()
            .all(|token| token["used"]["instance"].is_string())
    );
    let made = node.cli(&["join-token", "create", "--agent", "builder"]);
    node.run(&["join-token", "remove", made["id"].as_str().unwrap()]);
    let third = made["token"].as_str().unwrap();
    assert_eq!(attest(&console, &body(third)), refused);
    let twice = node.events().into_iter().find(|event| {
        event["type"] == "instance.refused" && event["outcome"]["code"] == "token_invalid"
    });
    assert!(twice.is_some(), "a second use is not on record");
}

#[test]
fn what_is_no_evidence_gets_nothing() {
    let node = Node::start();
    register(&node, "builder");
    let path = "unix:path=/usr/bin/coder";
    crate::harness::agent::register(&node, "coder", path);
    let (status, refused) = node.try_api(
        "POST",
        "/v1/join-tokens",
        Some(&json!({ "agent": "coder" })),
    );
    assert_eq!((status, &refused["code"]), (409, &json!("conflict")));
    let long = json!({ "agent": "builder", "ttl_s": 3_601 });
    assert_eq!(node.try_api("POST", "/v1/join-tokens", Some(&long)).0, 400);

    let console = node.ready("console").to_owned();
    let token = join_token(&node, "builder");
    let altered = REQUEST.replacen("MIG7", "MIG8", 1);
    for (body, status, code) in [
        (json!({}), 401, "not_signed_in"),
        (
            json!({ "kind": "join_token", "csr": REQUEST }),
            401,
            "not_signed_in",
        ),
        (
            json!({ "kind": "join_token", "evidence": token }),
            400,
            "invalid_input",
        ),
        (
            json!({ "kind": "join_token", "evidence": token, "csr": altered }),
            400,
            "invalid_input",
        ),
        (
            json!({ "kind": "join_token", "evidence": [token], "csr": REQUEST }),
            400,
            "invalid_input",
        ),
        (
            json!({ "kind": "tpm", "evidence": token, "csr": REQUEST }),
            400,
            "invalid_input",
        ),
        (
            json!({ "kind": "join_token", "evidence": token, "csr": REQUEST, "agent": "coder" }),
            400,
            "invalid_input",
        ),
        (
            json!({ "kind": "join_token", "evidence": token, "csr": REQUEST, "audiences": [] }),
            400,
            "invalid_input",
        ),
        (
            json!({ "kind": "join_token", "evidence": "bwj_00", "csr": REQUEST }),
            401,
            "token_invalid",
        ),
    ] {
        assert_eq!(attest(&console, &body), (status, code.to_owned()), "{body}");
    }
    // None of that used the token up.
    let good = json!({ "kind": "join_token", "evidence": token, "csr": REQUEST });
    assert_eq!(attest(&console, &good).0, 201);
}
