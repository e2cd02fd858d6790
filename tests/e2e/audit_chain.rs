//! The record through the command line: it grows, tells a task's story, is proved event by event, and shows where it was touched.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::node::{Ran, bailiwick, run};
use crate::harness::{Node, Process, World};

/// Directory of a node's log.
pub(crate) fn log_of(node: &Node) -> PathBuf {
    node.data().join("audit")
}

/// Checks a log's files with the key that the node named when it started. Needs no node.
pub(crate) fn verify(node: &Node, path: &Path) -> Ran {
    let mut command = bailiwick(&[
        "audit",
        "verify",
        "--output",
        "json",
        "--vkey",
        node.ready("log_vkey"),
    ]);
    run(command.arg(path), "")
}

#[test]
fn the_record_tells_the_story_and_proves_each_event() {
    let mut world = World::start();
    let node = &world.node;
    let followed = {
        let mut follower = Process::start(
            "audit tail",
            node.command(&["audit", "tail"]).args(["--output", "json"]),
            &node.home().join("tail.log"),
        );
        let (task, client) = world.session();
        client.ok("read_file", r#"{"path":"notes/plan.md"}"#);
        client.refused("read_file", r#"{"path":"secrets/prod.env"}"#);
        let refused = loop {
            let event: Value = serde_json::from_str(&follower.line()).unwrap();
            if event["leaf"]["type"] == "tool.refused" {
                break event;
            }
        };
        assert_eq!(refused["leaf"]["task"]["id"], json!(task), "{refused}");
        node.cli(&["task", "complete", &task]);
        task
    };

    let story = node.cli(&["audit", "task", &followed]);
    assert_eq!(
        (&story["whole"]["gaps"], &story["whole"]["altered"]),
        (&json!(0), &json!(0)),
        "{story}"
    );
    let story: Vec<&Value> = story["events"]
        .as_array()
        .unwrap_or_else(|| panic!("{story}"))
        .iter()
        .map(|item| &item["leaf"])
        .collect();
    let kinds: Vec<&str> = story
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    let order = [
        "task.opened",
        "token.issued",
        "tool.intent",
        "tool.result",
        "tool.refused",
        "task.ended",
    ];
    let mut rest = kinds.iter();
    for kind in order {
        assert!(
            rest.any(|found| *found == kind),
            "{kind} is not in its place: {kinds:?}"
        );
    }
    let told = run(&mut node.command(&["audit", "task", &followed]), "");
    assert_eq!(told.code, Some(0));
    reads_like_a_story(&told.stdout);

    let found = node.cli(&["audit", "search", "type=tool.intent", "agent=tester"]);
    assert_eq!(found["items"].as_array().map(Vec::len), Some(1), "{found}");

    // A proof stands alone: the node need not be there to check it.
    let intent = story
        .iter()
        .find(|event| event["type"] == "tool.intent")
        .unwrap()["id"]
        .as_str()
        .unwrap();
    let proof = run(&mut node.command(&["audit", "prove", intent]), "");
    assert_eq!(proof.code, Some(0), "{proof:?}");
    let file = node.home().join("intent.proof");
    std::fs::write(&file, &proof.stdout).unwrap();
    let proven = verify(node, &file);
    assert_eq!(
        (proven.code, &proven.json()["verdict"]),
        (Some(0), &json!("proven")),
        "{proven:?}"
    );
    let altered = proof.stdout.replace("index ", "index 1");
    assert_ne!(altered, proof.stdout, "{altered}");
    std::fs::write(&file, altered).unwrap();
    assert_ne!(verify(node, &file).code, Some(0));

    world.node.stop();
    let whole = verify(&world.node, &log_of(&world.node));
    assert_eq!(
        (whole.code, &whole.json()["verdict"]),
        (Some(0), &json!("proven")),
        "{whole:?}"
    );
    let offline = run(
        bailiwick(&["audit", "task", &followed, "--output", "json", "--dir"])
            .arg(log_of(&world.node)),
        "",
    );
    let offline = offline.json();
    let later = offline["events"].as_array().unwrap();
    for event in &story {
        let there = later
            .iter()
            .find(|later| later["leaf"]["id"] == event["id"]);
        let proof = there.map(|there| &there["proof"]["state"]);
        assert_eq!(proof, Some(&json!("proven")), "{event} in {offline}");
    }
}

fn reads_like_a_story(told: &str) {
    let words: Vec<&str> = told.split_whitespace().collect();
    let words = words.join(" ");
    for line in ["opened the task", "workspace/read_file read", " DENY demo/"] {
        assert!(words.contains(line), "{line}: {told}");
    }
    let last = told.lines().last().unwrap_or_default();
    assert!(last.starts_with("complete: "), "{last}");
}

#[test]
fn a_log_that_was_touched_names_the_index() {
    let mut world = World::start();
    let (_, client) = world.session();
    for _ in 0..20 {
        client.ok("list_files", "{}");
    }
    world.node.stop();
    let log = log_of(&world.node);
    let whole = verify(&world.node, &log).json();
    let size = whole["size"].as_u64().unwrap();
    assert!(size > 60, "{whole}");

    let touched = world.node.home().join("touched");
    let mut flipped = 0;
    for file in files(&log) {
        let name = file.strip_prefix(&log).unwrap().display().to_string();
        let bytes = std::fs::read(&file).unwrap();
        // The index is made from the log, and proves nothing.
        if name.starts_with("index/") {
            continue;
        }
        // A shorter bundle that a longer one has replaced is not part of the tree any more.
        if name.contains(".p/") && !name.ends_with(&format!(".p/{}", size % 256)) {
            continue;
        }
        // A word of an event, wherever it is kept.
        let Some(at) = find(&bytes, b"tool.intent") else {
            continue;
        };
        copy(&log, &touched);
        let mut altered = bytes.clone();
        altered[at + 5] ^= 0x20;
        std::fs::write(touched.join(&name), altered).unwrap();
        let verdict = verify(&world.node, &touched);
        assert_eq!(verdict.code, Some(1), "{name}: {verdict:?}");
        let said = verdict.json();
        assert_eq!(said["verdict"], "altered", "{name}: {said}");
        assert!(
            said["index"].as_u64().is_some_and(|index| index < size),
            "{name}: no index: {said}"
        );
        assert!(
            said["message"]
                .as_str()
                .unwrap()
                .contains(&format!("index {}", said["index"])),
            "{said}"
        );
        std::fs::remove_dir_all(&touched).unwrap();
        flipped += 1;
    }
    assert!(flipped >= 1, "no file of the log has an event in it");

    // A key that is not the log's proves nothing, and is no proof of alteration.
    let other = Node::start();
    let strange = verify(&other, &log);
    assert_eq!(strange.code, Some(6), "{strange:?}");
    // The original is as it was.
    assert_eq!(verify(&world.node, &log).code, Some(0));
}

/// All files below a directory.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Where a text stands in bytes.
pub(crate) fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status()
        .unwrap();
    assert!(copied.success());
}

#[test]
fn what_was_touched_is_set_against_what_could_have_been() {
    let world = World::start();
    let node = &world.node;
    let (task, client) = world.session();
    client.ok("read_file", r#"{"path":"notes/plan.md"}"#);
    client.refused("read_file", r#"{"path":"secrets/prod.env"}"#);

    let file = node.home().join("narrow.json");
    let file = file.to_str().unwrap();
    let ask = ["audit", "blast-radius", "task", &task, "--propose", file];
    let radius = node.cli(&ask);
    assert_eq!(radius["complete"], json!(true), "{radius}");
    assert_eq!(
        (&radius["counts"]["touched"], &radius["counts"]["refused"]),
        (&json!(1), &json!(1)),
        "{radius}"
    );
    let reach = |tool: &str| {
        let tools = radius["tools"].as_array().unwrap();
        let found = tools.iter().find(|one| one["tool"] == json!(tool));
        found.map_or(Value::Null, |one| one["reach"].clone())
    };
    // The starter policy looks at paths, asks a person before an order changes, and lets notes be added.
    assert_eq!(reach("workspace/read_file"), json!("depends"), "{radius}");
    assert_eq!(
        reach("workspace/update_order"),
        json!("step_up"),
        "{radius}"
    );
    assert_eq!(reach("workspace/add_note"), json!("allow"), "{radius}");
    let open = [
        "task",
        "open",
        "--agent",
        "tester",
        "--request",
        "look",
        "--scope",
        file,
    ];
    let narrow = node.cli(&open);
    let grants = narrow["scope"]["grants"].to_string();
    assert!(
        grants.contains("read_file") && !grants.contains("add_note"),
        "{narrow}"
    );

    // Values are told to those who may, and that is on record.
    let sealed = node.cli(&["audit", "task", &task]).to_string();
    assert!(!sealed.contains("notes/plan.md"), "{sealed}");
    let why = ["audit", "task", &task, "--reveal", "--reason", "INC-4"];
    let told = node.cli(&why)["lines"].to_string();
    assert!(told.contains("notes/plan.md"), "{told}");
    let opened = node.cli(&["audit", "task", &task])["opened"].as_u64();
    assert!(opened.is_some_and(|count| count >= 3), "{opened:?}");
    let then = node.cli(&["audit", "task", &task, "--at", "+0.000"]);
    assert_eq!(then["tasks"][0]["state"], json!("open"), "{then}");
    let chain = node.cli(&["audit", "task", &task, "--chain"]);
    assert_eq!(chain[0]["agent"], json!("tester"), "{chain}");
}
