//! An enforcement point as a process of its own: it follows, is waited for, closes by itself, and opens once it has caught up.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::node::{self, bailiwick};
use crate::harness::{Process, World};

/// Starts `point watch` on what `point add` printed.
pub(crate) fn watch(world: &World, name: &str) -> Process {
    let added = node::run(&mut world.node.command(&["point", "add", name]), "");
    assert_eq!(added.code, Some(0), "{added:?}");
    let file = world.node.home().join(format!("{name}.point"));
    std::fs::write(&file, &added.stdout).unwrap();
    let mut command = bailiwick(&["point", "watch", "--output", "json"]);
    command.arg(&file);
    world.node.trusted(&mut command);
    let mut point = Process::start("the point", &mut command, &file.with_extension("log"));
    while next(&mut point)["event"] != "open" {}
    point
}

fn next(point: &mut Process) -> Value {
    serde_json::from_str(&point.line()).unwrap()
}

/// The next fence that the point tells of; it may close and open on a machine that is slow.
pub(crate) fn fence(point: &mut Process) -> Value {
    loop {
        let said = next(point);
        if said["event"] == "fence" {
            return said;
        }
    }
}

pub(crate) fn revoke(world: &World, owner: &str) -> Value {
    let reason = ["--reason", "INC-4", "--yes"];
    let command = [&["revoke", "owner", owner][..], &reason].concat();
    world.node.cli(&command)
}

#[test]
fn a_point_that_is_stopped_is_closed_by_its_lease_and_the_receipt_says_so() {
    let world = World::start();
    let mut point = watch(&world, "edge");
    revoke(&world, "nobody");
    let fence_said = fence(&mut point);
    assert_eq!(
        (&fence_said["subject"], &fence_said["reason"]),
        (&json!("owner/nobody"), &json!("INC-4"))
    );
    // Stopped, it can neither apply nor say anything.
    point.signal(Signal::STOP);
    let report = revoke(&world, "somebody");
    let [own, edge] = report["points"].as_array().unwrap().as_slice() else {
        panic!("{report}")
    };
    assert_eq!(own["how"], "acked", "{report}");
    assert_eq!(
        (&edge["id"], &edge["how"]),
        (&json!("edge"), &json!("lapsed")),
        "{report}"
    );
    // Its lease bounds it at 2.25 s; a busy machine answers later.
    assert!(edge["applied_ms"].as_u64().unwrap() <= 10_000, "{report}");
    assert!(report["receipt"].is_string(), "{report}");
    let table = node::run(
        world
            .node
            .command(&["revoke", "owner", "a-third", "--reason", "x", "--yes"])
            .args(["--color", "never"]),
        "",
    );
    assert!(
        table
            .stdout
            .contains("2 of 2 points; by the end of their lease: edge"),
        "{table:?}"
    );
    // It runs again: the first that it knows is that its lease is over; then it catches up.
    point.signal(Signal::CONT);
    let said = next(&mut point);
    assert_eq!(
        (&said["event"], &said["code"]),
        (&json!("closed"), &json!("lease_expired")),
        "{said}"
    );
    for subject in ["owner/somebody", "owner/a-third"] {
        assert_eq!(fence(&mut point)["subject"], subject);
    }
    let listed = world.node.items("/v1/points");
    assert_eq!(listed[0]["name"], "edge", "{listed:?}");

    let removed = world.node.run(&["point", "remove", "edge"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    // It says so and goes on asking, or ends at once: either way it is open no more.
    while let Ok(line) = point.line_within(Duration::from_secs(10)) {
        let said: Value = serde_json::from_str(&line).unwrap();
        if said["event"] == "closed" {
            break;
        }
        assert_ne!(said["event"], "open", "{said}");
    }
    let events = world.node.events();
    let changed = events
        .iter()
        .filter(|event| event["type"] == "admin.changed" && event["change"]["kind"] == "point");
    assert_eq!(changed.count(), 2);
}

#[test]
fn a_point_closes_by_itself_when_its_node_is_killed() {
    let mut world = World::start();
    let mut point = watch(&world, "edge");
    world.node.kill_nine();
    let said = next(&mut point);
    assert_eq!(
        (&said["event"], &said["code"]),
        (&json!("closed"), &json!("lease_expired")),
        "{said}"
    );
}
