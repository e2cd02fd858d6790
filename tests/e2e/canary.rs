//! Secrets and private words stay where they belong: not in the data directory in the clear, not in a log line, not in the record, not
//! in the environment of an agent or of what it starts.

use serde_json::{Value, json};

use crate::audit_chain::{files, find};
use crate::gateway_http::python_agent;
use crate::harness::agent::register;
use crate::harness::tools::{BEARER, SECRET};
use crate::harness::world::open_task;
use crate::harness::{World, deps};
use crate::step_up::next_asked;

const REQUEST: &str = "canary-request: move the money of Margaret";
const NOTE: &str = "canary-note-body-9931";

#[test]
fn nothing_secret_is_left_lying_about() {
    let mut world = World::start();
    let node = &world.node;
    let python = deps::python_copy(node.home(), "coder");
    register(node, "coder", &format!("unix:path={}", python.display()));
    let task = open_task(node, "coder", "workspace", REQUEST);
    let told = json!({
        "opening": "session",
        "command": env!("CARGO_BIN_EXE_bailiwick"),
        "args": ["mcp", "--server", "workspace", "--task-id", task],
        "env": { "BAILIWICK_NODE": node.ready("admin_socket") },
        "environ": true,
        "calls": [
            { "tool": "add_note", "arguments": { "title": "n", "body": NOTE } },
            { "tool": "read_file", "arguments": { "path": "secrets/prod.env" } },
            { "tool": "update_order", "arguments": { "id": 7, "status": "shipped" } },
        ],
    });
    let mut tail = node.tail();
    let said = std::thread::scope(|scope| {
        let agent = scope.spawn(|| python_agent(node, &python, &told));
        let id = next_asked(&mut tail);
        node.cli(&["approval", "approve", &id, "--reason", "as agreed", "--yes"]);
        agent.join().unwrap()
    });
    drop(tail);
    // The tool server was called, with its token; the agent never had it.
    assert_eq!(world.tools.calls(), 2);
    assert!(
        world
            .tools
            .journal()
            .iter()
            .filter(|line| line["phase"] == "start")
            .all(|line| line["bearer"] == true)
    );
    let all = serde_json::to_string(&said).unwrap();
    let environments = said
        .iter()
        .find_map(|line| line["environ"].as_array())
        .expect("no environments");
    assert!(
        environments.len() >= 2,
        "the shim's environment is missing: {environments:?}"
    );
    for secret in [BEARER, SECRET] {
        assert!(!all.contains(secret), "the agent got a secret: {all}");
    }

    let record = serde_json::to_string(&node.events()).unwrap();
    let public = [
        ("the record", record),
        ("the node's log", node.log()),
        ("its metrics", node.request("GET", "/metrics", None).text()),
        (
            "the list of secrets",
            Value::from(node.items("/v1/secrets")).to_string(),
        ),
        (
            "the list of leases",
            Value::from(node.items("/v1/leases")).to_string(),
        ),
        (
            "the list of servers",
            Value::from(node.items("/v1/servers")).to_string(),
        ),
    ];
    for (place, text) in &public {
        for secret in [BEARER, SECRET, REQUEST, NOTE, "Margaret", "anna"] {
            assert!(!text.contains(secret), "{secret} is in {place}");
        }
    }
    let process = std::fs::read(format!("/proc/{}/environ", node.pid())).unwrap();
    assert_eq!(find(&process, BEARER.as_bytes()), None);

    world.node.stop();
    let data = world.node.data();
    let kept = files(&data);
    assert!(kept.len() > 5, "{kept:?}");
    for file in kept {
        let bytes = std::fs::read(&file).unwrap();
        let name = file.strip_prefix(&data).unwrap().display().to_string();
        for secret in [BEARER, SECRET] {
            assert_eq!(
                find(&bytes, secret.as_bytes()),
                None,
                "{secret} is in {name}"
            );
        }
        // The store has a task's request, and an approval's arguments until it ends; the record never has them in the clear.
        if name.starts_with("audit/") {
            for words in [REQUEST, NOTE, "# Plan"] {
                assert_eq!(find(&bytes, words.as_bytes()), None, "{words} is in {name}");
            }
        }
    }
}
