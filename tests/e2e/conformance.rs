//! The official conformance suite of MCP against a server, directly and through the gateway: every check that the server passes by itself
//! it passes behind the gateway too. The relay between them adds an agent's token and proofs, and nothing else.

mod offered;
mod relay;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::harness::world::{add_server, open_task, publish};
use crate::harness::{Agent, Node, Process, Setup, agent, deps};
use offered::Offered;
use relay::Relay;

/// How each check of each scenario went.
type Checks = BTreeMap<(String, String), Vec<String>>;

/// Scenarios whose passing rests on something that the gateway leaves out on purpose; none of them counts for a revision.
const LEFT_OUT: &[&str] = &[
    // A stream that was cut is not resumed through the gateway: its event ids do not reach the client.
    "server-sse-polling",
];

/// A policy under which everything that the suite tries is permitted.
const POLICY: &str = r#"
@id("conformance/all")
@reason("The suite tries everything.")
permit (principal, action, resource);
"#;

/// Runs the suite at `url`; gives its checks.
fn run(revision: &str, url: &str, results: &Path) -> Checks {
    std::fs::create_dir_all(results).unwrap();
    let mut suite = deps::conformance();
    suite
        .args(["server", "--url", url, "--requirements", revision, "-o"])
        .arg(results)
        .current_dir(results);
    let ran = suite.output().unwrap();
    let mut checks = Checks::new();
    for scenario in std::fs::read_dir(results).unwrap() {
        let path = scenario.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        // `server-<scenario>-<time>`; the time has 25 characters with its hyphen.
        let name = name.strip_prefix("server-").unwrap_or(name);
        let name = name.get(..name.len() - 25).unwrap();
        let text = std::fs::read_to_string(path.join("checks.json")).unwrap_or_default();
        let listed: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
        for check in listed {
            let id = check["id"].as_str().unwrap_or_default().to_owned();
            let said = format!(
                "{} {}",
                check["status"].as_str().unwrap_or_default(),
                check["errorMessage"]
            );
            checks.entry((name.to_owned(), id)).or_default().push(said);
        }
    }
    let output = String::from_utf8_lossy(&ran.stdout);
    assert!(
        checks.len() > 40,
        "{output}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    checks
}

fn passes(said: &str) -> bool {
    said.starts_with("SUCCESS") || said.starts_with("INFO") || said.starts_with("SKIPPED")
}

/// Holds the suite against a server, with and without the gateway before it. Two servers, so that neither run sees what the other left.
fn through_as_directly(revision: &str, direct: &str, behind: &str) {
    // What the suite tries on purpose is what monitors are there for.
    let node = Node::with(&Setup {
        audit: "[monitors]\noff = [\"denied_streak\"]".to_owned(),
        ..Setup::default()
    });
    let agent = Arc::new(Agent::register(&node));
    let server = json!({
        "name": "suite",
        "transport": { "kind": "http", "url": behind },
        "trust": "reviewed",
    });
    add_server(&node, &server, |_| "read");
    publish(
        &node,
        &json!({ "bundle.toml": "name = \"suite\"\n", "all.cedar": POLICY }),
    );
    let task = open_task(&node, agent::NAME, "suite", "run the suite");
    let relay = Relay::start(&agent, "suite", &task);
    let (home, direct_home) = (node.home().join("through"), node.home().join("direct"));
    let (directly, through) = std::thread::scope(|scope| {
        let directly = scope.spawn(|| run(revision, direct, &direct_home));
        let through = run(revision, relay.url(), &home);
        (directly.join().unwrap(), through)
    });
    let all = |said: &Vec<String>| said.iter().all(|one| passes(one));
    let mut lost = Vec::new();
    for (key, said) in &directly {
        let behind = through.get(key);
        if !LEFT_OUT.contains(&key.0.as_str()) && all(said) && !behind.is_some_and(all) {
            lost.push(format!("{} {}: {behind:?}", key.0, key.1));
        }
    }
    assert!(
        lost.is_empty(),
        "passes directly, and not through the gateway:\n{}\n{}",
        lost.join("\n"),
        node.log()
    );
    for scenario in required(revision) {
        let mut checks = directly
            .iter()
            .filter(|(key, _)| key.0 == scenario)
            .peekable();
        assert!(checks.peek().is_some(), "{scenario} did not run");
        for (key, said) in checks {
            assert!(
                all(said),
                "the server itself does not pass {key:?}: {said:?}"
            );
        }
    }
}

/// The scenarios that a server of a revision has to pass, as the suite itself lists them.
fn required(revision: &str) -> Vec<String> {
    let list = deps::conformance_requirements(revision);
    let list = std::fs::read_to_string(list).unwrap();
    let mut lines = list.lines().skip_while(|line| *line != "server:").skip(1);
    let listed = lines.by_ref().map_while(|line| line.strip_prefix("  - "));
    let listed: Vec<String> = listed.map(str::to_owned).collect();
    assert!(listed.len() >= 30, "{listed:?}");
    listed
}

fn python_server(home: &Path) -> (Process, String) {
    let mut command = Command::new(deps::python());
    command.arg(deps::script("suite_server.py"));
    let mut process = Process::start(
        "the server for the suite",
        &mut command,
        &home.join("server.log"),
    );
    let url = process.line();
    (process, url)
}

fn of_a_python_server(revision: &str) {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_one, direct) = python_server(one.path());
    let (_other, behind) = python_server(other.path());
    through_as_directly(revision, &direct, &behind);
}

#[test]
fn conformance_of_a_python_server_2025_11_25() {
    of_a_python_server("2025-11-25");
}

#[test]
fn conformance_of_a_python_server_2026_07_28() {
    of_a_python_server("2026-07-28");
}

fn of_a_rust_server(revision: &str) {
    let (one, other) = (Offered::start(), Offered::start());
    through_as_directly(revision, &one.url(), &other.url());
}

#[test]
fn conformance_of_a_rust_server_2025_11_25() {
    of_a_rust_server("2025-11-25");
}

#[test]
fn conformance_of_a_rust_server_2026_07_28() {
    of_a_rust_server("2026-07-28");
}
