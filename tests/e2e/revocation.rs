//! Revocation: what runs is cut, what comes next is refused, credentials are verified dead, and nothing revives.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::agent::register;
use crate::harness::http::Events;
use crate::harness::world::{demo_policy, publish};
use crate::harness::{Mcp, World, deps, node};

/// Starts the long export and gives its stream once it runs.
pub(crate) fn exporting(client: &Mcp<'_>) -> Events {
    let response = client.start_call("export_all", "{}");
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    let mut events = response.events();
    let first = events.next().expect("the export ended at once");
    assert_eq!(first["method"], "notifications/progress", "{first}");
    events
}

/// Reads a stream to its end: it must have been cut, whatever it says last.
fn cut(events: Events) {
    ends_with(events, "revoked");
}

pub(crate) fn ends_with(mut events: Events, code: &str) {
    let last = events.find(|event| event["method"] != "notifications/progress");
    if let Some(last) = last {
        assert_eq!(
            last["result"]["_meta"]["bailiwick/decision"]["code"], code,
            "{last}"
        );
        assert_eq!(events.next(), None);
    }
}

/// What the gateway says to the caller now, which must be a refusal.
pub(crate) fn refused(client: &Mcp<'_>) -> (u16, Value) {
    let response = client.start_call("list_files", "{}");
    let (status, challenge) = (response.status, response.headers("www-authenticate"));
    let said = response.json();
    assert!(status == 401 || status == 403, "{status} {said}");
    assert!(challenge.contains("resource_metadata"), "{challenge}");
    (status, said)
}

fn leases(world: &World, task: &str) -> Vec<Value> {
    let leases = world.node.items(&format!("/v1/leases?task={task}"));
    assert!(!leases.is_empty(), "the task had no lease");
    leases
}

/// The receipt verifies with the issuer's keys and nothing else, says what was cut, and no longer verifies once altered.
fn receipt_holds(world: &World, report: &Value, receipt: &Path) {
    let home = world.node.home();
    let keys = world.node.api("GET", "/oauth/receipt-jwks", None);
    let jwks = home.join("receipt-keys.json");
    fs::write(&jwks, keys.to_string()).unwrap();
    let verify = |receipt: &Path| {
        let (receipt, jwks) = (receipt.to_str().unwrap(), jwks.to_str().unwrap());
        let mut command = node::bailiwick(&["revocation", "verify", receipt, "--jwks", jwks]);
        node::run(command.args(["--output", "json"]), "")
    };
    let said = verify(receipt).json();
    assert_eq!(said["jti"], report["id"], "{said}");
    assert_eq!(
        said["leases"],
        json!({"fenced": 1, "dead": 1, "pending": 0})
    );
    assert_eq!(said["points"][0]["how"], "acked", "{said}");
    let index = said["audit"]["index"].as_u64().unwrap();
    let events = world.node.events();
    let event = &events[usize::try_from(index).unwrap()];
    assert_eq!(event["type"], "fence.set", "{event}");

    let mut text = fs::read_to_string(receipt).unwrap();
    let middle = text.len() / 2;
    let other = if text.as_bytes()[middle] == b'A' {
        "B"
    } else {
        "A"
    };
    text.replace_range(middle..=middle, other);
    let altered = home.join("altered.jwt");
    fs::write(&altered, text).unwrap();
    let refused = verify(&altered);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.problem()["message"].is_string(), "{refused:?}");
}

/// Whoever publishes a policy that no longer permits what runs has cut it: the record names the publication.
#[test]
fn a_published_policy_cuts_the_stream_that_it_no_longer_permits() {
    let world = World::start();
    let (_, client) = world.session();
    let stream = exporting(&client);
    let mut files = demo_policy();
    files["export.cedar"] = json!(
        r#"@id("no-export") @reason("Nothing is exported today.") forbid (principal, action == Bailiwick::Action::"workspace/export_all", resource);"#
    );
    publish(&world.node, &files);
    ends_with(stream, "call_cut");
    // What is still permitted goes on in the same session.
    client.ok("list_files", "{}");
    let events = world.node.events();
    let result = events
        .iter()
        .find(|event| event["outcome"]["status"] == "cut");
    let cause = result.and_then(|result| result["cause"].as_str()).unwrap();
    assert_eq!(world.node.event(cause)["type"], "policy.published");
}

#[test]
fn revoking_a_task_cuts_its_stream_and_kills_what_it_had() {
    let world = World::start();
    let (task, client) = world.session();
    let (other_task, other) = world.session();
    let stream = exporting(&client);
    other.ok("list_files", "{}");

    let preview = world
        .node
        .cli(&["revoke", "task", &task, "--reason", "INC-4", "--dry-run"]);
    assert_eq!(
        (&preview["cut"]["tasks"], &preview["id"]),
        (&json!(1), &Value::Null),
        "{preview}"
    );
    assert!(
        world.node.items("/v1/fences").is_empty(),
        "a dry run set a fence"
    );
    let [branch] = preview["subtree"].as_array().unwrap().as_slice() else {
        panic!("{preview}")
    };
    assert_eq!(
        (&branch["task"], &branch["agent"]),
        (&json!(task), &json!("tester"))
    );
    assert_eq!(branch["leases"].as_array().unwrap().len(), 1, "{preview}");
    let kept = world.node.home().join("receipt.jwt");
    let report = world.node.cli(&[
        "revoke",
        "task",
        &task,
        "--reason",
        "INC-4",
        "--yes",
        "--wait",
        "dead",
        "--receipt",
        kept.to_str().unwrap(),
    ]);
    assert!(
        report["id"].as_str().unwrap().starts_with("rev_"),
        "{report}"
    );
    receipt_holds(&world, &report, &kept);

    cut(stream);
    let (status, said) = refused(&client);
    assert_eq!((status, &said["code"]), (401, &json!("revoked")), "{said}");
    assert!(
        said.to_string().contains("INC-4"),
        "the reason is not told: {said}"
    );
    let (_, token) = world.agent.token(&task, "workspace").unwrap_err();
    assert_eq!(token["code"], "revoked", "{token}");
    assert_eq!(
        world.node.api("GET", &format!("/v1/tasks/{task}"), None)["state"],
        "revoked"
    );
    for lease in leases(&world, &task) {
        assert_eq!(lease["state"], "TOMBSTONE", "{lease}");
        assert!(lease["verified_at"].is_string(), "{lease}");
    }

    // Only that task.
    other.ok("list_files", "{}");
    assert!(
        leases(&world, &other_task)
            .iter()
            .all(|lease| lease["state"] == "ACTIVE")
    );
    let journal = world.tools.journal();
    let export = journal
        .iter()
        .find(|line| line["tool"] == "export_all")
        .unwrap();
    let ended = journal
        .iter()
        .find(|line| line["phase"] == "end" && line["call"] == export["call"]);
    assert!(
        ended.is_none_or(|line| line["outcome"] != "done"),
        "the export ran to its end"
    );

    let events = world.node.events();
    let result = events
        .iter()
        .find(|event| event["type"] == "tool.result" && event["action"]["tool"] == "export_all");
    assert_eq!(
        result.expect("no result on record")["outcome"]["status"],
        "cut"
    );
    assert!(events.iter().any(|event| event["type"] == "fence.set"));
}

#[test]
fn revoking_an_agent_cuts_all_its_tasks_and_its_identity() {
    let world = World::start();
    let node = &world.node;
    let python = deps::python_copy(node.home(), "snake");
    register(node, "snake", &format!("unix:path={}", python.display()));
    let identity = || {
        let mut command = Command::new(&python);
        command
            .arg(deps::script("identity.py"))
            .arg(node.ready("workload_socket"))
            .arg("https://service.example");
        node::run(&mut command, "")
    };
    let (_, first) = world.session();
    let (_, second) = world.session();
    let (one, two) = (exporting(&first), exporting(&second));

    node.cli(&["revoke", "agent", "tester", "--reason", "INC-5", "--yes"]);
    cut(one);
    cut(two);
    for client in [&first, &second] {
        assert_eq!(refused(client).1["code"], "revoked");
    }
    let svid = crate::harness::agent::runtime().block_on(async {
        let client = spiffe::WorkloadApiClient::connect_to(world.agent.endpoint())
            .await
            .unwrap();
        client.fetch_x509_svid().await
    });
    assert!(svid.is_err(), "a revoked agent got an identity");
    let states: Vec<_> = node
        .items("/v1/tasks")
        .into_iter()
        .map(|task| task["state"].clone())
        .collect();
    assert_eq!(states, [json!("revoked"), json!("revoked")]);
    assert!(
        node.items("/v1/leases")
            .iter()
            .all(|lease| lease["state"] == "TOMBSTONE")
    );

    // Another agent goes on until it is its turn; a lift lets new processes be born, and revives nothing.
    assert_eq!(identity().code, Some(0));
    node.cli(&["revoke", "agent", "snake", "--reason", "INC-6", "--yes"]);
    let dead = identity();
    assert!(
        dead.code != Some(0) && dead.stderr.contains("revoked"),
        "{dead:?}"
    );
    node.cli(&["fence", "lift", "agent/snake", "--reason", "cleared"]);
    let born = identity();
    assert_eq!(born.code, Some(0), "{born:?}");
    node.cli(&["fence", "lift", "agent/tester", "--reason", "cleared"]);
    assert_eq!(
        refused(&first).1["code"],
        "revoked",
        "a lift revived a task"
    );
}

#[test]
fn the_end_of_a_task_kills_its_token_and_its_lease() {
    let world = World::start();
    let (task, client) = world.session();
    client.ok("list_files", "{}");
    let ended = world.node.cli(&["task", "complete", &task]);
    assert_eq!(ended["state"], "completed", "{ended}");
    let (_, said) = refused(&client);
    assert_eq!(said["code"], "task_ended", "{said}");
    let (status, token) = world.agent.token(&task, "workspace").unwrap_err();
    assert_eq!(
        (status, &token["error"], &token["code"]),
        (400, &json!("invalid_grant"), &json!("task_ended")),
        "{token}"
    );
    assert!(
        leases(&world, &task)
            .iter()
            .all(|lease| lease["state"] == "TOMBSTONE")
    );
    assert_eq!(world.tools.calls(), 1);
    let again = world.node.run(&["task", "cancel", &task]);
    assert_eq!(again.code, Some(6), "{again:?}");
}

#[test]
fn a_revocation_outlives_a_restart() {
    let mut world = World::start();
    let (task, client) = world.session();
    client.ok("list_files", "{}");
    let token = client.token.clone();
    world
        .node
        .cli(&["revoke", "task", &task, "--reason", "INC-7", "--yes"]);
    world.node.kill_nine();
    world.node.start_again();
    let fences = world.node.items("/v1/fences");
    assert_eq!(
        fences[0]["subject"],
        json!(format!("task/{task}")),
        "{fences:?}"
    );
    let agent = crate::harness::Agent::of(&world.node);
    assert_eq!(
        agent.token(&task, "workspace").unwrap_err().1["code"],
        "revoked"
    );
    assert!(!token.is_empty());
}
