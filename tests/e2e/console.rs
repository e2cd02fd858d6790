//! The web console in a real browser on a real node: signing in, answering calls, and what happens when the connection goes.

mod governance;
mod record;
mod tasks;

use std::net::TcpListener;

use serde_json::json;

use crate::harness::console::{Console, link};
use crate::harness::world::{demo_policy, publish};
use crate::harness::{Mcp, Setup, World};

/// Arguments as somebody would write them who wants to be misread: a right-to-left override, a zero-width space, HTML, an escaped bell, and
/// spaces that no serialiser would make.
const HOSTILE: &str = "{ \"title\": \"week\",  \"body\": \"shipped\u{202e}<img src=x onerror=alert(1)>\u{200b}\\u0007\" }";
/// The same tool, asked for again otherwise.
const AGAIN: &str = r#"{"title":"month","body":"all is well"}"#;
/// A number that no double holds.
const LARGE: &str = r#"{"id":9007199254740993,"status":"shipped"}"#;
/// Notes and orders change only with a person's word.
const ASKS: &str = r#"
@id("e2e/asks")
@reason("Somebody reads it first.")
@step_up("approval:approver")
permit (
  principal,
  action in [Bailiwick::Action::"workspace/add_note", Bailiwick::Action::"workspace/update_order"],
  resource
);
"#;

/// A world whose callers are soon told to ask again, so that nobody waits for a browser: what they asked about goes on waiting for a person.
fn asking() -> World {
    let world = World::with(&Setup {
        approval_wait: "1s",
        ..Setup::default()
    });
    let toml = "name = \"asks\"\ndescription = \"Notes and orders change with a person's word.\"\n";
    let files = json!({ "bundle.toml": toml, "asks.cedar": ASKS });
    publish(&world.node, &files);
    world
}

/// Calls a tool and gives the approval that this asks for.
fn ask(client: &Mcp<'_>, tool: &str, arguments: &str) -> String {
    let decision = client.refused(tool, arguments);
    assert_eq!(decision["code"], "approval_required", "{decision}");
    decision["approval"].as_str().unwrap().to_owned()
}

#[test]
fn a_link_signs_in_once_and_signing_out_ends_it() {
    let world = World::start();
    let node = &world.node;
    let console = Console::of(node);
    let account = json!({ "name": "anna", "roles": ["viewer"] });
    node.api("POST", "/v1/accounts", Some(&account));

    // Whoever comes without a session is asked to sign in, and goes on where they wanted to.
    let anna = console.stranger("anna");
    anna.open("/approvals");
    anna.wait("view-login");
    anna.look("login", &["view-login"]);
    let once = link(node, "anna");
    anna.open(&once);
    anna.wait("view-approvals");
    assert_eq!(anna.run("location.hash"), json!(""));
    anna.wait_for("account", "anna");
    // No script reads the cookie's half.
    assert_eq!(anna.run("document.cookie"), json!(""));
    // It is still there after a load.
    anna.open("/");
    anna.wait("view-now");

    let other = console.stranger("other");
    other.open(&once);
    other.wait_for("state-error", "not_signed_in");
    let fresh = link(node, "anna");
    other.fill("login-code", &fresh);
    other.click("act-sign-in");
    other.wait("view-now");

    anna.click("act-sign-out");
    anna.wait("view-login");
    anna.open("/");
    anna.wait("view-login");
    // One signed out; the other goes on.
    other.open("/approvals");
    other.wait("view-approvals");
    console.done();
}

#[test]
fn a_call_runs_only_after_it_was_approved_with_exactly_the_bytes_that_were_shown() {
    let world = asking();
    let (task, client) = world.session();
    let node = &world.node;
    let console = Console::of(node);
    let anna = console.person(node, "anna", &["approver", "viewer"]);
    anna.open("/approvals");
    anna.wait_for("state-empty", "Nothing waits");

    let id = ask(&client, "add_note", HOSTILE);
    // It comes by itself.
    anna.click(&format!("row-approval[data-id={id}]"));
    anna.wait("appr-args");
    let shown = anna.text("appr-args");
    let hostile = "shipped⟦U+202E⟧<img src=x onerror=alert(1)>⟦U+200B⟧\\u0007";
    assert!(shown.contains(hostile), "{shown}");
    assert_eq!(
        anna.count("css=main img"),
        0,
        "HTML became a part of the page"
    );
    anna.click("act-raw");
    let raw = anna.text("appr-raw");
    assert!(raw.starts_with("{ \"title\": \"week\",  \"body\""), "{raw}");
    anna.click("act-raw");
    let text = anna.text("approval");
    assert!(text.contains(&task), "{text}");
    anna.look("approval", &["appr-args", "act-approve"]);
    assert_eq!(world.tools.calls(), 0, "it ran before anybody answered");
    anna.click("act-approve");
    anna.fill("in-reason", "as agreed");
    anna.click("act-confirm");
    anna.wait(&format!("approval[data-id={id}][data-state=approved]"));
    client.ok("add_note", HOSTILE);
    anna.wait(&format!("approval[data-id={id}][data-state=consumed]"));
    assert_eq!(world.tools.ran("add_note"), [HOSTILE]);
    let answered = node.api("GET", &format!("/v1/approvals/{id}"), None);
    let vote = &answered["approval"]["votes"][0];
    assert_eq!(
        (&vote["account"], &vote["reason"]),
        (&json!("anna"), &json!("as agreed")),
        "{answered}"
    );

    let id = ask(&client, "add_note", AGAIN);
    anna.open(&format!("/approvals/{id}"));
    // What is otherwise than the last time is set apart.
    anna.wait_for("appr-diff", "all is well");
    let diff = anna.text("appr-diff");
    assert!(
        diff.contains("⟦U+202E⟧") && diff.contains("month"),
        "{diff}"
    );
    anna.press("d");
    anna.fill("in-reason", "not this one");
    anna.click("act-confirm");
    anna.wait(&format!("approval[data-id={id}][data-state=denied]"));
    assert_eq!(world.tools.ran("add_note").len(), 1);

    let id = ask(&client, "update_order", LARGE);
    anna.open(&format!("/approvals/{id}"));
    anna.wait_for("appr-args", "9007199254740993");
    anna.open("/");
    anna.wait("row-event[data-type='approval.answered']");
    anna.wait("integrity-badge[data-standing=whole]");
    anna.look(
        "now",
        &["row-event", "integrity-badge[data-standing=whole]"],
    );
    console.done();
}

#[test]
fn a_yes_for_the_next_calls_alike_says_what_may_vary() {
    let world = asking();
    let node = &world.node;
    let mut files = demo_policy();
    let text = files["workspace.cedar"].as_str().unwrap();
    files["workspace.cedar"] = json!(text.replace("@valid(\"5m\")", "@standing(\"2\")"));
    publish(node, &files);
    let (_, client) = world.session();
    let console = Console::of(node);
    let anna = console.person(node, "anna", &["approver", "viewer"]);
    // What the server answers labels the task, and with another label people are asked again.
    client.ok("read_file", r#"{"path":"notes/plan.md"}"#);
    let first = ask(&client, "update_order", r#"{"id":7,"status":"shipped"}"#);
    anna.open(&format!("/approvals/{first}"));
    anna.click("act-approve");
    anna.fill("in-calls", "2");
    anna.click("in-vary-id");
    anna.wait("appr-standing");
    anna.shot("approval-standing");
    anna.click("act-confirm");
    anna.wait_for("appr-stands", "2 more calls");
    client.ok("update_order", r#"{"id":7,"status":"shipped"}"#);
    client.ok("update_order", r#"{"id":8,"status":"shipped"}"#);
    anna.wait_for("appr-stands", "1 more call ");
    ask(&client, "update_order", r#"{"id":8,"status":"lost"}"#);
    let listed = node.api("GET", "/v1/approvals?state=consumed", None);
    let under = &listed["items"][0];
    assert_eq!(under["under"], json!(first), "{listed}");
    anna.open(&format!("/approvals/{}", under["id"].as_str().unwrap()));
    anna.wait_for("appr-stands", "Nobody was asked");
    console.done();
}

#[test]
fn what_changed_while_somebody_read_it_is_marked_and_has_to_be_read_again() {
    let world = asking();
    let (task, client) = world.session();
    let node = &world.node;
    let console = Console::of(node);
    let anna = console.person(node, "anna", &["approver"]);
    let id = ask(&client, "add_note", AGAIN);
    anna.open(&format!("/approvals/{id}"));
    anna.click("act-approve");
    anna.wait("in-reason");
    let risk = json!({ "risk": "high", "reason": "INC-4" });
    node.api("POST", &format!("/v1/tasks/{task}/risk"), Some(&risk));
    // The question is taken back: what it asked about is no longer so.
    anna.wait_for("appr-changed", "risk");
    anna.wait_gone("dialog");
    anna.click("act-deny");
    anna.fill("in-reason", "not under these circumstances");
    anna.click("act-confirm");
    anna.wait(&format!("approval[data-id={id}][data-state=denied]"));
    assert_eq!(world.tools.calls(), 0);
    console.done();
}

#[test]
fn who_may_not_is_told_so_and_sees_no_blank_page() {
    let world = asking();
    let (_, client) = world.session();
    let node = &world.node;
    let console = Console::of(node);
    let oriol = console.person(node, "oriol", &["operator"]);
    oriol.open("/approvals");
    oriol.wait_for("state-forbidden", "approver");
    let vera = console.person(node, "vera", &["viewer"]);
    let id = ask(&client, "add_note", AGAIN);
    vera.open(&format!("/approvals/{id}"));
    vera.wait("appr-sealed");
    assert_eq!(vera.count("act-approve") + vera.count("act-deny"), 0);
    let text = vera.text("approval");
    assert!(text.contains("it needs the role approver"), "{text}");
    assert!(!text.contains("all is well"), "{text}");
    node.cli(&["approval", "deny", &id, "--reason", "a test"]);
    vera.wait(&format!("approval[data-id={id}][data-state=denied]"));
    console.done();
}

#[test]
fn a_lost_connection_is_shown_and_what_was_missed_comes_once() {
    // The browser goes back to where the node was.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let mut world = World::with(&Setup {
        console: address,
        ..Setup::default()
    });
    let console = Console::of(&world.node);
    let vera = console.person(&world.node, "vera", &["viewer"]);
    vera.wait("live[data-state=live]");
    vera.wait("row-event[data-type='login.accepted']");
    world.node.kill_nine();
    vera.wait("live[data-state=lost]");
    vera.wait("state-stale");
    vera.shot("lost");
    world.node.start_again();
    let agent = json!({
        "name": "latecomer",
        "owner": "team-e2e",
        "selectors": ["unix:uid=4242"],
        "ceiling": { "grants": [{ "server": ["*"], "tool": ["*"], "effects": ["read"] }] },
    });
    world.node.api("POST", "/v1/agents", Some(&agent));
    vera.wait("live[data-state=live]");
    vera.wait_gone("state-stale");
    vera.wait("row-event[data-type='agent.registered']");
    vera.wait("row-event[data-type='log.opened']");
    let indexes = vera.run(
        "[...document.querySelectorAll('[data-testid=row-event]')].map((row) => Number(row.dataset.index))",
    );
    let indexes: Vec<u64> = serde_json::from_value(indexes).unwrap();
    let mut once = indexes.clone();
    once.dedup();
    assert_eq!(indexes, once, "an event is shown twice");
    assert!(indexes.is_sorted_by(|a, b| a > b), "{indexes:?}");
    console.done();
}
