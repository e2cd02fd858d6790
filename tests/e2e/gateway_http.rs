//! The MCP project's own client (PyPI `mcp`) over streamable HTTP, through the gateway, to the MCP project's own file server
//! (npm `@modelcontextprotocol/server-filesystem`, a stdio child of the node) and to the demo's server over HTTP.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::agent::register;
use crate::harness::world::{add_server, open_task, publish};
use crate::harness::{Node, World, deps, node};

/// A directory served by the file server, and a Python agent that may use it.
pub(crate) struct Files {
    pub(crate) node: Node,
    pub(crate) python: PathBuf,
    pub(crate) root: PathBuf,
}

impl Files {
    pub(crate) fn start() -> Self {
        let node = Node::start();
        let root = node.home().join("served");
        std::fs::create_dir_all(root.join("secrets")).unwrap();
        std::fs::write(root.join("plan.md"), "ship order 7\n").unwrap();
        std::fs::write(root.join("secrets/prod.env"), "PASSWORD=hunter2\n").unwrap();
        let root = root.canonicalize().unwrap();
        let python = deps::python_copy(node.home(), "coder");
        register(&node, "coder", &format!("unix:path={}", python.display()));
        let server = json!({
            "name": "files",
            "transport": { "kind": "stdio", "command": deps::filesystem_server(&root), "env": {}, "pass_env": ["PATH"] },
            "trust": "reviewed",
        });
        add_server(&node, &server, effect);
        publish(
            &node,
            &json!({
                "bundle.toml": "name = \"files\"\ndescription = \"Files may be read, secrets may not.\"\n",
                "files.cedar": POLICY,
            }),
        );
        Self { node, python, root }
    }

    /// Runs the agent with these calls over HTTP; what it said.
    fn over_http(&self, opening: &str, calls: &Value) -> Vec<Value> {
        let task = open_task(&self.node, "coder", "files", "summarise the plan");
        over_http(&self.node, &self.python, "files", opening, &task, calls)
    }

    /// The calls that each opening makes.
    pub(crate) fn calls(&self) -> Value {
        json!([
            { "tool": "read_text_file", "arguments": { "path": self.root.join("plan.md") } },
            { "tool": "read_text_file", "arguments": { "path": self.root.join("secrets/prod.env") } },
            { "tool": "write_file", "arguments": { "path": self.root.join("new.md"), "content": "mine" } },
            { "tool": "move_file", "arguments": { "source": self.root.join("plan.md"), "destination": self.root.join("x") } },
        ])
    }

    /// What the calls must come to.
    pub(crate) fn judge(&self, said: &[Value]) {
        let tools: Vec<&str> = said[1]["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        assert!(
            tools.contains(&"read_text_file") && tools.contains(&"write_file"),
            "{tools:?}"
        );
        assert!(
            !tools.contains(&"move_file"),
            "a tool that the task has no grant for is shown: {tools:?}"
        );
        assert!(
            said[1]["hidden"]["bailiwick/hidden"]["count"].as_u64() > Some(0),
            "{}",
            said[1]
        );

        let [read, secret, write, moved] = &said[2..6] else {
            panic!("{said:#?}")
        };
        assert_eq!(
            (&read["error"], &read["text"]),
            (&json!(false), &json!("ship order 7\n")),
            "{read}"
        );

        assert_eq!(secret["error"], true, "{secret}");
        let decision = &secret["meta"]["bailiwick/decision"];
        assert_eq!(
            (&decision["code"], &decision["decision"]),
            (&json!("forbidden"), &json!("deny")),
            "{secret}"
        );
        assert!(
            decision["event"].as_str().unwrap().starts_with("evt_"),
            "{secret}"
        );
        assert!(
            decision["help"].as_str().unwrap().contains("owner"),
            "{secret}"
        );
        let text = secret["text"].as_str().unwrap();
        assert!(
            text.contains("Secrets are for people") && !text.contains("hunter2"),
            "{secret}"
        );

        assert_eq!(
            write["meta"]["bailiwick/decision"]["code"], "no_permit",
            "{write}"
        );
        assert!(
            !self.root.join("new.md").exists(),
            "a refused write has run"
        );

        let moved_text = moved.to_string();
        assert!(
            moved["error"] == true || moved["raised"].is_string(),
            "{moved}"
        );
        assert!(
            moved_text.contains("scope_exceeded") || moved_text.contains("no tool"),
            "{moved}"
        );
        assert!(self.root.join("plan.md").exists(), "a refused move has run");
        assert_eq!(said.last().unwrap()["done"], true, "{said:#?}");

        // The refusal that the agent was told of is on record under the same id, without what it asked for.
        let told = decision["event"].as_str().unwrap();
        let event = self.node.event(told);
        assert_eq!(event["type"], "tool.refused", "{event}");
        assert!(!event.to_string().contains("prod.env"), "{event}");
        let log = self.node.events();
        let ran: Vec<&Value> = log
            .iter()
            .filter(|event| event["type"] == "tool.intent")
            .collect();
        assert_eq!(ran.len(), 1, "{ran:#?}");
        assert_eq!(ran[0]["action"]["tool"], "read_text_file");
        let results: Vec<&Value> = log
            .iter()
            .filter(|event| event["type"] == "tool.result")
            .collect();
        assert_eq!(
            (results.len(), &results[0]["cause"]),
            (1, &ran[0]["id"]),
            "{results:#?}"
        );
    }
}

/// Tools that change files. `move_file` is an escalation here, so that a task without that effect does not see it.
fn effect(tool: &str) -> &'static str {
    match tool {
        "write_file" | "edit_file" | "create_directory" => "write",
        "move_file" => "escalate",
        _ => "read",
    }
}

const POLICY: &str = r#"
@id("files/read")
@reason("Files may be read.")
permit (principal, action in Bailiwick::Action::"read", resource == Bailiwick::Server::"files");

@id("files/no-secrets")
@reason("Secrets are for people only.")
@fix("Ask the owner of the files for what you need.")
forbid (principal, action in Bailiwick::Action::"files", resource)
when { context.input has path && context.input.path like "*/secrets/*" };
"#;

/// Runs the Python agent over HTTP; what it said, line by line.
fn over_http(
    node: &Node,
    python: &Path,
    server: &str,
    opening: &str,
    task: &str,
    calls: &Value,
) -> Vec<Value> {
    let told = json!({
        "opening": opening,
        "url": node.mcp(server),
        "socket": node.ready("workload_socket"),
        "issuer": node.ready("console"),
        "task": task,
        "calls": calls,
    });
    python_agent(node, python, &told)
}

/// Runs the Python agent; what it said, line by line.
pub(crate) fn python_agent(node: &Node, python: &Path, told: &Value) -> Vec<Value> {
    let mut command = Command::new(python);
    command.arg(deps::script("agent.py")).arg(told.to_string());
    let ran = node::run(&mut command, "");
    assert_eq!(
        ran.code,
        Some(0),
        "{}\n{}\n{}",
        ran.stdout,
        ran.stderr,
        node.log()
    );
    ran.stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_files_server_behind_http_with_the_clients_own_choice_of_revision() {
    let files = Files::start();
    let said = files.over_http("client", &files.calls());
    assert_eq!(said[0]["opened"], "2025-11-25", "{said:?}");
    files.judge(&said);
}

#[test]
fn the_files_server_behind_http_with_the_handshake() {
    let files = Files::start();
    let said = files.over_http("session", &files.calls());
    assert_eq!(said[0]["opened"], "2025-11-25", "{said:?}");
    files.judge(&said);
}

#[test]
fn the_demo_server_behind_http_in_both_eras() {
    let world = World::start();
    let python = deps::python_copy(world.node.home(), "coder");
    register(
        &world.node,
        "coder",
        &format!("unix:path={}", python.display()),
    );
    let calls = json!([
        { "tool": "read_file", "arguments": { "path": "notes/plan.md" } },
        { "tool": "read_file", "arguments": { "path": "secrets/prod.env" } },
        { "tool": "add_note", "arguments": { "title": "hello", "body": "from python" } },
    ]);
    for (opening, revision) in [("client", "2026-07-28"), ("session", "2025-11-25")] {
        let before = world.tools.calls();
        let task = open_task(&world.node, "coder", "workspace", "read the plan");
        let mut calls = calls.clone();
        calls[2]["arguments"]["title"] = json!(opening);
        let said = over_http(&world.node, &python, "workspace", opening, &task, &calls);
        assert_eq!(said[0]["opened"], revision, "{said:?}");
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
        assert_eq!(said[4]["error"], false, "{}", said[4]);
        assert_eq!(
            world.tools.calls(),
            before + 2,
            "{:#?}",
            world.tools.journal()
        );
    }
    assert_eq!(world.tools.ran("read_file").len(), 2);
    assert!(
        world
            .tools
            .ran("read_file")
            .iter()
            .all(|arguments| arguments.contains("plan.md"))
    );
}
