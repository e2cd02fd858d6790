//! What operators do to a log: give it a new key, which other people's verifiers and witnesses accept beside the old one, and repair it when it
//! does not open.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::audit_chain::log_of;
use crate::bad_config::serve;
use crate::harness::node::{Ran, bailiwick, config_of, run};
use crate::harness::witness::Witness;
use crate::harness::{Node, Setup, deps};

/// Checks a log's files with a key.
fn verify(log: &Path, vkey: &str) -> Ran {
    let mut command = bailiwick(&["audit", "verify", "--output", "json", "--vkey", vkey]);
    run(command.arg(log), "")
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value}"))
        .to_owned()
}

/// The types on record, with what changed, as a directory has them.
fn own_events(log: &Path) -> Vec<Value> {
    let mut command = bailiwick(&["audit", "search", "--output", "json", "--type", "log"]);
    let found = run(command.args(["--limit", "1000", "--dir"]).arg(log), "").json();
    let found = found
        .as_array()
        .unwrap_or_else(|| panic!("{found}"))
        .clone();
    found
        .into_iter()
        .map(|event| event["leaf"].clone())
        .collect()
}

/// Something that goes on record.
fn grow(node: &Node, name: &str) {
    let body = json!({ "name": name, "roles": ["viewer"] });
    node.api("POST", "/v1/accounts", Some(&body));
}

#[test]
fn a_new_key_is_learned_from_the_record_and_accepted_by_everybody() {
    let mut node = Node::start();
    let old = node.ready("log_vkey").to_owned();
    let state = node.home().join("witness");
    // A witness that knows the old key alone, and one that will know both.
    let patient = Witness::ours(&state, "witness.example/w1", &old);
    let rotated = node.cli(&["audit", "rotate-key"]);
    let new = text(&rotated["vkey"]);
    assert_eq!(
        (&rotated["former"]["vkey"], new == old),
        (&json!(old), false),
        "{rotated}"
    );
    let again = node.run(&["audit", "rotate-key"]);
    assert_eq!(again.problem()["code"], "conflict", "{again:?}");
    let shown = node.cli(&["audit", "log"]);
    assert_eq!(shown["vkey"], json!(new));
    assert_eq!(shown["former"], rotated["former"]);

    // The event says it, and the key that was pinned vouches for the event.
    let events = node.events();
    let event = events
        .iter()
        .find(|event| event["type"] == "log.key_rotated")
        .unwrap_or_else(|| panic!("{events:?}"));
    assert_eq!(
        (&event["change"]["before"], &event["change"]["after"]),
        (&json!(old), &json!(new))
    );
    let proof = node.cli(&["audit", "prove", &text(&event["id"])]);
    let file = node.home().join("rotation.tlog-proof");
    std::fs::write(&file, format!("{}\n", text(&proof["proof"]).trim_end())).unwrap();
    for key in [&old, &new] {
        assert_eq!(verify(&file, key).code, Some(0));
    }
    let origin = text(&shown["origin"]);
    let (_, name) = origin.split_once('/').unwrap();
    let checkpoint = node.request("GET", &format!("/log/{name}/checkpoint"), None);
    let checkpoint = checkpoint.expect(200).text();
    assert_eq!(checkpoint.matches("\n— ").count(), 2, "{checkpoint}");
    let request = format!("old 0\n\n{checkpoint}");
    patient.add(request.as_bytes()).expect(200);

    node.stop();
    let log = log_of(&node);
    for key in [&old, &new] {
        let proven = verify(&log, key);
        assert_eq!(proven.code, Some(0), "{proven:?}");
        let go = Command::new(deps::go_verifier())
            .arg(&log)
            .arg(key)
            .output();
        let go = go.unwrap();
        assert!(
            go.status.success(),
            "{}",
            String::from_utf8_lossy(&go.stderr)
        );
        let aics = deps::tlog_verify(&log, key).output().unwrap();
        assert!(
            aics.status.success(),
            "{}",
            String::from_utf8_lossy(&aics.stdout)
        );
    }
    node.start_again();
    assert_eq!(node.ready("log_vkey"), new);
    assert_eq!(node.cli(&["audit", "log"])["former"]["vkey"], json!(old));
}

/// The first batch from `offset` on that is not under the checkpoint, by its number; one of its bytes is flipped.
fn damage(log: &Path, signed: u64) -> u64 {
    let wal = log.join("wal");
    let mut segments: Vec<_> = std::fs::read_dir(&wal)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.file_name().unwrap().len() == 16)
        .collect();
    segments.sort();
    for path in segments {
        let mut bytes = std::fs::read(&path).unwrap();
        for block in (4_096..bytes.len()).step_by(4_096) {
            // len u32, crc u32, kind u8, magic 8, segment, epoch, batch, first index: docs/reference/audit-log.md.
            let frame = &bytes[block..block + 64];
            if frame[8] != 2 || frame[9..17] != *b"\xf8\xffBWB1\xff\xf9" {
                continue;
            }
            let number = |at: usize| u64::from_le_bytes(frame[at..at + 8].try_into().unwrap());
            let (batch, first) = (number(33), number(41));
            if first > signed {
                bytes[block + 100] ^= 1;
                std::fs::write(&path, bytes).unwrap();
                return batch;
            }
        }
    }
    panic!("everything is signed");
}

fn signed(log: &Path) -> u64 {
    let note = std::fs::read_to_string(log.join("checkpoint")).unwrap();
    note.lines().nth(1).unwrap().parse().unwrap()
}

fn repair(node: &Node, arguments: &[&str]) -> Ran {
    let mut command = bailiwick(&["audit", "repair", "--output", "json"]);
    command
        .args(arguments)
        .arg("--config")
        .arg(config_of(node.home()));
    run(&mut command, "")
}

fn configured(node: &Node, from: &str, to: &str) {
    let config = config_of(node.home());
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.contains(from));
    std::fs::write(&config, text.replace(from, to)).unwrap();
}

#[test]
fn a_damaged_log_is_cut_on_record_or_left_on_record() {
    let mut node = Node::with(&Setup::default());
    node.stop();
    // Signed once, when it opens, and not again before it is killed.
    configured(&node, "publish_every = \"100ms\"", "publish_every = \"1m\"");
    node.start_again();
    let log = log_of(&node);
    for number in 0..30 {
        grow(&node, &format!("viewer-{number}"));
    }
    node.kill_nine();
    let vkey = node.ready("log_vkey").to_owned();
    let batch = damage(&log, signed(&log) + 5).to_string();

    let refused = serve(&config_of(node.home()), "json");
    let problem = refused.problem();
    assert_eq!(
        (refused.code, &problem["code"]),
        (Some(1), &json!("log_corrupt")),
        "{problem}"
    );
    let message = text(&problem["message"]);
    assert!(
        message.contains("segment 0") && message.contains("at block"),
        "{message}"
    );
    let command = format!("audit repair --cut-at {batch} --reason");
    assert!(text(&problem["help"]).contains(&command), "{problem}");
    assert_ne!(verify(&log, &vkey).code, Some(0));

    for (arguments, code) in [
        (vec!["--cut-at", "0", "--reason", "INC-9"], "invalid_input"),
        (vec!["--cut-at", &batch, "--reason", " "], "invalid_input"),
        (
            vec!["--succeed", "another", "--reason", "INC-9"],
            "invalid_input",
        ),
    ] {
        let refused = repair(&node, &arguments);
        assert_eq!(refused.problem()["code"], code, "{arguments:?}");
    }
    let cut = repair(
        &node,
        &["--cut-at", &batch, "--reason", "INC-9: bad sector"],
    );
    assert_eq!(cut.code, Some(0), "{cut:?}");
    let cut = cut.json();
    assert_eq!(verify(&log, &vkey).code, Some(0));
    let copy = std::fs::read(log.join(text(&cut["file"]))).unwrap();
    let digest = bailiwick_crypto::hash::sha256(&[&copy]).to_string();
    assert_eq!(json!(digest), cut["digest"]);

    node.start_again();
    grow(&node, "afterwards");
    let events = node.events();
    let gap = events.iter().find(|event| event["type"] == "log.gap");
    let gap = gap.unwrap_or_else(|| panic!("{events:?}"));
    let change = &gap["change"];
    assert_eq!(
        (&change["id"], &change["before"]),
        (&json!(batch), &json!(digest))
    );
    let said = text(&change["after"]);
    assert!(
        said.contains("INC-9: bad sector") && said.contains(&copy.len().to_string()),
        "{said}"
    );
    node.stop();
    assert_eq!(verify(&log, &vkey).code, Some(0));

    // What was signed cannot be cut; the log is left, and another says what it follows.
    let last = signed(&log);
    let batch = damage(&log, last / 2).to_string();
    let refused = repair(&node, &["--cut-at", &batch, "--reason", "INC-10"]);
    assert_eq!(refused.problem()["code"], "log_rolled_back", "{refused:?}");
    let old = text(&gap["node"]);
    configured(&node, "[node]\n", "[node]\nname = \"second\"\n");
    let left = repair(&node, &["--succeed", &old, "--reason", "INC-10"]);
    assert_eq!(left.code, Some(0), "{left:?}");
    assert_eq!(left.json()["signed"], json!(last));
    let done = repair(&node, &["--succeed", &old, "--reason", "INC-10"]);
    assert_eq!(done.problem()["code"], "conflict", "{done:?}");
    node.start_again();
    grow(&node, "third");
    let own = own_events(&log);
    let gap = own.iter().find(|event| event["type"] == "log.gap");
    let change = &gap.unwrap_or_else(|| panic!("{own:?}"))["change"];
    assert_eq!(change["id"], json!(format!("e2e.internal/{old}")));
    assert!(
        text(&change["before"]).starts_with(&format!("{last} sha256:")),
        "{change}"
    );
    let vkey = node.ready("log_vkey").to_owned();
    node.stop();
    assert_eq!(verify(&log, &vkey).code, Some(0));
    let kept = node.data().join(format!("audit.{old}"));
    assert!(kept.join("wal").is_dir(), "the old log is left as it was");
}
