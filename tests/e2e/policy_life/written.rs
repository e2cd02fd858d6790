//! What people write down: a request that nobody has made, and a bundle that takes packs as they are.

use serde_json::{Value, json};

use crate::harness::World;

/// What a call would come to is told before anybody makes it, under any bundle, and applying what would allow it allows it.
#[test]
fn a_request_that_nobody_made_is_explained() {
    let world = World::start();
    let node = &world.node;
    let file = node.home().join("request.json");
    let path = file.to_str().unwrap();
    let request = json!({
        "agent": "tester", "tool": "workspace/read_file", "arguments": {"path": "secrets/prod.env"},
    });
    std::fs::write(&file, request.to_string()).unwrap();
    let before = node.events().len();
    let explained = node.cli(&["policy", "explain", "--input", path]);
    assert_eq!(explained["decision"]["outcome"], "deny", "{explained}");
    assert_eq!(explained["because"][0]["policy"], "demo/no-secrets");
    assert_eq!(node.events().len(), before, "nothing was opened or done");

    // The argument that it names as the one to change, changed.
    let remedies = explained["would_allow"].as_array().unwrap();
    let steps = remedies
        .iter()
        .filter_map(|remedy| remedy["steps"].as_array());
    let argument = steps
        .filter(|steps| steps.len() == 1)
        .find_map(|steps| steps[0].get("argument"))
        .unwrap_or_else(|| panic!("{explained:#}"));
    assert_eq!(argument["path"], json!(["path"]), "{argument}");
    let mut mended = request.clone();
    mended["arguments"]["path"] = argument["to"].clone();
    std::fs::write(&file, mended.to_string()).unwrap();
    let explained = node.cli(&["policy", "explain", "--input", path]);
    assert_eq!(explained["decision"]["outcome"], "allow", "{explained}");

    // The same under a bundle that is not live; in words.
    let closed = super::bundle(node, "closed", super::NO_LISTS);
    let list = json!({"agent": "tester", "tool": "workspace/list_files"});
    std::fs::write(&file, list.to_string()).unwrap();
    let words = ["policy", "explain", "--input", path, "--bundle"];
    let told = node
        .command(&["--output", "table"])
        .args(words)
        .arg(&closed)
        .output()
        .unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(
        told.contains("deny") && told.contains("forbid site/no-lists (workspace.cedar:"),
        "{told}"
    );
    for (text, code) in [
        (
            r#"{"agent": "nobody", "tool": "workspace/list_files"}"#,
            "invalid_input",
        ),
        (
            r#"{"agent": "tester", "tol": "workspace/list_files"}"#,
            "invalid_input",
        ),
        ("{", "config_invalid"),
    ] {
        std::fs::write(&file, text).unwrap();
        let ran = node.run(&["policy", "explain", "--input", path]);
        assert_eq!(ran.problem()["code"], code, "{ran:?}");
    }
}

/// A bundle names its packs by version; what is published holds their text and is the same when it is read back.
#[test]
fn a_bundle_includes_packs_and_is_published_whole() {
    let world = World::start();
    let node = &world.node;
    let dir = node.home().join("site");
    std::fs::create_dir(&dir).unwrap();
    let manifest = "name = \"site\"\ninclude = [\"injection@2\"]\n";
    std::fs::write(dir.join("bundle.toml"), manifest).unwrap();
    let published = super::publish(node, &dir);
    let shown = node.cli(&["policy", "show", "active"]);
    let files: Vec<&String> = shown["files"].as_object().unwrap().keys().collect();
    assert_eq!(
        files,
        [
            "bundle.toml",
            "packs/base@1.cedar",
            "packs/injection@2.cedar"
        ]
    );
    let copy = node.home().join("copy");
    let to = copy.to_str().unwrap();
    node.cli(&["policy", "show", "active", "--to", to, "--quiet"]);
    let checked = node.cli(&["policy", "check", to]);
    assert_eq!(checked["digest"], published["digest"], "{checked}");
    let (_, client) = world.session();
    client.ok("read_file", r#"{"path":"notes/plan.md"}"#);

    // What is not the pack's text any more does not go out under its name.
    let pack = copy.join("packs/base@1.cedar");
    std::fs::write(&pack, "// nothing\n").unwrap();
    let refused = node.run(&["policy", "publish", to]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    let problem: Value = refused.problem();
    assert_eq!(problem["code"], "policy_invalid", "{problem}");
}
