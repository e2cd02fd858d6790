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
    let opened = node.events();
    let task = opened
        .iter()
        .find(|event| event["type"] == "task.opened")
        .unwrap();
    let no_decision = node.run(&["policy", "explain", task["id"].as_str().unwrap()]);
    assert_eq!(no_decision.problem()["code"], "not_found");
}

/// A bundle is tried on live calls: it stops nothing, what it would stop is counted with its events, and it is published only if the
/// trial showed what is asked for.
#[test]
fn a_bundle_is_tried_beside_the_active_one_and_promoted() {
    let world = World::start();
    let node = &world.node;
    let (_, client) = world.session();
    let closed = bundle(node, "closed", NO_LISTS);
    let early = node.run(&["policy", "shadow", "promote"]);
    assert_eq!(early.problem()["code"], "not_found", "{early:?}");
    let started = node.cli(&["policy", "shadow", "start", closed.to_str().unwrap()]);
    assert_eq!(started["mode"], "enforce", "{started}");
    let untested = node.run(&["policy", "shadow", "promote"]);
    assert_eq!(untested.problem()["code"], "conflict", "{untested:?}");

    // It is compiled beside the calls, so the first few may not be compared; every one goes through.
    let counted = (0..ENOUGH).find_map(|_| {
        client.ok("list_files", "{}");
        let status = node.run(&["policy", "shadow", "status"]).json();
        (status["counted"]["shifts"]["denied"].as_u64() >= Some(2)).then_some(status)
    });
    let counted = counted.expect("the bundle that is tried was never compiled");
    assert_eq!(
        counted["counted"]["groups"][0]["tool"], "workspace/list_files",
        "{counted}"
    );
    let example = &counted["counted"]["groups"][0]["examples"][0];
    let event = node.event(example["event"].as_str().unwrap());
    assert_eq!(
        (
            &event["decision"]["effect"],
            &event["decision"]["shadow"]["effect"]
        ),
        (&json!("allow"), &json!("deny")),
        "{event}"
    );
    assert_eq!(
        event["decision"]["shadow"]["bundle"],
        started["shadow"]["digest"]
    );
    client.ok("read_file", r#"{"path":"notes/plan.md"}"#);

    let refused = node.run(&["policy", "shadow", "promote"]);
    assert_eq!(refused.problem()["code"], "conflict", "{refused:?}");
    let early = node.run(&[
        "policy",
        "shadow",
        "promote",
        "--after",
        "1h",
        "--max-new-denials",
        "1000",
    ]);
    assert_eq!(early.problem()["code"], "conflict", "{early:?}");
    client.ok("list_files", "{}");
    let promoted = node.cli(&["policy", "shadow", "promote", "--max-new-denials", "1000"]);
    assert_eq!(
        promoted["digest"], started["shadow"]["digest"],
        "{promoted}"
    );
    client.refused("list_files", "{}");
    let after = node.run(&["policy", "shadow", "status"]);
    assert_eq!(
        (after.code, &after.json()["shadow"]),
        (Some(0), &Value::Null)
    );
    let changes = node
        .events()
        .into_iter()
        .filter(|event| event["type"] == "policy.shadow_changed");
    assert_eq!(changes.count(), 2);
}

/// While policy is observed, what it refuses goes through and is recorded as what it would be; what is before policy is enforced.
#[test]
fn observed_policy_refuses_nothing_and_all_else_is_enforced() {
    let world = World::start();
    let node = &world.node;
    let (_, client) = world.session();
    let secret = r#"{"path":"secrets/prod.env"}"#;
    client.refused("read_file", secret);
    let bare = node.run(&["policy", "mode", "observe"]);
    assert_eq!(bare.code, Some(2), "without time and reason: {bare:?}");
    let long = node.run(&["policy", "mode", "observe", "--for", "15d", "--reason", "x"]);
    assert_eq!(long.problem()["code"], "invalid_input", "{long:?}");
    let observing = node.cli(&[
        "policy",
        "mode",
        "observe",
        "--for",
        "1h",
        "--reason",
        "first week",
    ]);
    assert_eq!(
        (&observing["mode"], &observing["observe"]["reason"]),
        (&json!("observe"), &json!("first week"))
    );
    let shown = node.run(&["policy", "show"]);
    assert!(shown.stderr.contains("POLICY IS NOT ENFORCED"), "{shown:?}");

    client.ok("read_file", secret);
    client.ok("update_order", r#"{"id":1,"status":"shipped"}"#);
    let intents: Vec<Value> = node
        .events()
        .into_iter()
        .filter(|event| event["type"] == "tool.intent")
        .collect();
    let of = |intent: &Value| {
        let decision = &intent["decision"];
        [
            &decision["effect"],
            &decision["mode"],
            &decision["would_be"]["effect"],
        ]
        .map(Value::clone)
    };
    assert_eq!(
        of(&intents[0]),
        [json!("allow"), json!("observe"), json!("deny")]
    );
    assert_eq!(
        of(&intents[1]),
        [json!("allow"), json!("observe"), json!("step_up")]
    );
    assert_eq!(
        intents[0]["decision"]["would_be"]["reasons"],
        json!(["demo/no-secrets"])
    );
    // A replay compares with what policy said, not with what went through.
    let replayed = node.run(&["policy", "replay", "active"]).json();
    assert_eq!(
        (&replayed["groups"], &replayed["drifted"]),
        (&json!([]), &json!(0)),
        "{replayed}"
    );
    // A fence is no policy.
    let revoked = json!({ "subjects": ["tool/workspace/read_file"], "reason": "INC-9" });
    node.api("POST", "/v1/revocations", Some(&revoked));
    assert_eq!(client.refused("read_file", secret)["code"], "revoked");

    let ended = node.cli(&["policy", "mode", "enforce"]);
    assert_eq!(ended["mode"], "enforce");
    assert!(
        !node
            .run(&["policy", "show"])
            .stderr
            .contains("NOT ENFORCED")
    );
    let changes: Vec<Value> = node
        .events()
        .into_iter()
        .filter(|event| event["type"] == "policy.mode_changed")
        .collect();
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert!(
        changes[0]["change"]["after"]
            .as_str()
            .unwrap()
            .contains("first week")
    );
}

/// Calls by which a bundle that is tried has been compiled: each asks the node twice and starts a process.
const ENOUGH: usize = 300;
