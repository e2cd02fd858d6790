//! The same clients over stdio: `bailiwick mcp` is the server they start. The node attests the process that started it.

use serde_json::{Value, json};

use crate::gateway_http::{Files, python_agent};
use crate::harness::agent::register;
use crate::harness::node::run;
use crate::harness::world::open_task;
use crate::harness::{Node, World, deps};

/// What tells the Python agent to start `bailiwick mcp`.
fn told(node: &Node, server: &str, opening: &str, task: &[&str], calls: &Value) -> Value {
    let mut arguments = vec!["mcp", "--server", server];
    arguments.extend(task);
    json!({
        "opening": opening,
        "command": env!("CARGO_BIN_EXE_bailiwick"),
        "args": arguments,
        "env": { "BAILIWICK_NODE": node.ready("admin_socket") },
        "calls": calls,
    })
}

#[test]
fn the_files_server_behind_stdio_with_the_clients_own_choice_of_revision() {
    let files = Files::start();
    let task = open_task(&files.node, "coder", "files", "summarise the plan");
    let told = told(
        &files.node,
        "files",
        "client",
        &["--task-id", &task],
        &files.calls(),
    );
    let said = python_agent(&files.node, &files.python, &told);
    assert_eq!(said[0]["opened"], "2025-11-25", "{said:?}");
    files.judge(&said);
}

#[test]
fn the_files_server_behind_stdio_with_the_handshake() {
    let files = Files::start();
    let task = open_task(&files.node, "coder", "files", "summarise the plan");
    let told = told(
        &files.node,
        "files",
        "session",
        &["--task-id", &task],
        &files.calls(),
    );
    let said = python_agent(&files.node, &files.python, &told);
    files.judge(&said);
}

#[test]
fn the_demo_server_behind_stdio_under_a_task_that_ends_with_the_stream() {
    let world = World::start();
    let node = &world.node;
    let python = deps::python_copy(node.home(), "coder");
    register(node, "coder", &format!("unix:path={}", python.display()));
    let calls = json!([
        { "tool": "read_file", "arguments": { "path": "notes/plan.md" } },
        { "tool": "read_file", "arguments": { "path": "secrets/prod.env" } },
    ]);
    for opening in ["client", "session"] {
        let told = told(
            node,
            "workspace",
            opening,
            &["--task", "read the plan", "--agent", "coder"],
            &calls,
        );
        let said = python_agent(node, &python, &told);
        assert!(
            said[2]["text"].as_str().unwrap().starts_with("# Plan"),
            "{}",
            said[2]
        );
        assert_eq!(
            said[3]["meta"]["bailiwick/decision"]["code"], "forbidden",
            "{}",
            said[3]
        );
    }
    let mut tail = node.tail();
    let tasks = || {
        node.items("/v1/tasks")
            .into_iter()
            .filter(|task| task["agent"] == "coder")
    };
    while tasks().any(|task| task["state"] == "open") {
        tail.next().expect("the record ends before the task does");
    }
    assert_eq!(tasks().count(), 2);
    for task in tasks() {
        assert_eq!(
            (&task["state"], &task["request"]["source"]),
            (&json!("completed"), &json!("agent")),
            "{task}"
        );
    }
    assert_eq!(world.tools.ran("read_file").len(), 2);
}

#[test]
fn a_client_that_is_not_the_agent_is_refused() {
    let world = World::start();
    let node = &world.node;
    let python = deps::python_copy(node.home(), "stranger");
    let script = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL).returncode)";
    let mut command = std::process::Command::new(python);
    command.args([
        "-c",
        script,
        env!("CARGO_BIN_EXE_bailiwick"),
        "--output",
        "json",
        "mcp",
        "--server",
        "workspace",
    ]);
    command
        .args(["--task", "read the plan"])
        .env("BAILIWICK_NODE", node.ready("admin_socket"));
    let ran = run(&mut command, "");
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("no_identity"), "{ran:?}");
    assert_eq!(world.tools.calls(), 0);
}
