//! A task as a person follows it: its story proven in the browser, what it could have done, and its end by revocation.

use serde_json::json;

use crate::harness::World;
use crate::harness::console::Console;

#[test]
fn a_tasks_story_is_proven_here_and_revoking_says_first_what_it_cuts() {
    let world = World::start();
    let node = &world.node;
    let (task, client) = world.session();
    let console = Console::of(node);
    let oriol = console.person(node, "oriol", &["operator", "viewer", "admin"]);
    oriol.press("g");
    oriol.press("t");
    oriol.wait_for(
        &format!("row-task[data-id={task}]"),
        "look after the orders",
    );
    oriol.look("tasks", &["row-task"]);
    oriol.click(&format!("row-task[data-id={task}]"));
    oriol.wait("task-state[data-state=open]");

    // It goes on while somebody looks.
    client.ok("read_file", r#"{"path":"notes/plan.md"}"#);
    client.refused("read_file", r#"{"path":"secrets/prod.env"}"#);
    oriol.wait("row-event[data-type='tool.result'][data-tick=proven]");
    oriol.wait_for(
        "row-event[data-type='tool.refused'][data-tick=proven]",
        "demo/no-secrets",
    );
    oriol.wait_gone("row-event[data-tick=unpublished]");
    oriol.wait("task-whole[data-whole=true]");
    let altered = oriol.count("row-event[data-tick=altered]");
    assert_eq!(altered, 0);
    oriol.click("row-event[data-type='tool.intent']");
    oriol.wait_for("proof-verdict[data-holds=true]", "Proven");
    oriol.look("task", &["tick"]);
    oriol.click("act-reach");
    oriol.wait_for(
        "row-reach[data-id='workspace/read_file']",
        "1 ran, 1 refused",
    );

    oriol.click("act-revoke");
    oriol.wait_for("revoke-plan", "1 open task");
    oriol.shot("revoke-wide-light");
    assert!(!oriol.is_enabled("act-confirm"), "without a reason");
    oriol.fill("in-reason", "INC-4");
    oriol.click("act-confirm");
    oriol.wait_for("revoke-receipt", "every credential is verified dead");
    oriol.click("act-close");
    oriol.wait("task-state[data-state=revoked]");
    assert_eq!(
        node.api("GET", &format!("/v1/tasks/{task}"), None)["state"],
        "revoked"
    );
    let after = client.post(br#"{"jsonrpc":"2.0","id":9,"method":"tools/list"}"#);
    assert_eq!(after.status, 401);

    // The credential it had is among the dead.
    oriol.open("/leases");
    oriol.wait("row-lease[data-state=TOMBSTONE]");
    oriol.look("leases", &["row-lease"]);
    console.done();
}

#[test]
fn an_agent_is_fenced_here_and_the_fence_lifted_by_an_admin() {
    let world = World::start();
    let node = &world.node;
    let (_, client) = world.session();
    client.ok("list_files", "{}");
    let console = Console::of(node);
    let oriol = console.person(node, "oriol", &["operator"]);
    oriol.open("/agents");
    oriol.wait_for("row-agent[data-id=tester]", "team-e2e");
    oriol.look("agents", &["row-agent"]);
    oriol.open("/agents/tester");
    oriol.wait_for("row-reach[data-id='workspace/list_files']", "1 ran");
    oriol.look("agent", &["row-reach"]);
    oriol.click("act-revoke");
    oriol.wait_for("revoke-plan", "1 open task");
    oriol.fill("in-reason", "INC-5");
    oriol.click("act-confirm");
    oriol.wait("revoke-receipt");
    oriol.click("act-close");
    oriol.open("/agents");
    oriol.wait_for("row-fence[data-id='agent/tester']", "INC-5");
    // Operators set fences; lifting one takes an admin.
    assert_eq!(oriol.count("act-lift"), 0);
    let ada = console.person(node, "ada", &["admin"]);
    ada.open("/agents");
    ada.click("act-lift");
    ada.fill("in-reason", "cleared");
    ada.click("act-confirm");
    ada.wait_gone("row-fence[data-id='agent/tester']");
    oriol.wait_gone("row-fence[data-id='agent/tester']");
    let fences = node.items("/v1/fences");
    let lifted = fences
        .iter()
        .find(|fence| fence["subject"] == json!("agent/tester"));
    assert!(lifted.unwrap()["lifted_seq"].is_u64(), "{fences:?}");
    console.done();
}
