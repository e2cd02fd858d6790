//! A bundle of evidence leaves the node, and proves itself elsewhere: by the commands of its own VERIFY.md, as they stand.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;

use crate::audit_chain::{files, find};
use crate::harness::{Node, World, deps};

/// In the arguments of a call.
const ARGUMENT: &str = "canary-argument-40c1";

/// Where a bundle is checked: a directory with nothing else, and nothing of the node's.
struct Elsewhere {
    dir: PathBuf,
    vkey: String,
    evidence_key: String,
}

impl Elsewhere {
    /// Commands of VERIFY.md, in its order.
    fn commands(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.join("VERIFY.md")).unwrap();
        let blocks = text.split("\n```sh\n").skip(1);
        blocks
            .map(|block| block.split("\n```").next().unwrap().to_owned())
            .collect()
    }

    fn run(&self, command: &str) -> Output {
        let bailiwick = Path::new(env!("CARGO_BIN_EXE_bailiwick"))
            .parent()
            .unwrap()
            .to_owned();
        let verifiers = deps::root().join(".deps/tlog/bin");
        let mut path: Vec<PathBuf> = vec![bailiwick, verifiers];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let path: OsString = std::env::join_paths(path).unwrap();
        Command::new("sh")
            .args(["-eu", "-c", command])
            .current_dir(&self.dir)
            .env_clear()
            .env("PATH", path)
            .env("HOME", &self.dir)
            .env("GOCACHE", deps::root().join(".deps/go/cache"))
            .env("VKEY", &self.vkey)
            .env("EVIDENCE_KEY", &self.evidence_key)
            .output()
            .unwrap()
    }
}

#[test]
fn evidence_offline() {
    let mut world = World::start();
    let node = &world.node;
    let (task, client) = world.session();
    client.ok("read_file", r#"{"path":"notes/plan.md"}"#);
    let said = json!({"title": "n", "body": ARGUMENT}).to_string();
    client.ok("add_note", &said);
    client.refused("read_file", r#"{"path":"secrets/prod.env"}"#);
    node.cli(&["task", "complete", &task]);
    let condition = format!("task={task}");
    let export = |name: &str, more: &[&str]| {
        let to = node.home().join(name);
        let arguments = [
            "audit",
            "export",
            "evidence",
            &condition,
            "-o",
            to.to_str().unwrap(),
        ];
        node.cli(&[&arguments, more].concat());
        to
    };
    let plain = export("plain.tar", &[]);
    assert_eq!(
        find(&std::fs::read(&plain).unwrap(), ARGUMENT.as_bytes()),
        None
    );
    let opened = export("opened.tar", &["--reveal", "--reason", "INC-4"]);

    values_are_for_operators(node);
    on_record(node);

    let log = node.cli(&["audit", "log"]);
    let elsewhere = tempfile::tempdir().unwrap();
    world.node.stop();
    let elsewhere = Elsewhere {
        dir: elsewhere.path().canonicalize().unwrap(),
        vkey: log["vkey"].as_str().unwrap().to_owned(),
        evidence_key: log["evidence_vkey"].as_str().unwrap().to_owned(),
    };
    let unpacked = Command::new("tar")
        .arg("xf")
        .arg(&opened)
        .arg("-C")
        .arg(&elsewhere.dir)
        .status();
    assert!(unpacked.unwrap().success());
    let leaves = files(&elsewhere.dir.join("leaves"));
    assert!(leaves.len() >= 6, "{leaves:?}");

    let commands = elsewhere.commands();
    assert_eq!(commands.len(), 3);
    for command in &commands {
        let ran = elsewhere.run(command);
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(
            ran.status.success(),
            "{command}\n{said}{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        assert!(
            said.contains(&format!("{} events", leaves.len())),
            "{command}\n{said}"
        );
    }
    let timeline = std::fs::read_to_string(elsewhere.dir.join("timeline.txt")).unwrap();
    // The story as `audit task` tells it, with what was disclosed and without a claim to be all.
    let words: Vec<&str> = timeline.split_whitespace().collect();
    let words = words.join(" ");
    for part in [
        "opened the task",
        "workspace/add_note write",
        ARGUMENT,
        "in this bundle:",
    ] {
        assert!(words.contains(part), "{part}: {timeline}");
    }
    let policies = files(&elsewhere.dir.join("policy"));
    assert_eq!(policies.len(), 1, "the policy that decided is not there");

    // One letter of one event: each of the three says no, and ours names the file.
    let touched = leaves
        .iter()
        .find(|leaf| find(&std::fs::read(leaf).unwrap(), b"tool.refused").is_some());
    let touched = touched.unwrap();
    let text = std::fs::read_to_string(touched).unwrap();
    std::fs::write(touched, text.replacen("tool.refused", "tool.refuseD", 1)).unwrap();
    for command in &commands {
        let ran = elsewhere.run(command);
        assert_eq!(ran.status.code(), Some(1), "{command}\n{ran:?}");
    }
    let named = elsewhere.run(&commands[0]);
    let name = touched
        .strip_prefix(&elsewhere.dir)
        .unwrap()
        .to_str()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&named.stdout).contains(name),
        "{named:?}"
    );

    // The packed one is as it was.
    let ours = elsewhere.run(&format!(
        "bailiwick audit verify {} --vkey \"$VKEY\"",
        opened.display()
    ));
    assert_eq!(ours.status.code(), Some(0), "{ours:?}");
}

/// Who saw the values is on record.
fn on_record(node: &Node) {
    let revealed = node.events();
    let revealed = revealed
        .iter()
        .filter(|event| event["type"] == "log.revealed");
    assert!(revealed.clone().count() >= 4);
    assert!(
        revealed
            .clone()
            .all(|event| event["change"]["after"] == "INC-4")
    );
}

/// Who may not see values gets no bundle with them.
fn values_are_for_operators(node: &Node) {
    node.api(
        "POST",
        "/v1/accounts",
        Some(&json!({"name": "reader", "roles": ["viewer"]})),
    );
    let token = node.api(
        "POST",
        "/v1/accounts/reader/token",
        Some(&json!({"ttl_s": 600})),
    );
    let mut reader = node.command(&[
        "audit", "export", "evidence", "--reveal", "--reason", "x", "-o",
    ]);
    let reader = reader
        .arg(node.home().join("not.tar"))
        .env("BAILIWICK_TOKEN", token["token"].as_str().unwrap())
        .output()
        .unwrap();
    assert_eq!(reader.status.code(), Some(5), "{reader:?}");
    assert!(!node.home().join("not.tar").exists());
}
