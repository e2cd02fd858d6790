//! Right-sizing on the demo's own traffic: less is proposed, nothing recorded is denied by it, and what goes is named.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::node::{Node, Setup, bailiwick, run};

/// Plays the demo and starts a node on what it left behind.
fn after_the_demo() -> Node {
    let played = tempfile::tempdir().unwrap();
    let mut demo = bailiwick(&["demo", "--auto", "--no-wait", "--keep", "--output", "json"]);
    demo.env("TMPDIR", played.path());
    let ran = run(&mut demo, "");
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    let kept: Vec<PathBuf> = std::fs::read_dir(played.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let [kept] = kept.as_slice() else {
        panic!("the demo kept {kept:?}");
    };
    let home = TempDir::new().unwrap();
    std::fs::rename(kept.join("data"), home.path().join("data")).unwrap();
    Node::at(
        home,
        &Setup {
            trust_domain: "demo.example",
            ..Setup::default()
        },
    )
}

fn names(answer: &Value, list: &str) -> Vec<String> {
    let items = answer[list]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"));
    items
        .iter()
        .map(|item| item["tool"].as_str().unwrap().to_owned())
        .collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// One ended task suffices.
const ENOUGH: [&str; 7] = [
    "policy",
    "rightsize",
    "triage-agent",
    "--min-tasks",
    "1",
    "--min-days",
    "0",
];

#[test]
fn the_demos_traffic_proposes_less_and_nothing_recorded_is_denied() {
    let node = after_the_demo();
    // A few tasks of a minute are not enough to take anything away, unless somebody says that they are.
    let usual = node.run(&["policy", "rightsize", "triage-agent"]);
    assert_eq!(usual.code, Some(1), "{usual:?}");
    let answer = usual.json();
    assert_eq!(
        (&answer["removed"], &answer["guard"], &answer["proven"]),
        (&json!([]), &Value::Null, &json!(false)),
        "{answer}"
    );
    assert!(!answer["sample"]["missing"].as_array().unwrap().is_empty());

    let (dir, scope) = (node.home().join("smaller"), node.home().join("scope.json"));
    let files = ["-o", text(&dir), "--scope", text(&scope)];
    let sized = node.run(&[&ENOUGH[..], &files].concat());
    assert_eq!(sized.code, Some(0), "{sized:?}");
    let answer = sized.json();
    assert_eq!(answer["proven"], true, "{answer}");
    let (kept, removed) = (names(&answer, "kept"), names(&answer, "removed"));
    for used in ["workspace/read_file", "workspace/update_order"] {
        assert!(kept.contains(&used.to_owned()), "{kept:?}");
    }
    assert!(
        removed.contains(&"workspace/search_notes".to_owned()),
        "{removed:?}"
    );
    assert!(kept.iter().all(|tool| !removed.contains(tool)));
    let proof = &answer["proof"];
    assert_eq!(
        (
            &proof["shifts"],
            &proof["outside_scope"],
            &proof["complete"]
        ),
        (&json!({}), &json!(0), &json!(true)),
        "{proof}"
    );
    assert!(proof["allowed"].as_u64().unwrap() > 0, "{proof}");
    // Every tool with an allowed call on record is kept, counted here and not by the node.
    for event in node.events() {
        if event["type"] == "tool.intent" && event["agent"]["id"] == "triage-agent" {
            let tool = format!("workspace/{}", event["action"]["tool"].as_str().unwrap());
            assert!(kept.contains(&tool), "{event}");
        }
    }
    // Nothing of what calls said is in the answer, and that they were opened is on record.
    assert!(!sized.stdout.contains("plan.md"), "{}", sized.stdout);
    let opened = node.events();
    let opened = opened
        .iter()
        .filter(|event| event["type"] == "log.revealed");
    assert_eq!(opened.count(), 2);

    // The written bundle is the one that was proved; another command comes to the same.
    let replayed = node.run(&["policy", "replay", text(&dir)]);
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    let replayed = replayed.json();
    assert_eq!(
        (&replayed["bundle"], &replayed["shifts"]),
        (&answer["candidate"], &json!({}))
    );
    let published = node.cli(&["policy", "publish", text(&dir)]);
    assert_eq!(published["digest"], answer["candidate"]);
    let asked = json!({"agent": "triage-agent", "tool": "workspace/search_notes", "arguments": {"query": "a"}});
    let request = node.home().join("request.json");
    std::fs::write(&request, asked.to_string()).unwrap();
    let denied = node.cli(&["policy", "explain", "--input", text(&request)]);
    assert_eq!(denied["decision"]["outcome"], "deny", "{denied}");
    assert!(
        denied.to_string().contains("rightsize/triage-agent")
            || denied
                .to_string()
                .contains("rightsize/agent-triage-agent-1/1"),
        "{denied}"
    );
    // The scope is one that tasks can be opened with.
    let opened = node.cli(&[
        "task",
        "open",
        "--agent",
        "triage-agent",
        "--request",
        "look again",
        "--scope",
        text(&scope),
    ]);
    assert!(opened["id"].is_string(), "{opened}");
    // What is gone is not granted any more: there is nothing further to take.
    let again = node.run(&ENOUGH);
    assert_eq!(
        (again.code, &again.json()["removed"]),
        (Some(1), &json!([]))
    );
}

#[test]
fn right_sizing_needs_something_to_size() {
    let node = Node::start();
    let unknown = node.run(&["policy", "rightsize", "nobody"]);
    assert_eq!(
        (unknown.code, &unknown.problem()["code"]),
        (Some(6), &json!("not_found"))
    );
    for body in [
        json!({}),
        json!({"agent": "a", "workflow": "b"}),
        json!({"agent": "a", "since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}),
        json!({"agent": "a", "keep": vec!["a/b"; 257]}),
    ] {
        let (status, answer) = node.try_api("POST", "/v1/rightsize", Some(&body));
        assert_eq!(
            (status, &answer["code"]),
            (400, &json!("invalid_input")),
            "{body}"
        );
    }
}
