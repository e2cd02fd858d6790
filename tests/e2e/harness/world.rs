//! The usual set: a node, the demo's tool server behind it as `workspace`, the demo's policy, and the test process as an agent.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::tools::BEARER;
use super::{Agent, Mcp, Node, Setup, Tools};

/// A node with everything a call needs.
pub(crate) struct World {
    /// The node.
    pub(crate) node: Node,
    /// The tool server.
    pub(crate) tools: Tools,
    /// The test process.
    pub(crate) agent: Agent,
}

/// Tools of the demo's server that change something.
const WRITES: [&str; 3] = ["write_file", "add_note", "update_order"];

impl World {
    /// With the defaults of the tests.
    pub(crate) fn start() -> Self {
        Self::with(&Setup::default())
    }

    /// As a test wants it.
    pub(crate) fn with(setup: &Setup) -> Self {
        Self::at(tempfile::tempdir().unwrap(), setup)
    }

    /// In this directory.
    pub(crate) fn at(home: TempDir, setup: &Setup) -> Self {
        let tools = Tools::start(home.path());
        let node = Node::at(home, setup);
        let agent = Agent::register(&node);
        add_workspace(&node, &tools);
        publish(&node, &demo_policy());
        Self { node, tools, agent }
    }

    /// Opens a task on the workspace for the test process; its id.
    pub(crate) fn task(&self) -> String {
        open_task(
            &self.node,
            super::agent::NAME,
            "workspace",
            "look after the orders",
        )
    }

    /// Opens a task and an MCP session with it.
    pub(crate) fn session(&self) -> (String, Mcp<'_>) {
        let task = self.task();
        let client = Mcp::open(&self.agent, "workspace", &task);
        (task, client)
    }
}

/// Registers the tool server with its credential and accepts its tools.
pub(crate) fn add_workspace(node: &Node, tools: &Tools) {
    let response = node.request(
        "PUT",
        "/v1/secrets/workspace-token",
        Some(BEARER.as_bytes()),
    );
    assert!((200..300).contains(&response.status), "{}", response.text());
    let server = json!({
        "name": "workspace",
        "transport": { "kind": "http", "url": tools.url() },
        "trust": "first_party",
        "credential": "workspace-token",
    });
    add_server(node, &server, |tool| {
        if WRITES.contains(&tool) {
            "write"
        } else {
            "read"
        }
    });
}

/// Registers a server and accepts all its tools.
pub(crate) fn add_server(node: &Node, server: &Value, effect: impl Fn(&str) -> &'static str) {
    let added = node.api("POST", "/v1/servers", Some(server));
    let tools = added["tools"]
        .as_array()
        .unwrap_or_else(|| panic!("{added}"));
    assert!(!tools.is_empty(), "{added}");
    let name = server["name"].as_str().unwrap();
    for seen in node.items(&format!("/v1/tools?server={name}")) {
        let reference = seen["tool"]
            .as_str()
            .unwrap_or_else(|| panic!("{seen}"))
            .to_owned();
        let tool = reference.split_once('/').unwrap().1;
        let accept = json!({ "effect": effect(tool), "digest": seen["seen"] });
        node.api(
            "POST",
            &format!("/v1/tools/{name}/{tool}/accept"),
            Some(&accept),
        );
    }
}

/// Publishes a bundle.
pub(crate) fn publish(node: &Node, files: &Value) {
    node.api("PUT", "/v1/policy", Some(&json!({ "files": files })));
}

/// The demo's bundle: secrets are out of reach, orders change only with a person's word.
pub(crate) fn demo_policy() -> Value {
    json!({
        "bundle.toml": include_str!("../../../crates/policy/starter/demo/bundle.toml"),
        "workspace.cedar": include_str!("../../../crates/policy/starter/demo/workspace.cedar"),
    })
}

/// Opens a task of an agent with reads and writes on one server; its id.
pub(crate) fn open_task(node: &Node, agent: &str, server: &str, request: &str) -> String {
    let task = json!({
        "agent": agent,
        "user": "user:local:anna",
        "request": request,
        "scope": { "grants": [{ "server": [server], "tool": ["*"], "effects": ["read", "write"] }] },
    });
    let opened = node.api("POST", "/v1/tasks", Some(&task));
    opened["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{opened}"))
        .to_owned()
}
