//! Instances elsewhere that go on: they hold their key still, and get the next identity while nothing stands against them.

use std::process::Command;

use serde_json::{Value, json};

use super::{REQUEST, join_token, oidc, register};
use crate::harness::http::{self, Place};
use crate::harness::world::open_task;
use crate::harness::{Agent, Node, Process, World, deps};

/// A machine elsewhere that joined and stays.
struct Machine {
    process: Process,
    joined: Value,
}

impl Machine {
    fn start(node: &Node, kind: &str, evidence: &Value) -> Self {
        let told = json!({
            "url": node.ready("console"),
            "kind": kind,
            "evidence": evidence,
            "audiences": [node.ready("console")],
            "stay": true,
        });
        let mut command = Command::new(deps::python());
        command.arg(deps::script("join.py")).arg(told.to_string());
        let log = node.home().join("join.log");
        let mut process = Process::start("join.py", &mut command, &log);
        let mut said: Value = serde_json::from_str(&process.line()).unwrap();
        assert_eq!(said["status"], 201, "{said}");
        let joined = said["body"].take();
        Self { process, joined }
    }

    fn instance(&self) -> &str {
        self.joined["instance"].as_str().unwrap()
    }

    /// Status, answer, and what was sent.
    fn renew(&mut self, besides: &Value) -> (u64, Value, Value) {
        self.process.say(&besides.to_string());
        let mut said: Value = serde_json::from_str(&self.process.line()).unwrap();
        let status = said["status"].as_u64().unwrap();
        (status, said["body"].take(), said["sent"].take())
    }

    fn code(&mut self, besides: &Value) -> (u64, String) {
        let (status, answer, _) = self.renew(besides);
        let code = answer["code"].as_str().unwrap_or_default();
        (status, code.to_owned())
    }
}

fn post(node: &Node, body: &Value) -> (u16, String) {
    let headers = [("Content-Type", "application/json")];
    let place = Place::of(node.ready("console"));
    let (path, body) = ("/v1/attest/renew", body.to_string());
    let answer = http::send(&place, "POST", path, &headers, Some(body.as_bytes()));
    let answer = answer.unwrap();
    let status = answer.status;
    let code = answer.json()["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (status, code)
}

#[test]
fn a_machine_elsewhere_goes_on_working_with_its_key() {
    let mut world = World::start();
    register(&world.node, "builder");
    let token = join_token(&world.node, "builder");
    let mut machine = Machine::start(&world.node, "join_token", &json!(token));
    let issuer = world.node.ready("console").to_owned();
    let wants = json!({ "audiences": [issuer] });

    let (status, renewed, sent) = machine.renew(&wants);
    assert_eq!(status, 200, "{renewed}");
    assert_eq!(renewed["spiffe_id"], machine.joined["spiffe_id"]);
    assert_ne!(renewed["jwt_svid"], machine.joined["jwt_svid"]);
    let task = open_task(&world.node, "builder", "workspace", "build it");
    let agent = Agent::of(&world.node);
    let resource = agent.resource("workspace");
    let assertion = renewed["jwt_svid"].as_str().unwrap();
    agent.token_for(assertion, &task, &resource).unwrap();

    // The proof was good once: not again, not for another request, not with a part of it changed; and a restart ends challenges.
    let refused = (401, "token_invalid".to_owned());
    assert_eq!(post(&world.node, &sent), refused);
    let mut other = sent.clone();
    other["csr"] = json!(REQUEST);
    assert_eq!(post(&world.node, &other), (401, "key_mismatch".to_owned()));
    for (member, value) in [("chain", json!("")), ("signature", json!("AAAA"))] {
        let mut altered = sent.clone();
        altered["proof"][member] = value;
        assert_eq!(post(&world.node, &altered), refused, "{member}");
    }
    let mut more = sent.clone();
    more["agent"] = json!("admin");
    assert_eq!(post(&world.node, &more), (400, "invalid_input".to_owned()));
    world.node.kill_nine();
    world.node.start_again();
    assert_eq!(post(&world.node, &sent), refused);

    // On record: each SVID, from which end to which.
    let events = world.node.events();
    let mut svids = events.iter().filter(|event| {
        event["type"] == "svid.issued"
            && event["agent"]["instance"] == machine.instance()
            && event["change"]["kind"] == "x509-svid"
    });
    assert!(svids.next().unwrap()["change"]["before"].is_null());
    let change = &svids.next().unwrap()["change"];
    assert!(
        change["before"].as_str() < change["after"].as_str(),
        "{change}"
    );
    assert!(svids.next().is_none());
    let refusal = events.iter().find(|event| {
        event["type"] == "instance.refused" && event["outcome"]["code"] == "key_mismatch"
    });
    assert_eq!(refusal.unwrap()["action"]["op"], "attest.renew");
}

#[test]
fn who_is_revoked_is_not_renewed() {
    let node = Node::start();
    register(&node, "builder");
    let mut first = Machine::start(&node, "join_token", &json!(join_token(&node, "builder")));
    let mut second = Machine::start(&node, "join_token", &json!(join_token(&node, "builder")));
    assert_eq!(first.renew(&json!({})).0, 200);
    let id = first.instance().to_owned();
    node.cli(&["revoke", "instance", &id, "--reason", "lost", "--yes"]);
    let revoked = (401, "revoked".to_owned());
    assert_eq!(first.code(&json!({})), revoked);
    assert_eq!(second.renew(&json!({})).0, 200);
    node.cli(&["revoke", "agent", "builder", "--reason", "lost", "--yes"]);
    assert_eq!(second.code(&json!({})), revoked);
}

#[test]
fn a_job_shows_a_fresh_token_of_its_run_to_live_longer() {
    let (node, mut issuers) = oidc::with_issuers();
    let mut fresh = |job: &str, other: &Value| {
        let token = issuers.sign(&json!({ "claims": issuers.github(job, other) }));
        json!({ "issuer": "github", "token": token })
    };
    let first = fresh("job-1", &json!({}));
    let mut machine = Machine::start(&node, "oidc", &first);
    let ends = |answer: &Value| answer["expires_at"].as_str().unwrap().to_owned();
    let (status, same, _) = machine.renew(&json!({ "audiences": ["orders"] }));
    assert_eq!(status, 200, "{same}");
    assert_eq!(ends(&same), ends(&machine.joined));
    assert!(same["jwt_svid"].is_string());

    let refused = (401, "token_invalid".to_owned());
    assert_eq!(machine.code(&json!({ "evidence": first })), refused);
    let other = fresh("job-2", &json!({ "run_id": "22259804325" }));
    assert_eq!(machine.code(&json!({ "evidence": other })), refused);
    let staging = fresh("job-3", &json!({ "environment": "staging" }));
    let (status, code) = machine.code(&json!({ "evidence": staging }));
    assert_eq!((status, code.as_str()), (403, "no_identity"));

    let own = fresh("job-4", &json!({ "run_attempt": "1" }));
    let (status, longer, _) = machine.renew(&json!({ "evidence": own }));
    assert_eq!(status, 200, "{longer}");
    assert_eq!(longer["instance"], machine.joined["instance"]);
    assert!(ends(&longer) >= ends(&machine.joined));
}
