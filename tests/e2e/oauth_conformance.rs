//! MCP's own conformance suite (`@modelcontextprotocol/conformance`) against the node as an authorization server.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::login::CLIENT;
use crate::harness::{Browser, DEADLINE, Login, Process, deps};

/// The suite's command.
fn suite(login: &Login, results: &Path) -> Command {
    let mut command = deps::conformance();
    command
        .args(["authorization", "--url", login.world.node.ready("console")])
        .arg("--output-dir")
        .arg(results);
    command
}

/// What it found: id, status, and what was wrong, of each check.
fn found(results: &Path) -> Vec<(String, String, String)> {
    let entries = std::fs::read_dir(results).expect("the suite wrote nothing");
    let mut all = Vec::new();
    for entry in entries {
        let text = std::fs::read_to_string(entry.unwrap().path().join("checks.json")).unwrap();
        let checks: Vec<Value> = serde_json::from_str(&text).unwrap();
        all.extend(checks.iter().map(|check| {
            let text = |member: &str| check[member].as_str().unwrap_or_default().to_owned();
            (text("id"), text("status"), text("errorMessage"))
        }));
    }
    all
}

fn passed(id: &str) -> (String, String, String) {
    (id.to_owned(), "SUCCESS".to_owned(), String::new())
}

#[test]
fn the_metadata_is_as_the_suite_of_mcp_wants_it() {
    let login = Login::with("client_hosts = { \"clients.example\" = \"tester\" }");
    let results = login.world.node.home().join("results");
    let mut command = suite(&login, &results);
    command.args(["--scenario", "authorization-server-metadata-endpoint"]);
    let ran = command.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}");
    assert_eq!(
        found(&results),
        [
            passed("authorization-server-metadata"),
            passed("authorization-server-metadata-cimd")
        ],
        "{said}"
    );
}

/// Whether its authorization-code scenario ends well, with a person who says yes; and what it found.
fn authorization_code(login: &Login) -> (bool, Vec<(String, String, String)>) {
    let home = login.world.node.home();
    let results = home.join("results");
    // The suite takes a port and no listener: one that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let port = port.unwrap().port().to_string();
    let back = format!("http://127.0.0.1:{port}/callback");
    let mut command = suite(login, &results);
    command
        .args(["--client-id", CLIENT, "--port", &port, "--resource"])
        .arg(login.world.agent.resource("workspace"));
    let mut running = Process::start("conformance", &mut command, &home.join("suite.log"));
    let url = loop {
        let line = running.line_within(DEADLINE);
        let line = line.unwrap_or_else(|error| panic!("{error}\n{}", running.log()));
        if line.starts_with("http") {
            break line;
        }
    };
    let mut browser = Browser::default();
    let page = login.sign_in(&mut browser, &url, "alice");
    let page = browser.submit(&page, &[("answer", "allow")], &back);
    let location = page.location.unwrap_or_else(|| panic!("{}", page.html));
    browser.send("GET", &location, &[], None);
    let status = running.wait();
    (status.success(), found(&results))
}

/// The suite's client shows no DPoP proof, and its user's consent is worth nothing without: the one thing that keeps this scenario from
/// passing is what keeps a stolen code from being used.
#[test]
fn a_client_of_the_suite_gets_a_code_and_no_unbound_token() {
    let login = Login::start();
    let (passed, all) = authorization_code(&login);
    assert!(!passed, "it passed: it is time to say so");
    let refused = (
        "authorization-code-grant".to_owned(),
        "FAILURE".to_owned(),
        "Invalid status code: 400".to_owned(),
    );
    assert!(
        all.contains(&refused),
        "{all:?}\n{}",
        login.world.node.log()
    );
}

/// Where the operator lets that very client go without a key, the scenario passes.
#[test]
fn a_client_of_the_suite_that_is_named_passes() {
    let login = Login::with(&format!("unbound_clients = [\"{CLIENT}\"]"));
    let (success, all) = authorization_code(&login);
    assert!(success, "{all:?}\n{}", login.world.node.log());
    assert!(all.contains(&passed("authorization-code-grant")), "{all:?}");
    assert!(
        all.iter().all(|(_, status, _)| status != "FAILURE"),
        "{all:?}"
    );
}
