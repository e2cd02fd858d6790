//! Secrets that lie where they should not be: a leased one is named as ours, with its task, and one command kills it; another becomes a
//! finding that waits for its owner. Nothing of either is kept.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{Bench, text};
use crate::audit_chain::{files, find};
use crate::harness::node::Ran;
use crate::harness::{Node, Process};

/// A process that holds a variable until it is told to end.
fn holder(node: &Node, name: &str, value: &str) -> Process {
    let log = node.home().join("holder.log");
    Process::start(
        "a process with a secret",
        Command::new("sleep")
            .arg("600")
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env(name, value),
        &log,
    )
}

fn scan(node: &Node, words: &[&str]) -> Ran {
    node.run(&[&["scan"], words, &["--send", "--owner", "web-team"]].concat())
}

fn only(ran: &Ran) -> Value {
    let report = ran.json();
    let secrets = report["secrets"].as_array().unwrap();
    assert_eq!(secrets.len(), 1, "{report}");
    secrets[0].clone()
}

/// No file of the node has it, nor its digest.
fn kept_nowhere(node: &Node, secret: &str) {
    let digest = bailiwick_crypto::fingerprint::SecretDigest::of(secret.as_bytes());
    let digest = bailiwick_core::Digest(*digest.expose());
    for path in files(&node.data()) {
        let bytes = std::fs::read(&path).unwrap_or_default();
        for forbidden in [secret.to_owned(), digest.to_hex()] {
            let found = find(&bytes, forbidden.as_bytes());
            assert!(found.is_none(), "{} holds it", path.display());
        }
        assert!(find(&bytes, &digest.0).is_none(), "{}", path.display());
    }
}

#[test]
fn a_leased_secret_in_a_process_is_ours_and_one_command_kills_it() {
    let bench = Bench::start();
    bench.permit();
    let node = &bench.world.node;
    let task = bench.world.task();
    let lease = bench.take(&bench.token(&task));
    let (id, password) = (text(&lease, "/lease"), text(&lease, "/secret"));
    let thief = holder(node, "ORDERS_PASSWORD", password);
    let pid = thief.pid().to_string();

    let found = scan(node, &["process", &pid]);
    let secret = only(&found);
    assert_eq!(secret["link"], "ours_live", "{secret}");
    assert_eq!(
        (&secret["known"]["lease"], &secret["known"]["task"]),
        (&json!(id), &json!(task)),
        "{secret}"
    );
    assert!(secret["fingerprint"].as_str().unwrap().starts_with("fp_"));
    let finding = text(&secret, "/known/finding").to_owned();
    let shown = node.cli(&["finding", "show", &finding]);
    assert_eq!(shown["fix"], format!("bailiwick finding fix {finding}"));
    // Who answers for the agent answers for what it leaked.
    let owner = node.cli(&["agent", "show", crate::harness::agent::NAME]);
    assert_eq!(shown["owner"], owner["owner"]);

    let fixed = node.run(&["finding", "fix", &finding]);
    assert_eq!(fixed.code, Some(0), "{fixed:?}");
    let fixed = fixed.json();
    assert_eq!(
        (&fixed["state"], &fixed["link"], &fixed["pending"]),
        (&json!("fixed"), &json!("ours_dead"), &json!(false)),
        "{fixed}"
    );
    assert_eq!(bench.server.roles(), Vec::<String>::new());
    // It lies there still, and is of no use.
    let again = only(&scan(node, &["process", &pid]));
    assert_eq!(
        (&again["link"], &again["known"]["finding"]),
        (&json!("ours_dead"), &json!(finding)),
        "{again}"
    );
    let twice = node.run(&["finding", "fix", &finding]);
    assert_eq!(twice.problem()["code"], "conflict", "{twice:?}");
    let recorded = |kind: &str| node.events().iter().filter(|it| it["type"] == kind).count();
    assert_eq!(
        (recorded("scan.completed"), recorded("finding.changed")),
        (2, 1)
    );
    for ran in [&found.stdout, &found.stderr] {
        assert!(!ran.contains(password));
    }
    kept_nowhere(node, password);
}

fn write(dir: &Path, secret: &str) {
    std::fs::write(dir.join("app.env"), format!("DB_PASSWORD={secret}\n")).unwrap();
}

#[test]
fn a_foreign_secret_waits_for_its_owner_until_it_is_gone() {
    let node = Node::start();
    let secret = ["blue", "42", "horse!", "tail"].concat();
    let dir = node.home().join("web");
    std::fs::create_dir(&dir).unwrap();
    write(&dir, &secret);
    let path = dir.to_str().unwrap();
    let here = || scan(&node, &["repo", path]);

    let found = only(&here());
    assert_eq!(found["link"], "foreign", "{found}");
    let id = text(&found, "/known/finding").to_owned();
    let show = || node.cli(&["finding", "show", &id]);
    let shown = show();
    assert_eq!(
        (&shown["state"], &shown["owner"], &shown["overdue"]),
        (&json!("open"), &json!("web-team"), &json!(false)),
        "{shown}"
    );
    // There is no lease to end, and it says what to do instead.
    let refused = node.run(&["finding", "fix", &id]);
    assert_eq!(refused.problem()["code"], "conflict", "{refused:?}");
    assert!(
        refused.problem()["help"]
            .as_str()
            .unwrap()
            .contains("rotated")
    );
    // The same secret elsewhere is the same finding.
    std::fs::write(dir.join("copy.env"), format!("DB_PASSWORD={secret}\n")).unwrap();
    assert_eq!(only(&here())["known"]["finding"], id);
    std::fs::remove_file(dir.join("copy.env")).unwrap();

    // Gone from the file says nothing about the secret; together with somebody's word it does.
    std::fs::remove_file(dir.join("app.env")).unwrap();
    assert_eq!(here().json()["secrets"], json!([]));
    assert_eq!(show()["state"], "open");
    node.cli(&["finding", "rotated", &id, "--note", "new password, INC-7"]);
    assert_eq!(show()["state"], "remediating");
    here();
    let closed = show();
    assert_eq!(closed["state"], "fixed", "{closed}");
    assert_eq!(closed["history"].as_array().unwrap().len(), 2, "{closed}");
    let standing = node.cli(&["finding", "standing"]);
    assert_eq!(
        (&standing["open"], &standing["fixed"]),
        (&json!(0), &json!(1))
    );
    // It is back: it was seen first when it was seen first.
    write(&dir, &secret);
    here();
    let back = show();
    assert_eq!(
        (&back["state"], &back["reopened"], &back["first_seen"]),
        (&json!("open"), &json!(1), &shown["first_seen"]),
        "{back}"
    );
    kept_nowhere(&node, &secret);

    let far = node.run(&[
        "finding",
        "accept",
        &id,
        "--until",
        "2126-01-01T00:00:00Z",
        "--reason",
        "later",
    ]);
    assert_eq!(far.problem()["code"], "invalid_input", "{far:?}");
    node.cli(&["finding", "dismiss", &id, "--reason", "a fixture"]);
    here();
    assert_eq!(show()["state"], "dismissed");
    let listed = node.run(&["finding", "list"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    let table = node.command(&["--output", "table", "finding", "show", &id]);
    let table = { table }.output().unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(
        table.contains("dismissed") && !table.contains(&secret),
        "{table}"
    );
}

#[test]
fn reports_have_bounds_and_need_the_right() {
    let node = Node::start();
    let secret = |text: &str| {
        json!({
            "digest": format!("sha256:{}", "0".repeat(64)), "check": text, "severity": "high",
            "places": ["x"], "count": 1,
        })
    };
    let report = |secrets: Vec<Value>| json!({"kind": "repo", "host": "h", "target": "t", "complete": true, "owner": "o", "secrets": secrets});
    for wrong in [
        report(vec![secret(""); 1]),
        report(vec![secret(&"x".repeat(513)); 1]),
        report(vec![secret("x"); 1_001]),
    ] {
        let (status, answer) = node.try_api("POST", "/v1/scans", Some(&wrong));
        assert_eq!((status, &answer["code"]), (400, &json!("invalid_input")));
    }
    let (status, answer) = node.try_api("POST", "/v1/scans", Some(&report(vec![secret("x")])));
    assert_eq!(
        (status, &answer["items"][0]["link"]),
        (200, &json!("foreign"))
    );
    let unknown = node.run(&["finding", "show", "find_00000000000000000000000000"]);
    assert_eq!(unknown.problem()["code"], "not_found", "{unknown:?}");
}
