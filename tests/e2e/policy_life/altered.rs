//! Somebody writes to the node's database while it is down: what was not published decides nothing, and the node says so.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{NO_LISTS, bundle, publish};
use crate::harness::{Agent, Node, World, agent, deps, world};

/// Runs SQL on the store, as an operator with a shell would.
fn alter(data: &Path, sql: &str) {
    let script = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as db: db.executescript(sys.argv[2])\n";
    let ran = Command::new(deps::python())
        .args(["-c", script])
        .arg(data.join("store.db"))
        .arg(sql)
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

fn opened(node: &Node) -> (u16, Value) {
    let task = json!({
        "agent": agent::NAME,
        "user": "user:local:anna",
        "request": "look after the orders",
        "scope": { "grants": [{ "server": ["workspace"], "tool": ["*"], "effects": ["read"] }] },
    });
    node.try_api("POST", "/v1/tasks", Some(&task))
}

const OPENED: &str = "UPDATE policy_source SET source = replace(source, 'forbid (', 'permit (')";
const ANOTHER: &str = "
    INSERT INTO policy_source SELECT substr(digest, 2) || '0', replace(source, 'forbid (', 'permit (') FROM policy_source LIMIT 1;
    UPDATE policy_version SET digest = substr(digest, 2) || '0',
        body = json_set(body, '$.digest', 'sha256:' || substr(digest, 2) || '0') WHERE number = (SELECT max(number) FROM policy_version);
";
const OLDER: &str = "
    INSERT INTO policy_version SELECT 1 + (SELECT max(number) FROM policy_version), digest,
        json_set(body, '$.number', 1 + (SELECT max(number) FROM policy_version)) FROM policy_version WHERE number = 1
";

#[test]
fn a_bundle_altered_in_the_store_decides_nothing() {
    let mut world = World::start();
    let closed = bundle(&world.node, "closed", NO_LISTS);
    publish(&world.node, &closed);
    let data = world.node.data();
    for (what, sql) in [
        ("the text under its own digest", OPENED),
        ("another text with a digest of its own", ANOTHER),
        ("an older publication under a newer number", OLDER),
    ] {
        world.node.stop();
        alter(&data, sql);
        world.node.start_again();
        world.agent = Agent::of(&world.node);
        let (status, problem) = opened(&world.node);
        assert_eq!(
            (status, &problem["code"]),
            (503, &json!("policy_tampered")),
            "{what}: {problem}"
        );
        let log = world.node.log();
        assert!(
            log.contains("altered outside of Bailiwick"),
            "{what}: {log}"
        );
        let asked = world.node.run(&["policy", "schema"]);
        assert_eq!(
            asked.problem()["code"],
            "policy_tampered",
            "{what}: {asked:?}"
        );
        // The way out is to publish again, be it the same text.
        publish(&world.node, &closed);
        let (_, client) = world.session();
        assert_eq!(client.refused("list_files", "{}")["code"], "forbidden");
        let secret = client.refused("read_file", r#"{"path":"secrets/canary-7f3a.env"}"#);
        assert_eq!(secret["code"], "forbidden", "{what}");
    }
    // A node that runs goes on with what it loaded.
    let (_, client) = world.session();
    alter(&data, OPENED);
    assert_eq!(client.refused("list_files", "{}")["code"], "forbidden");
    assert_eq!(opened(&world.node).1["code"], "policy_tampered");
    drop(client);
    world::publish(&world.node, &world::demo_policy());
}
