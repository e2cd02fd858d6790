//! The life of a policy with the real binary: published, shown, brought back; and what agents meet meanwhile.

mod altered;
mod rollout;
mod written;

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

/// A proposed change is tried on what was recorded before it is live: the calls it would stop are named with their events, and nothing
/// of what they said is shown. Published, it stops them.
#[test]
fn a_change_is_tried_on_the_record_before_it_is_live() {
    let world = World::start();
    let node = &world.node;
    let (_, client) = world.session();
    client.ok("list_files", "{}");
    client.ok("list_files", "{}");
    client.ok("read_file", r#"{"path":"notes/plan.md"}"#);
    client.refused("read_file", r#"{"path":"secrets/canary-7f3a.env"}"#);
    let closed = bundle(node, "closed", NO_LISTS);
    let closed = closed.to_str().unwrap();

    let same = node.run(&["policy", "replay", "active"]);
    assert_eq!(same.code, Some(0), "{same:?}");
    let same = same.json();
    assert_eq!(
        (
            &same["compared"],
            &same["groups"],
            &same["drifted"],
            &same["unkept"]
        ),
        (&json!(4), &json!([]), &json!(0), &json!(0)),
        "{same}"
    );

    let ran = node.run(&["policy", "replay", closed, "--since", "1h"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let replayed = ran.json();
    assert_eq!(replayed["shifts"], json!({ "denied": 2 }), "{replayed}");
    let group = &replayed["groups"][0];
    assert_eq!(group["tool"], "workspace/list_files", "{replayed}");
    let example = &group["examples"][0];
    assert_eq!(example["sources"], json!(["site/no-lists"]), "{replayed}");
    let event = node.event(example["event"].as_str().unwrap());
    assert_eq!(
        (&event["type"], &event["action"]["tool"]),
        (&json!("tool.intent"), &json!("list_files"))
    );
    assert!(!ran.stdout.contains("canary-7f3a"), "{}", ran.stdout);
    // Before anything is opened it is on record who does it.
    let revealed: Vec<Value> = node
        .events()
        .into_iter()
        .filter(|event| event["type"] == "log.revealed")
        .collect();
    assert_eq!(revealed.len(), 2, "{revealed:?}");
    assert_eq!(revealed[1]["change"]["kind"], "stretch");

    let told = node
        .command(&["--output", "table", "policy", "replay", closed])
        .output()
        .unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    for said in [
        "newly denied",
        "workspace/list_files",
        "allow → deny by site/no-lists",
    ] {
        assert!(told.contains(said), "{said} is not in\n{told}");
    }
    let nothing = node.run(&[
        "policy",
        "replay",
        closed,
        "--until",
        "2020-01-01T00:00:00Z",
        "--since",
        "2019-01-01T00:00:00Z",
    ]);
    assert_eq!(
        (nothing.code, &nothing.json()["decisions"]),
        (Some(0), &json!(0))
    );

    let diff = node.run(&["policy", "diff", "active", closed]);
    assert_eq!(diff.code, Some(1), "{diff:?}");
    let diff = diff.json();
    let lost = &diff["permissions"][0];
    assert_eq!(
        (&lost["tool"], &lost["change"], &diff["changed"]),
        (&json!("workspace/list_files"), &json!("lost"), &json!(1)),
        "{diff}"
    );
    let same = node.run(&["policy", "diff", "active", "1"]);
    assert_eq!(same.code, Some(0), "{same:?}");
    // A proposal with flaws is refused with its places, as by `check`.
    let broken = bundle(node, "broken", TYPO);
    for verb in [vec!["replay"], vec!["diff", "active"]] {
        let words = [&["policy"][..], &verb, &[broken.to_str().unwrap()]].concat();
        let ran = node.run(&words);
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert_eq!(ran.problem()["problems"][0]["file"], "workspace.cedar");
    }

    // Nothing of all that was live; now it is.
    client.ok("list_files", "{}");
    publish(node, Path::new(closed));
    client.refused("list_files", "{}");
    // What the change denied since is allowed under the old text.
    let back = node.run(&["policy", "replay", "1"]).json();
    assert_eq!(back["shifts"], json!({ "allowed": 1 }), "{back}");
}

const TYPO: &str = r#"@id("site/typo")
@reason("x")
permit (principal, action == Bailiwick::Action::"workspace/lits_files", resource);
"#;

/// Every denial of the demo, as it happens: people are told which policy, which condition with which values, and what would allow it. What can
/// be done to the call is done, and the gateway lets it through.
#[test]
fn what_would_allow_a_denied_call_of_the_demo_does() {
    let world = World::start();
    let node = &world.node;
    let (_, client) = world.session();
    for (tool, arguments, policy) in [
        (
            "read_file",
            json!({ "path": "secrets/prod.env" }),
            "demo/no-secrets",
        ),
        (
            "read_file",
            json!({ "path": "notes/../secrets/prod.env" }),
            "demo/plain-paths",
        ),
        (
            "read_file",
            json!({ "path": "/etc/passwd" }),
            "demo/plain-paths",
        ),
        (
            "write_file",
            json!({ "path": "secrets/x", "content": "y" }),
            "demo/no-secrets",
        ),
    ] {
        let refused = client.refused(tool, &arguments.to_string());
        let event = refused["event"].as_str().unwrap();
        let then = node.cli(&["policy", "explain", event])["then"].clone();
        let because = then["because"].as_array().unwrap();
        let ours = because.iter().find(|because| because["policy"] == policy);
        let ours = ours.unwrap_or_else(|| panic!("{arguments}: {then}"));
        assert_eq!(ours["file"], "workspace.cedar", "{then}");
        assert!(ours["clause"].is_string(), "{then}");
        let path = arguments["path"].as_str().unwrap();
        assert!(ours["values"].to_string().contains(path), "{then}");
        let mut applied = 0;
        for remedy in then["would_allow"].as_array().unwrap() {
            let steps = remedy["steps"].as_array().unwrap();
            let Some(changed) = apply(&arguments, steps) else {
                continue;
            };
            let answer = client.call(tool, &changed.to_string());
            let code = &answer["result"]["_meta"]["bailiwick/decision"]["code"];
            assert!(code.is_null(), "{changed}: {answer}");
            let last = node.events();
            let last = last
                .iter()
                .rev()
                .find(|event| event["type"] == "tool.intent");
            assert_eq!(last.unwrap()["decision"]["effect"], "allow", "{changed}");
            applied += 1;
        }
        assert!(applied > 0, "{arguments}: {then}");
    }
}

/// The arguments with these changes; none if one is about something else.
fn apply(arguments: &Value, steps: &[Value]) -> Option<Value> {
    let mut changed = arguments.clone();
    for step in steps {
        let argument = step.get("argument")?;
        let name = argument["path"][0].as_str()?;
        let members = changed.as_object_mut()?;
        match argument.get("to").filter(|to| !to.is_null()) {
            Some(to) => drop(members.insert(name.to_owned(), to.clone())),
            None => drop(members.remove(name)),
        }
    }
    Some(changed)
}

/// A denial says which policy, which condition with which values, and what would allow it; and that does.
#[test]
fn a_denial_explains_itself_to_people_and_applying_that_allows_it() {
    let world = World::start();
    let node = &world.node;
    let (_, client) = world.session();
    let refused = client.refused("read_file", r#"{"path":"secrets/prod.env"}"#);
    let event = refused["event"].as_str().unwrap();
    // The agent is told the policy's own words and the event, and nothing about conditions.
    assert!(!refused.to_string().contains("like"), "{refused}");
    let explained = node.cli(&["policy", "explain", event, "--reason", "INC-7"]);
    assert_eq!(
        explained["decision"]["reasons"],
        json!(["demo/no-secrets"]),
        "{explained}"
    );
    let then = &explained["then"];
    assert_eq!(then["decision"]["outcome"], "deny", "{explained}");
    assert_eq!(
        then["because"][0]["policy"], "demo/no-secrets",
        "{explained}"
    );
    assert!(
        then["because"][0]["values"]
            .to_string()
            .contains("secrets/prod.env"),
        "{explained}"
    );
    assert_eq!(explained["now"], Value::Null, "the same bundle is active");
    assert!(
        !then["would_allow"].as_array().unwrap().is_empty(),
        "{explained}"
    );
    let told = node
        .command(&["--output", "table", "policy", "explain", event])
        .output()
        .unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    for said in [
        "forbid demo/no-secrets (workspace.cedar:",
        "secrets/prod.env",
        "would allow it: ",
    ] {
        assert!(told.contains(said), "{said} is not in\n{told}");
    }
    let argument = then["would_allow"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|remedy| remedy["steps"].as_array().unwrap())
        .find_map(|step| step.get("argument"));
    if let Some(argument) = argument {
        assert_eq!(argument["path"], json!(["path"]), "{argument}");
    }
    // What would allow it under another bundle is seen after publishing that.
    let open = bundle(node, "open", "");
    let file = open.join("workspace.cedar");
    let text = std::fs::read_to_string(&file).unwrap();
    let without = text
        .split_inclusive(";\n")
        .filter(|policy| !policy.contains("demo/no-secrets"))
        .collect::<String>();
    std::fs::write(&file, without).unwrap();
    publish(node, &open);
    let again = node.cli(&["policy", "explain", event]);
    assert_eq!(
        (
            &again["then"]["decision"]["outcome"],
            &again["now"]["decision"]["outcome"]
        ),
        (&json!("deny"), &json!("allow")),
        "{again}"
    );
    let events = node.events();
    let start = events
        .iter()
        .find(|event| event["type"] == "log.opened")
        .unwrap();
    let no_decision = node.run(&["policy", "explain", start["id"].as_str().unwrap()]);
    assert_eq!(no_decision.problem()["code"], "not_found");
    let opened = events
        .iter()
        .find(|event| event["type"] == "task.opened" && event["decision"].is_object())
        .unwrap();
    let about_a_task = node.cli(&["policy", "explain", opened["id"].as_str().unwrap()]);
    let said = about_a_task["note"].as_str().unwrap();
    assert!(said.starts_with("only decisions about calls"), "{said}");
}
