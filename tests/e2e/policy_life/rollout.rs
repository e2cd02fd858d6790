//! Policy on its way to being enforced: a bundle tried on live calls, and policy observed for a time.

use serde_json::{Value, json};

use super::{NO_LISTS, bundle};
use crate::harness::World;

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
