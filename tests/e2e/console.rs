//! The web console in a real browser on a real node: signing in, answering calls, and what happens when the connection goes.

mod governance;
mod record;
mod tasks;

use std::net::TcpListener;
use std::thread;

use serde_json::{Value, json};

use crate::harness::console::{Console, link};
use crate::harness::{Mcp, Setup, World};
use crate::step_up::next_asked;

/// Arguments as somebody would write them who wants to be misread: a right-to-left override, a zero-width space, HTML, a number that no
/// double holds, and spaces that no serialiser would make.
const HOSTILE: &str = "{ \"id\": 7,  \"status\": \"shipped\u{202e}<img src=x onerror=alert(1)>\u{200b}\\u0007\", \"note\": 9007199254740993 }";
/// The same tool, asked for again otherwise.
const AGAIN: &str = r#"{"id":8,"status":"shipped"}"#;

/// Runs a call in a thread of its own while `meanwhile` does what a person does; both answers.
fn while_waiting<T>(
    client: &Mcp<'_>,
    arguments: &str,
    meanwhile: impl FnOnce() -> T,
) -> (Value, T) {
    thread::scope(|scope| {
        let call = scope.spawn(|| client.call("update_order", arguments));
        let done = meanwhile();
        (call.join().unwrap(), done)
    })
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
    let world = World::start();
    let (task, client) = world.session();
    let node = &world.node;
    let console = Console::of(node);
    let anna = console.person(node, "anna", &["approver", "viewer"]);
    let mut tail = node.tail();
    anna.open("/approvals");
    anna.wait_for("state-empty", "Nothing waits");

    let (answer, id) = while_waiting(&client, HOSTILE, || {
        let id = next_asked(&mut tail);
        // It comes by itself.
        anna.click(&format!("row-approval[data-id={id}]"));
        anna.wait("appr-args");
        let shown = anna.text("appr-args");
        for part in [
            "⟦U+202E⟧<img src=x onerror=alert(1)>⟦U+200B⟧\\u0007",
            "9007199254740993",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert_eq!(
            anna.count("css=main img"),
            0,
            "HTML became a part of the page"
        );
        anna.click("act-raw");
        let raw = anna.text("appr-raw");
        assert!(raw.starts_with("{ \"id\": 7,"), "{raw}");
        anna.click("act-raw");
        let text = anna.text("approval");
        assert!(text.contains(&task), "{text}");
        anna.look("approval", &["appr-args", "act-approve"]);
        assert_eq!(world.tools.calls(), 0, "it ran before anybody answered");

        anna.click("act-approve");
        anna.fill("in-reason", "as agreed");
        anna.click("act-confirm");
        anna.wait(&format!("approval[data-id={id}][data-state=consumed]"));
        id
    });
    assert_eq!(answer["result"]["isError"], json!(false), "{answer}");
    assert_eq!(world.tools.ran("update_order"), [HOSTILE]);
    let shown = node.api("GET", &format!("/v1/approvals/{id}"), None);
    let vote = &shown["approval"]["votes"][0];
    assert_eq!(
        (&vote["account"], &vote["reason"]),
        (&json!("anna"), &json!("as agreed")),
        "{shown}"
    );

    let (answer, ()) = while_waiting(&client, AGAIN, || {
        let id = next_asked(&mut tail);
        anna.open(&format!("/approvals/{id}"));
        // What is otherwise than the last time is set apart.
        anna.wait_for("appr-diff", "7");
        let diff = anna.text("appr-diff");
        assert!(diff.contains("note") && diff.contains('8'), "{diff}");
        anna.press("d");
        anna.fill("in-reason", "not this one");
        anna.click("act-confirm");
        anna.wait(&format!("approval[data-id={id}][data-state=denied]"));
    });
    let decision = &answer["result"]["_meta"]["bailiwick/decision"];
    assert_eq!(decision["code"], "approval_denied", "{answer}");
    assert_eq!(world.tools.ran("update_order").len(), 1);
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
fn what_changed_while_somebody_read_it_is_marked_and_has_to_be_read_again() {
    let world = World::start();
    let (task, client) = world.session();
    let node = &world.node;
    let console = Console::of(node);
    let anna = console.person(node, "anna", &["approver"]);
    let mut tail = node.tail();
    let (answer, ()) = while_waiting(&client, AGAIN, || {
        let id = next_asked(&mut tail);
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
    });
    let decision = &answer["result"]["_meta"]["bailiwick/decision"];
    assert_eq!(decision["code"], "approval_denied", "{answer}");
    console.done();
}

#[test]
fn who_may_not_is_told_so_and_sees_no_blank_page() {
    let world = World::start();
    let (_, client) = world.session();
    let node = &world.node;
    let console = Console::of(node);
    let oriol = console.person(node, "oriol", &["operator"]);
    oriol.open("/approvals");
    oriol.wait_for("state-forbidden", "approver");
    let vera = console.person(node, "vera", &["viewer"]);
    let mut tail = node.tail();
    let (_, ()) = while_waiting(&client, AGAIN, || {
        let id = next_asked(&mut tail);
        vera.open(&format!("/approvals/{id}"));
        vera.wait("appr-sealed");
        assert_eq!(vera.count("act-approve") + vera.count("act-deny"), 0);
        let text = vera.text("approval");
        assert!(text.contains("it needs the role approver"), "{text}");
        node.cli(&["approval", "deny", &id, "--reason", "a test"]);
        vera.wait(&format!("approval[data-id={id}][data-state=denied]"));
    });
    vera.open("/nowhere-at-all");
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
