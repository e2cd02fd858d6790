//! People are told by Standard Webhooks, which PyPI's `standardwebhooks` verifies: in order, nothing sealed, and again over an outage and a
//! restart.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::bad_config::serve;
use crate::harness::child::Process;
use crate::harness::node::config_of;
use crate::harness::{Mcp, Setup, World};
use crate::ship::{metric, script, until};
use crate::step_up::SHIP;

/// The base64 of 32 bytes.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
/// Another one.
const OTHER: &str = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";

/// A setup whose node tells a receiver; the secret's file is in `home`.
fn telling(url: &str, secret: &str, home: &Path) -> Setup {
    let file = home.join("webhook.secret");
    fs::write(&file, format!("{secret}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    Setup {
        audit: format!(
            "[notify]\nwebhook = {{ url = \"{url}\", secret_file = \"{}\" }}",
            file.display()
        ),
        approval_wait: "1s",
        ..Setup::default()
    }
}

/// What the receiver was told next of an approval, if it believes it.
fn told(receiver: &mut Process) -> Value {
    loop {
        let line: Value = serde_json::from_str(&receiver.line()).unwrap();
        let said = line["said"].clone();
        assert_eq!(line["id"], said["data"]["event"]["id"], "{line}");
        assert_eq!(said["type"], said["data"]["event"]["type"], "{line}");
        if said["type"].as_str().unwrap().starts_with("approval.") {
            return said;
        }
    }
}

/// A call that asks for a person and does not wait; the decision that it ends with.
fn ask(client: &Mcp<'_>, arguments: &str) -> Value {
    let decision = client.refused("update_order", arguments);
    assert_eq!(decision["code"], "approval_required", "{decision}");
    decision
}

#[test]
fn people_are_told_over_an_outage_and_a_restart_and_of_nothing_sealed() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("receiver.log");
    // Refuses twice before it takes anything.
    let (mut receiver, url) = script("webhook_receiver.py", &[SECRET, "2", "0"], &log);
    let mut world = World::with(&telling(&url, SECRET, home.path()));
    let (task, client) = world.session();
    let decision = ask(&client, SHIP);
    let asked = told(&mut receiver);
    assert_eq!(asked["type"], "approval.requested");
    assert_eq!(asked["data"]["url"], decision["url"], "{asked}");
    let id = decision["approval"].as_str().unwrap();
    world
        .node
        .cli(&["approval", "deny", id, "--reason", "a secret reason"]);
    let answered = told(&mut receiver);
    assert_eq!(answered["type"], "approval.answered");
    for said in [&asked, &answered] {
        assert_eq!(said["data"]["event"]["task"]["id"], json!(task), "{said}");
        let text = said.to_string();
        assert!(
            !text.contains("shipped") && !text.contains("secret"),
            "{text}"
        );
    }

    // Asked while nobody listens there, told by the node's next process.
    receiver.signal(Signal::TERM);
    receiver.wait();
    let decision = ask(&client, r#"{"id": 8, "status": "shipped"}"#);
    drop(client);
    world.node.stop();
    let port = url.rsplit(':').next().unwrap().trim_end_matches("/hook");
    let (mut receiver, _) = script("webhook_receiver.py", &[SECRET, "0", port], &log);
    world.node.start_again();
    let asked = told(&mut receiver);
    assert_eq!(asked["type"], "approval.requested", "{asked}");
    let id = &asked["data"]["event"]["approval"]["id"];
    assert_eq!(*id, decision["approval"], "{asked}");
}

#[test]
fn who_does_not_believe_it_holds_nothing_back() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("receiver.log");
    let (mut receiver, url) = script("webhook_receiver.py", &[OTHER, "0", "0"], &log);
    let world = World::with(&telling(&url, SECRET, home.path()));
    let (_, client) = world.session();
    for number in 0..2 {
        ask(
            &client,
            &format!(r#"{{"id": {number}, "status": "shipped"}}"#),
        );
        let line: Value = serde_json::from_str(&receiver.line()).unwrap();
        assert!(line["refused"].is_string(), "{line}");
    }
    until("given up", &world.node, || {
        metric(
            &world.node,
            "bailiwick_export_rejected_events_total{shape=\"webhook\"}",
        ) >= 2
    });
}

#[test]
fn a_secret_that_is_none_or_that_others_read_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("webhook.secret");
    let setup = telling("http://127.0.0.1:9/hook", SECRET, home.path());
    let config = config_of(home.path());
    let text = fs::read_to_string(&config).unwrap_or_default();
    let data = json!(home.path().join("data"));
    fs::write(
        &config,
        format!(
            "{text}\nversion = 1\n[node]\ndata_dir = {data}\n{}\n",
            setup.audit
        ),
    )
    .unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let ran = serve(&config, "json");
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stderr.contains("sign what the receiver believes"),
        "{ran:?}"
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    for none in ["secret", "whsec_", "whsec_c2hvcnQ=", "whsec_?"] {
        fs::write(&file, none).unwrap();
        let ran = serve(&config, "json");
        assert!(ran.stderr.contains("webhook.secret"), "{none}: {ran:?}");
    }
}
