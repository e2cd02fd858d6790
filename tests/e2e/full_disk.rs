//! A disk that is full for real: nothing is granted, nothing is forwarded, revocation works, and all is well once there is room again.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::{Setup, World};

/// Set in the copy of the test that runs inside its own mount namespace.
const INSIDE: &str = "BAILIWICK_E2E_INSIDE";

#[test]
fn full_disk() {
    if std::env::var_os(INSIDE).is_none() {
        return enter();
    }
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=24m,mode=0700", "bailiwick-e2e"])
        .arg(&data)
        .status();
    assert!(mounted.unwrap().success(), "no tmpfs");
    with_little_room(&World::at(
        home,
        &Setup {
            min_free: "4MiB",
            ..Setup::default()
        },
    ));
}

/// Runs this very test again where it may mount, and where no other process sees the mount. The agent must be inside too: a process of
/// another mount namespace has no path that means anything to the node.
fn enter() {
    let inside = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "full_disk::full_disk", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare does not start: run ci/deps");
    assert!(
        inside.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&inside.stdout),
        String::from_utf8_lossy(&inside.stderr)
    );
    assert!(
        String::from_utf8_lossy(&inside.stdout).contains("1 passed"),
        "the test did not run inside"
    );
}

fn with_little_room(world: &World) {
    let (doomed, first) = world.session();
    let (task, client) = world.session();
    first.ok("list_files", "{}");
    client.ok("list_files", "{}");
    let before = world.tools.calls();
    let assertion = world.agent.jwt_svid(world.node.ready("console"));

    let ballast = world.node.data().join("ballast");
    fill(&ballast);
    // What waited in memory may still find room that was set aside; then it is over.
    let decision = (0..100)
        .map(|_| client.call("list_files", "{}"))
        .find(|answer| answer["result"]["isError"] == true);
    let decision =
        decision.expect("calls go on without a record")["result"]["_meta"]["bailiwick/decision"]
            .clone();
    assert_eq!(decision["code"], "audit_unavailable", "{decision}");
    assert!(
        decision["help"]
            .as_str()
            .is_some_and(|help| !help.is_empty()),
        "{decision}"
    );
    let forwarded = world.tools.calls();
    let intents = forwarded - before;
    for _ in 0..5 {
        assert_eq!(
            client.refused("list_files", "{}")["code"],
            "audit_unavailable"
        );
    }
    assert_eq!(
        world.tools.calls(),
        forwarded,
        "a call without its intent on record was forwarded"
    );
    let (status, refused) = world
        .agent
        .token_for(&assertion, &task, &world.agent.resource("workspace"))
        .unwrap_err();
    assert!(matches!(status, 500 | 503), "a token was issued: {refused}");

    // What takes authority away works, whether or not it can be made durable now.
    let body = json!({ "subjects": [format!("task/{doomed}")], "reason": "INC-8" });
    let (status, report) = world.node.try_api("POST", "/v1/revocations", Some(&body));
    assert!(
        status == 201 || report["code"] == "fence_not_durable",
        "{status} {report}"
    );
    let response = first.start_call("list_files", "{}");
    assert_eq!(
        (response.status, &response.json()["code"]),
        (401, &json!("revoked"))
    );
    assert_eq!(world.node.request("GET", "/healthz", None).status, 200);

    std::fs::remove_file(&ballast).unwrap();
    let text = (0..2_000)
        .map(|_| client.call("list_files", "{}"))
        .find(|answer| answer["result"]["isError"] == false);
    assert!(text.is_some(), "no recovery\n{}", world.node.log());
    if status != 201 {
        // It was said that the order has to be given again.
        assert!(
            report["help"].as_str().unwrap().contains("again"),
            "{report}"
        );
        world.node.api("POST", "/v1/revocations", Some(&body));
    }
    let fences = world.node.items("/v1/fences");
    let subject = json!(format!("task/{doomed}"));
    assert!(
        fences.iter().any(|fence| fence["subject"] == subject),
        "the revocation was lost: {fences:?}"
    );

    // Nothing lost: each call that ran has its intent, and the log is whole.
    let events = world.node.events();
    let recorded = events
        .iter()
        .filter(|event| event["type"] == "tool.intent")
        .count();
    assert!(
        recorded >= world.tools.calls(),
        "{recorded} intents for {} calls ({intents} in between)",
        world.tools.calls()
    );
    let kinds = ["log.degraded", "log.restored"];
    assert!(
        kinds
            .iter()
            .all(|kind| events.iter().any(|event| event["type"] == *kind)),
        "the outage is not on record"
    );
}

/// Writes until nothing more fits.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [1 << 16, 1 << 10, 1] {
        while file.write_all(&vec![0x55; size]).is_ok() {}
    }
}
