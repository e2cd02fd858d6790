//! A monitor that fires changes a live decision: an agent that tries one door after another loses what it could do a moment before.

use serde_json::{Value, json};

use crate::harness::World;
use crate::harness::world::{demo_policy, publish};

/// Notes may be written until the task's risk is high.
const CAREFUL: &str = r#"
@id("site/no-writes-at-risk")
@reason("The task's risk is high.")
forbid (principal, action in Bailiwick::Action::"write", resource)
when { context.bw.task.risk >= 2 };
"#;

const NOTE: &str = r#"{"path":"notes/a.md","content":"b"}"#;

#[test]
fn an_agent_that_tries_many_doors_may_write_no_more_until_a_person_looks() {
    let world = World::start();
    let node = &world.node;
    let mut files = demo_policy();
    files["careful.cedar"] = json!(CAREFUL);
    publish(node, &files);
    let (task, client) = world.session();
    let (_, other) = world.session();
    client.ok("write_file", NOTE);

    let mut tail = node.tail();
    // One mistake made again and again is none of the monitor's business.
    for _ in 0..6 {
        client.refused("read_file", r#"{"path":"secrets/prod.env"}"#);
    }
    client.ok("write_file", NOTE);
    client.refused("write_file", r#"{"path":"secrets/x","content":"y"}"#);
    client.start_call("no_such_tool", "{}");
    let changed = |event: &Value| {
        event["type"] == "task.changed" && event["action"]["op"] == "monitors.raise"
    };
    let raised = tail.find(changed).unwrap();
    assert_eq!(
        (
            &raised["task"]["id"],
            &raised["task"]["risk"],
            &raised["actor"]
        ),
        (&json!(task), &json!("high"), &json!("system")),
        "{raised}"
    );
    let words = raised["change"]["after"].as_str().unwrap();
    assert!(words.starts_with("high by denied_streak: "), "{raised}");
    let cause = node.event(raised["cause"].as_str().unwrap());
    assert_eq!(cause["type"], "tool.refused", "{cause}");

    // What was allowed a moment ago is denied; reading is not, and another task of the agent is as it was.
    let denied = client.refused("write_file", NOTE);
    assert_eq!(denied["code"], "forbidden", "{denied}");
    client.ok("read_file", r#"{"path":"notes/plan.md"}"#);
    other.ok("write_file", NOTE);
    // The owner is told.
    let told = tail.find(|event| event["type"] == "notice.given").unwrap();
    let owner = node.cli(&["agent", "show", crate::harness::agent::NAME]);
    let owner = format!("owner:{}", owner["owner"].as_str().unwrap());
    assert_eq!(told["change"]["id"], owner, "{told}");

    // A person looks and lowers the risk; what the task did before does not count again.
    node.cli(&[
        "task",
        "risk",
        &task,
        "low",
        "--reason",
        "a wrong path, INC-7",
    ]);
    client.ok("write_file", NOTE);
    client.refused("read_file", r#"{"path":"secrets/prod.env"}"#);
    client.ok("write_file", NOTE);
}

#[test]
fn a_flood_of_refusals_fences_the_process() {
    let world = World::start();
    let node = &world.node;
    let (_, client) = world.session();
    let mut tail = node.tail();
    for _ in 0..20 {
        client.refused("read_file", r#"{"path":"secrets/prod.env"}"#);
    }
    let event = tail.find(|event| event["type"] == "fence.set").unwrap();
    assert!(event.to_string().contains("instance"), "{event}");
    let fences = node.items("/v1/fences");
    let ours = fences.iter().filter(|fence| {
        let reason = fence["reason"].as_str().unwrap_or_default();
        reason.starts_with("monitor denied_streak: 20 refusals")
    });
    assert_eq!(ours.count(), 1, "{fences:?}");
}
