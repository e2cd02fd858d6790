//! The life of a policy with the real binary: published, shown, brought back; and what agents meet meanwhile.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::harness::{Node, World};

/// The demo's bundle in a directory, with more policy below it.
fn bundle(node: &Node, name: &str, more: &str) -> PathBuf {
    let dir = node.home().join(name);
    node.cli(&[
        "policy",
        "show",
        "1",
        "--to",
        dir.to_str().unwrap(),
        "--quiet",
    ]);
    let file = dir.join("workspace.cedar");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n{more}")).unwrap();
    dir
}

fn publish(node: &Node, dir: &Path) -> Value {
    node.cli(&["policy", "publish", dir.to_str().unwrap()])
}

/// Nothing may be listed any more.
const NO_LISTS: &str = r#"@id("site/no-lists")
@reason("Listing is off while we look at something.")
@fix("Ask the platform team.")
forbid (principal, action == Bailiwick::Action::"workspace/list_files", resource);
"#;

#[test]
fn policy_goes_out_and_back() {
    let world = World::start();
    let node = &world.node;
    let (_, client) = world.session();
    client.ok("list_files", "{}");
    let first = node.cli(&["policy", "show"]);
    let closed = bundle(node, "closed", NO_LISTS);
    let second = publish(node, &closed);
    assert_eq!(
        (&second["number"], &second["restores"]),
        (&json!(2), &Value::Null)
    );
    let refused = client.refused("list_files", "{}");
    assert_eq!(refused["code"], "forbidden");

    let raced = node.run(&[
        "policy",
        "rollback",
        "--if-version",
        first["digest"].as_str().unwrap(),
    ]);
    assert_eq!(raced.problem()["code"], "policy_conflict", "{raced:?}");
    client.refused("list_files", "{}");
    let back = node.cli(&["policy", "rollback"]);
    assert_eq!(
        (&back["number"], &back["restores"], &back["digest"]),
        (&json!(3), &json!(1), &first["digest"])
    );
    assert_eq!(back["broken"], json!([]));
    client.ok("list_files", "{}");

    let history = node.cli(&["policy", "history"]);
    let numbers: Vec<&Value> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| &version["number"])
        .collect();
    assert_eq!(numbers, [3, 2, 1]);
    let shown = node.cli(&["policy", "show", "2"]);
    assert_eq!(shown["digest"], second["digest"]);
    assert!(
        shown["files"]["workspace.cedar"]
            .as_str()
            .unwrap()
            .contains("site/no-lists")
    );
    let nothing = node.run(&["policy", "rollback"]);
    assert_eq!(
        (nothing.code, &nothing.problem()["code"]),
        (Some(6), &json!("not_found"))
    );
    let kinds: Vec<Value> = node
        .events()
        .into_iter()
        .map(|event| event["type"].clone())
        .collect();
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| *kind == "policy.rolled_back")
            .count(),
        1
    );
    // A directory that is there is not written into.
    let over = node.run(&["policy", "show", "2", "--to", closed.to_str().unwrap()]);
    assert_eq!(over.problem()["code"], "already_exists", "{over:?}");
}
