//! Labels come before what they are about: before the call leaves, before an item is written, before an answer goes on.

use std::sync::atomic::Ordering;

use bailiwick_core::Effect;
use bailiwick_core::approval::ApprovalState;
use bailiwick_core::binding::Binding;
use bailiwick_core::change::ChangeBody;
use bailiwick_core::definition::ToolState;
use bailiwick_core::event::EventType;
use bailiwick_core::item::{Item, ItemKey};
use bailiwick_core::json::{Limits, check};
use bailiwick_core::label::Labels;
use bailiwick_core::server::Server;
use bailiwick_crypto::hash::item_id;
use serde_json::{Value, json};

use crate::testing::{Pipe, TASK, World};

fn call(id: u64, tool: &str, arguments: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool, "arguments": arguments } })
        .to_string()
}

fn labels(names: &[&str]) -> Labels {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// The server's answers carry these.
fn of_server(world: &World, names: &[&str]) {
    let server = world.replica.view(|state| {
        let row = state.server(&World::server()).unwrap();
        Server::clone(row)
    });
    let mut server = server.unwrap();
    server.labels = labels(names);
    world.commit(ChangeBody::Server(server));
}

fn bind(world: &World, name: &str, effect: Effect, binding: Value) {
    let mut tool = World::tool(name, effect, ToolState::Approved);
    tool.binding = serde_json::from_value::<Binding>(binding).unwrap();
    tool.binding.check().unwrap();
    world.commit(ChangeBody::Tool(tool));
}

fn key(kind: &str, name: &str) -> ItemKey {
    ItemKey {
        server: World::server(),
        kind: kind.parse().unwrap(),
        id: item_id(&[name]),
    }
}

fn hold(world: &World, key: ItemKey, names: &[&str]) {
    world.commit(ChangeBody::Item(Item {
        key,
        labels: labels(names),
        task: TASK,
        event: bailiwick_core::id::EventId::from_bits(8),
        changed_at: bailiwick_core::Timestamp::default(),
        version: 1,
    }));
}

fn asked(world: &World) -> Vec<String> {
    world.labeller.asked.lock().unwrap().clone()
}

fn carried(world: &World) -> String {
    world.task().labels.to_string()
}

fn label_task(world: &World, names: &[&str]) {
    let mut task = world.task();
    task.labels = labels(names);
    task.version += 1;
    world.commit(ChangeBody::Task(task));
}

fn decided(answer: &Value) -> &str {
    let code = &answer["result"]["_meta"]["bailiwick/decision"]["code"];
    code.as_str().unwrap_or("")
}

#[tokio::test]
async fn policy_is_told_what_a_call_is_about() {
    let world = World::new().await;
    bind(
        &world,
        "get",
        Effect::Read,
        json!({ "items": [{ "kind": "note", "in": ["/paths/*"] }] }),
    );
    let mut pipe = Pipe::open(&world);
    let notes = |id: u64, paths: &[&str]| call(id, "get", &json!({ "paths": paths }));
    assert_eq!(decided(&pipe.ask(&notes(1, &["open"])).await), "");
    // One of several things that is closed closes all; a look-alike is taken for what it looks like.
    for (id, paths) in [
        (2, &["closed"][..]),
        (3, &["open", "closed"]),
        (4, &["cl\u{43e}sed"]),
    ] {
        let answer = pipe.ask(&notes(id, paths)).await;
        assert_eq!(decided(&answer), "forbidden", "{paths:?}: {answer}");
    }
    hold(&world, key("note", "salaries"), &["pii"]);
    label_task(&world, &["no-pii"]);
    assert_eq!(decided(&pipe.ask(&notes(5, &["open"])).await), "");
    assert_eq!(
        decided(&pipe.ask(&notes(6, &["open", "Salaries"])).await),
        "forbidden"
    );
    // What does not say what it is about may be about anything there.
    assert_eq!(
        decided(&pipe.ask(&call(7, "get", &json!({}))).await),
        "forbidden"
    );
    // Names that nobody could keep are refused before policy is asked.
    let (many, long) = (vec!["n"; 300], "n".repeat(200_000));
    assert_eq!(
        decided(&pipe.ask(&notes(8, &many)).await),
        "arguments_invalid"
    );
    assert_eq!(
        decided(&pipe.ask(&notes(9, &[&long])).await),
        "arguments_invalid"
    );
    assert_eq!(world.tools.calls().len(), 2);
}

#[test]
fn names_of_several_parts_are_told_apart() {
    let binding: Binding =
        serde_json::from_value(json!({ "items": [{ "kind": "repo", "in": ["/owner", "/repo"] }] }))
            .unwrap();
    let ids = |arguments: Value| {
        let text = arguments.to_string();
        let text = check(text.as_bytes(), &Limits::ENVELOPE).unwrap();
        let things = super::named_in_arguments(&binding, &World::server(), &text).unwrap();
        (things.ids.into_iter().collect::<Vec<_>>(), things.complete)
    };
    let one = ids(json!({ "owner": "acme", "repo": "web" }));
    assert_eq!(one, (vec!["tools/repo/acme/web".to_owned()], true));
    let other = ids(json!({ "owner": "acme/web", "repo": "x" }));
    assert_eq!(other.0, ["tools/repo/acme%2Fweb/x"]);
    let escaped = ids(json!({ "owner": "acme%2Fweb", "repo": "x" }));
    assert_eq!(escaped.0, ["tools/repo/acme%252Fweb/x"]);
    assert_eq!(ids(json!({ "owner": "acme" })), (Vec::new(), false));
}

#[tokio::test]
async fn labels_are_durable_before_the_call_leaves_and_once_only() {
    let world = World::new().await;
    of_server(&world, &["untrusted"]);
    world.labeller.held.send_replace(true);
    let mut pipe = Pipe::open(&world);
    pipe.send(&call(1, "get", &json!({}))).await;
    while asked(&world).is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(world.tools.calls().is_empty(), "it left before its labels");
    world.labeller.held.send_replace(false);
    assert_eq!(pipe.next().await["result"]["content"][0]["text"], "done");
    assert_eq!(carried(&world), "untrusted");
    pipe.ask(&call(2, "get", &json!({}))).await;
    assert_eq!(
        asked(&world),
        ["task untrusted"],
        "it is written when it is new"
    );
    let events = world.recorder.events.lock().unwrap();
    let result = events
        .iter()
        .find(|event| event.kind == EventType::ToolResult);
    let task = result.unwrap().task.as_ref().unwrap();
    assert_eq!(
        task.labels,
        labels(&["untrusted"]),
        "the record says what the task carries"
    );
}

#[tokio::test]
async fn what_cannot_be_labelled_does_not_leave() {
    let world = World::new().await;
    of_server(&world, &["untrusted"]);
    world.labeller.full.store(true, Ordering::SeqCst);
    let answer = Pipe::open(&world).ask(&call(1, "get", &json!({}))).await;
    let decision = &answer["result"]["_meta"]["bailiwick/decision"];
    assert_eq!(decision["code"], "audit_unavailable", "{answer}");
    assert!(world.tools.calls().is_empty());
}

/// What only the answer tells: labels of its leaves, and of the items that it names. It is withheld until they are on record.
#[tokio::test]
async fn an_answer_waits_for_what_it_carries() {
    let world = World::new().await;
    *world.tools.says.lock().unwrap() = Some(json!({
        "structuredContent": { "found": [{ "name": "Anna" }, { "name": "Bob" }], "mail": "a@b.example" },
        "content": [],
    }));
    let binding = json!({
        "items": [{ "kind": "entity", "out": "/found/*/name" }],
        "paths": { "/mail": "pii", "/key": "secret" },
    });
    bind(&world, "get", Effect::Read, binding);
    hold(&world, key("entity", "bob"), &["internal"]);
    hold(&world, key("entity", "carol"), &["untrusted"]);
    let mut pipe = Pipe::open(&world);
    world.labeller.full.store(true, Ordering::SeqCst);
    let withheld = pipe.ask(&call(1, "get", &json!({}))).await;
    let decision = &withheld["result"]["_meta"]["bailiwick/decision"];
    assert_eq!(decision["code"], "audit_unavailable", "{withheld}");
    assert!(!withheld.to_string().contains("a@b.example"), "{withheld}");
    assert_eq!(world.tools.calls().len(), 1, "it has run");
    world.labeller.full.store(false, Ordering::SeqCst);
    let answer = pipe.ask(&call(2, "get", &json!({}))).await;
    assert_eq!(answer["result"]["structuredContent"]["mail"], "a@b.example");
    assert_eq!(carried(&world), "internal, pii");
    // Words beside the values may be of any item.
    *world.tools.says.lock().unwrap() = None;
    pipe.ask(&call(3, "get", &json!({}))).await;
    assert_eq!(carried(&world), "internal, pii, secret, untrusted");
}

#[tokio::test]
async fn an_item_is_labelled_before_it_is_written() {
    let world = World::new().await;
    bind(
        &world,
        "put",
        Effect::Write,
        json!({ "items": [{ "kind": "file", "in": ["/path"] }] }),
    );
    label_task(&world, &["untrusted"]);
    world.labeller.held.send_replace(true);
    let mut pipe = Pipe::open(&world);
    let put = |id| call(id, "put", &json!({ "path": "docs//Plan.md" }));
    pipe.send(&put(1)).await;
    world.approver.answer(ApprovalState::Approved).await;
    while asked(&world).is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(
        world.tools.calls().is_empty(),
        "it was written before it was labelled"
    );
    world.labeller.held.send_replace(false);
    pipe.next().await;
    assert_eq!(asked(&world), ["1 items untrusted"]);
    let items = |key| world.replica.view(|state| state.items().of(&key)).unwrap();
    assert_eq!(items(key("file", "docs/plan.md")), labels(&["untrusted"]));
    assert!(items(key("file", "docs/other.md")).is_empty());
}

/// Another task that reads the same item carries its labels; one that reads another item does not. What does not say what it is about is
/// about everything.
#[tokio::test]
async fn what_was_written_reaches_who_reads_it() {
    for (binding, path, expected) in [
        (
            json!({ "items": [{ "kind": "file", "in": ["/path"] }] }),
            Some("docs/plan.md"),
            "untrusted",
        ),
        (
            json!({ "items": [{ "kind": "file", "in": ["/path"] }] }),
            Some("docs/other.md"),
            "",
        ),
        (
            json!({ "items": [{ "kind": "file", "in": ["/path"] }] }),
            None,
            "untrusted",
        ),
        (json!({}), Some("docs/other.md"), "untrusted"),
    ] {
        let world = World::new().await;
        bind(&world, "get", Effect::Read, binding.clone());
        hold(&world, key("file", "docs/plan.md"), &["untrusted"]);
        let arguments = path.map_or_else(|| json!({}), |path| json!({ "path": path }));
        Pipe::open(&world).ask(&call(1, "get", &arguments)).await;
        assert_eq!(carried(&world), expected, "{binding} {path:?}");
    }
    // Written by a call that did not say into what: everything that is read carries it.
    let world = World::new().await;
    label_task(&world, &["pii"]);
    let mut pipe = Pipe::open(&world);
    pipe.send(&call(1, "put", &json!({}))).await;
    world.approver.answer(ApprovalState::Approved).await;
    pipe.next().await;
    assert_eq!(asked(&world), ["1 items pii"]);
    let whole = world
        .replica
        .view(|state| state.items().whole(&World::server()));
    assert_eq!(whole.unwrap(), labels(&["pii"]));
}

#[tokio::test]
async fn a_call_that_names_too_much_does_not_leave() {
    let world = World::new().await;
    let names: Vec<String> = (0..300).map(|n| format!("f{n}")).collect();
    let mut tool = World::tool("slow", Effect::Read, ToolState::Approved);
    tool.binding =
        serde_json::from_value(json!({ "items": [{ "kind": "file", "in": ["/path/*"] }] }))
            .unwrap();
    tool.definition = r#"{"name":"slow","inputSchema":{"type":"object","properties":{"path":{"type":"array","items":{"type":"string"}}}}}"#.to_owned();
    world.commit(ChangeBody::Tool(tool));
    let answer = Pipe::open(&world)
        .ask(&call(1, "slow", &json!({ "path": names })))
        .await;
    let decision = &answer["result"]["_meta"]["bailiwick/decision"];
    assert_eq!(decision["code"], "arguments_invalid", "{answer}");
    assert!(world.tools.calls().is_empty());
}
