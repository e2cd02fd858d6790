//! Calls that wait for a person: through the command line, through the API as a second account, refused, and asked anew.

use std::thread;

use bailiwick_core::Clock as _;
use bailiwick_crypto::system::SystemClock;
use serde_json::{Value, json};

use crate::harness::http::{self, Place};
use crate::harness::world::{demo_policy, publish};
use crate::harness::{Agent, DEADLINE, Mcp, Node, Setup, World};
use crate::revocation::{self, ends_with, exporting};
use crate::ship::until;

/// The arguments of the order, written as no serialiser would.
pub(crate) const SHIP: &str = r#"{ "status" :"shipped",  "id": 7 }"#;

/// The id of the next approval that is asked for, however much else is on record meanwhile.
pub(crate) fn next_asked(tail: &mut impl Iterator<Item = Value>) -> String {
    let began = SystemClock.monotonic();
    let asked = tail
        .take_while(|_| SystemClock.monotonic().saturating_sub(began) < 6 * DEADLINE)
        .find(|event| event["type"] == "approval.requested")
        .expect("nobody was asked in time");
    asked["approval"]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{asked}"))
        .to_owned()
}

/// Runs a call in a thread of its own while `meanwhile` does what a person does; both answers.
pub(crate) fn while_waiting<T>(
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
fn an_approved_call_runs_once_with_exactly_the_bytes_that_were_shown() {
    let world = World::start();
    let (task, client) = world.session();
    let node = &world.node;
    let mut tail = node.tail();

    let (answer, first) = while_waiting(&client, SHIP, || {
        let id = next_asked(&mut tail);
        assert_eq!(world.tools.calls(), 0, "it ran before anybody was asked");
        let listed = node.cli(&["approval", "list"]);
        assert_eq!(listed["items"][0]["id"], json!(id), "{listed}");
        let shown = node.cli(&["approval", "show", &id]);
        assert_eq!(shown["approval"]["arguments"], SHIP, "{shown}");
        assert_eq!(shown["approval"]["task"], json!(task), "{shown}");
        let approved = node.cli(&["approval", "approve", &id, "--reason", "as agreed", "--yes"]);
        assert_eq!(approved["state"], "approved", "{approved}");
        id
    });
    assert_eq!(answer["result"]["isError"], json!(false), "{answer}");
    assert_eq!(world.tools.ran("update_order"), [SHIP]);
    assert_eq!(
        node.cli(&["approval", "show", &first])["approval"]["state"],
        "consumed"
    );

    // An answer is good for one call: the same bytes again ask again.
    let (answer, second) = while_waiting(&client, SHIP, || {
        let id = next_asked(&mut tail);
        node.cli(&["approval", "deny", &id, "--reason", "once was enough"]);
        id
    });
    assert_ne!(first, second);
    let decision = &answer["result"]["_meta"]["bailiwick/decision"];
    assert_eq!(decision["code"], "approval_denied", "{answer}");
    assert_eq!(
        world.tools.ran("update_order").len(),
        1,
        "a refused call ran"
    );

    let late = node.run(&[
        "approval",
        "approve",
        &second,
        "--reason",
        "after all",
        "--yes",
    ]);
    assert_eq!(late.code, Some(1), "{late:?}");
    assert!(late.stderr.contains("approval_denied"), "{late:?}");

    // The record has it all, without the arguments.
    let events = node.events();
    let of = |kind: &str| {
        events
            .iter()
            .filter(|event| event["type"] == kind)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (
            of("approval.requested").len(),
            of("approval.answered").len(),
            of("approval.consumed").len()
        ),
        (2, 2, 1)
    );
    let intents: Vec<_> = of("tool.intent");
    assert_eq!(intents.len(), 1, "{intents:#?}");
    assert_eq!(intents[0]["approval"]["id"], json!(first));
    assert!(
        !serde_json::to_string(&events).unwrap().contains("shipped"),
        "arguments stand in the record"
    );
}

#[test]
fn a_second_account_answers_through_the_api() {
    let world = World::start();
    let (_, client) = world.session();
    let node = &world.node;
    let anna = account(node, "anna", "approver");
    let victor = account(node, "victor", "viewer");
    let mut tail = node.tail();

    let (answer, id) = while_waiting(&client, SHIP, || {
        let id = next_asked(&mut tail);
        let path = format!("/v1/approvals/{id}");
        let (status, _) = over_tcp(node, "", "GET", &path, None);
        assert_eq!(status, 401);
        let (status, refused) = over_tcp(node, "bwa_invented", "GET", &path, None);
        assert_eq!(
            (status, &refused["code"]),
            (401, &json!("not_signed_in")),
            "{refused}"
        );

        let (status, shown) = over_tcp(node, &anna, "GET", &path, None);
        assert_eq!(status, 200, "{shown}");
        let digest = shown["shown_digest"].clone();
        let approve = format!("{path}/approve");
        let vote = json!({ "reason": "the payment is in", "shown_digest": digest });
        let (status, refused) = over_tcp(node, &victor, "POST", &approve, Some(&vote));
        assert_eq!(
            (status, &refused["code"]),
            (403, &json!("not_permitted")),
            "{refused}"
        );
        assert!(
            refused["help"].as_str().unwrap().contains("approver"),
            "{refused}"
        );

        let other = format!("sha256:{}", "0".repeat(64));
        let stale = json!({ "reason": "", "shown_digest": other });
        let (status, refused) = over_tcp(node, &anna, "POST", &approve, Some(&stale));
        assert_eq!(
            (status, &refused["code"]),
            (409, &json!("approval_changed")),
            "{refused}"
        );
        assert_eq!(world.tools.calls(), 0);

        let (status, approved) = over_tcp(node, &anna, "POST", &approve, Some(&vote));
        assert_eq!(
            (status, &approved["state"]),
            (200, &json!("approved")),
            "{approved}"
        );
        id
    });
    assert_eq!(answer["result"]["isError"], json!(false), "{answer}");
    assert_eq!(world.tools.ran("update_order"), [SHIP]);

    // The record names the account by its id, not the person.
    let anna = node
        .items("/v1/accounts")
        .into_iter()
        .find(|account| account["name"] == "anna")
        .unwrap();
    let events = node.events();
    let answered = events
        .iter()
        .find(|event| event["type"] == "approval.answered")
        .unwrap();
    assert_eq!(answered["approval"]["id"], json!(id), "{answered}");
    assert_eq!(answered["actor"], anna["id"], "{answered}");
    let refused = events
        .iter()
        .filter(|event| event["type"] == "admin.refused");
    assert!(refused.count() > 0, "the viewer's attempt is not on record");
}

#[test]
fn an_approval_that_comes_too_late_for_the_caller_serves_the_same_call_later() {
    let world = World::with(&Setup {
        approval_wait: "1s",
        ..Setup::default()
    });
    let (_, client) = world.session();
    let node = &world.node;

    let decision = client.refused("update_order", SHIP);
    assert_eq!(
        (&decision["code"], &decision["decision"]),
        (&json!("approval_required"), &json!("step_up")),
        "{decision}"
    );
    assert!(
        decision["url"]
            .as_str()
            .unwrap()
            .starts_with("http://127.0.0.1:"),
        "{decision}"
    );
    assert!(decision["retry_after_s"].as_u64() > Some(0), "{decision}");
    let first = decision["approval"].as_str().unwrap();
    node.cli(&[
        "approval",
        "approve",
        first,
        "--reason",
        "as agreed",
        "--yes",
    ]);

    // Another call is not the one that was approved: not in a byte, not in the order of its keys, not if it looks the same.
    for other in [
        r#"{ "status" :"shipped",  "id": 8 }"#,
        r#"{ "id": 7, "status" :"shipped" }"#,
        r#"{"status":"shipped","id":7}"#,
        "{ \"status\" :\"\u{455}hipped\",  \"id\": 7 }",
    ] {
        let asked = client.refused("update_order", other);
        assert_eq!(asked["code"], "approval_required", "{asked}");
        assert_ne!(asked["approval"], json!(first), "{other}");
    }
    assert_eq!(world.tools.calls(), 0);

    client.ok("update_order", SHIP);
    assert_eq!(world.tools.ran("update_order"), [SHIP]);
    let again = client.refused("update_order", SHIP);
    assert_ne!(again["approval"], json!(first), "an approval served twice");
    assert_eq!(world.tools.calls(), 1);
}

/// What would need a person by now is cut, not kept (decision 29). The agent calls again, is asked to wait for a person, and goes on.
#[test]
fn what_needs_a_person_by_now_is_cut_and_goes_through_once_approved() {
    let world = World::with(&Setup {
        approval_wait: "1s",
        ..Setup::default()
    });
    let (_, client) = world.session();
    let stream = exporting(&client);
    let mut files = demo_policy();
    files["exports.cedar"] = json!(
        r#"@id("exports/ask") @reason("Exports need a person today.") @step_up("approval:operator") forbid (principal, action == Bailiwick::Action::"workspace/export_all", resource);"#
    );
    publish(&world.node, &files);
    ends_with(stream, "call_cut");
    let asked = client.refused("export_all", "{}");
    assert_eq!(asked["code"], "approval_required", "{asked}");
    let id = asked["approval"].as_str().unwrap();
    let approve = ["approval", "approve", id, "--reason", "today too", "--yes"];
    world.node.cli(&approve);
    drop(exporting(&client));
    assert_eq!(world.tools.ran("export_all").len(), 2);
}

/// Asked, answered, used: the node is killed after each step, and the answer serves one call all the same.
#[test]
fn an_approval_outlives_kill_nine_at_each_step_and_serves_one_call() {
    let mut world = World::with(&Setup {
        approval_wait: "1s",
        ..Setup::default()
    });
    let task = world.task();
    let call = |world: &World| {
        let agent = Agent::of(&world.node);
        Mcp::open(&agent, "workspace", &task).call("update_order", SHIP)
    };
    let decision = |answer: &Value| answer["result"]["_meta"]["bailiwick/decision"].clone();
    let asked = decision(&call(&world));
    assert_eq!(asked["code"], "approval_required", "{asked}");
    let id = asked["approval"].as_str().unwrap();
    let killed = |world: &mut World| {
        world.node.kill_nine();
        world.node.start_again();
        world.node.cli(&["approval", "show", id])["approval"]["state"].clone()
    };
    assert_eq!(killed(&mut world), "pending");
    let approve = ["approval", "approve", id, "--reason", "as agreed", "--yes"];
    world.node.cli(&approve);
    assert_eq!(killed(&mut world), "approved");
    let answer = call(&world);
    assert_eq!(answer["result"]["isError"], json!(false), "{answer}");
    assert_eq!(killed(&mut world), "consumed");
    let again = decision(&call(&world));
    assert_eq!(again["code"], "approval_required", "{again}");
    assert_ne!(again["approval"], json!(id));
    assert_eq!(world.tools.ran("update_order"), [SHIP]);
}

/// What an agent holds is good for its tool server. With it, it can neither see nor answer what it asked for, and its try is on record.
#[test]
fn an_agent_answers_no_approval_with_its_own_token() {
    let world = World::with(&Setup {
        approval_wait: "1s",
        ..Setup::default()
    });
    let (task, client) = world.session();
    let node = &world.node;
    let asked = client.refused("update_order", SHIP);
    let path = format!("/v1/approvals/{}", asked["approval"].as_str().unwrap());
    let shown = node.api("GET", &path, None);
    let vote = json!({ "reason": "it is fine", "shown_digest": shown["shown_digest"] });
    let own = world.agent.token(&task, "workspace").unwrap();
    for (method, path, body) in [
        ("GET", path.clone(), None),
        ("POST", format!("{path}/approve"), Some(&vote)),
    ] {
        let (status, refused) = over_tcp(node, &own, method, &path, body);
        assert_eq!((status, &refused["code"]), (401, &json!("not_signed_in")));
    }
    // It is no account's, whatever becomes of it afterwards.
    let (status, refused) = over_tcp(node, &format!("{own}x"), "GET", &path, None);
    assert_eq!((status, &refused["code"]), (401, &json!("not_signed_in")));
    assert_eq!(node.api("GET", &path, None)["approval"]["state"], "pending");
    assert_eq!(world.tools.calls(), 0);
    until("the agent's tries are on record", node, || {
        let tries = node.events().into_iter().filter(|event| {
            let by_agent = event["actor"].as_str().unwrap_or_default();
            event["type"] == "admin.refused"
                && event["outcome"]["code"] == "peer_is_agent"
                && by_agent.starts_with("spiffe://")
        });
        tries.count() == 2
    });
}

#[test]
fn who_leaves_can_do_nothing_and_nothing_goes_on_for_them() {
    let world = World::start();
    let node = &world.node;
    let anna = account(node, "anna", "viewer");
    // For anna, and for somebody else.
    let task = world.task();
    let open = json!({ "agent": "tester", "user": "user:local:zoe", "request": "for zoe" });
    let other = node.api("POST", "/v1/tasks", Some(&open))["id"].clone();
    let other = other.as_str().unwrap();
    let (working, client) = world.session();
    let stream = exporting(&client);
    let sees = || over_tcp(node, &anna, "GET", "/v1/tasks", None).0;
    assert_eq!(sees(), 200);
    let changed = node.cli(&["account", "roles", "anna", "--role", "approver"]);
    assert_eq!(changed["roles"], json!(["approver"]), "{changed}");

    let disabled = node.cli(&["account", "disable", "anna", "--yes"]);
    assert_eq!(disabled["enabled"], json!(false), "{disabled}");
    assert_eq!(sees(), 401);
    let state = |task: &str| node.cli(&["task", "show", task])["state"].clone();
    assert_eq!(
        [state(&task), state(&working), state(other)],
        ["revoked", "revoked", "open"]
    );
    ends_with(stream, "call_cut");
    assert_eq!(revocation::refused(&client).1["code"], "revoked");
    let open = json!({ "agent": "tester", "user": "user:local:anna", "request": "go on" });
    let refused = node.request("POST", "/v1/tasks", Some(open.to_string().as_bytes()));
    let (status, refused) = (refused.status, refused.json());
    assert_eq!(
        (status, &refused["code"]),
        (409, &json!("conflict")),
        "{refused}"
    );
    node.cli(&["account", "enable", "anna"]);
    assert_eq!(sees(), 401, "its token came back");
    assert_eq!(state(&working), "revoked", "its task came back");
    // From the cut back to its cause.
    let events = node.events();
    let cut = events
        .iter()
        .find(|event| event["outcome"]["status"] == "cut");
    let ended = node.event(cut.unwrap()["cause"].as_str().unwrap());
    assert_eq!(ended["type"], "task.ended");
    let disabled = node.event(ended["cause"].as_str().unwrap());
    assert_eq!(disabled["change"]["after"], "disabled approver");
    world.task();
    let told = node.events().into_iter();
    let told = told.filter(|event| event["change"]["kind"] == "account");
    let after: Vec<Value> = told.map(|event| event["change"]["after"].clone()).collect();
    let last: Vec<&str> = after
        .iter()
        .rev()
        .take(3)
        .rev()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(
        last,
        ["enabled approver", "disabled approver", "enabled approver"]
    );
}

/// An account with one role; its token.
fn account(node: &Node, name: &str, role: &str) -> String {
    node.cli(&["account", "add", name, "--role", role]);
    let token = node.cli(&["account", "token", name, "--ttl", "600"]);
    token["token"]
        .as_str()
        .unwrap_or_else(|| panic!("{token}"))
        .to_owned()
}

#[test]
fn one_answer_is_for_the_next_calls_alike() {
    let world = World::with(&Setup {
        approval_wait: "1s",
        ..Setup::default()
    });
    let node = &world.node;
    let mut files = demo_policy();
    let text = files["workspace.cedar"].as_str().unwrap();
    files["workspace.cedar"] = json!(text.replace("@valid(\"5m\")", "@standing(\"2\")"));
    publish(node, &files);
    let (_, client) = world.session();
    // What the server answers labels the task, and with another label people are asked again.
    client.ok("read_file", r#"{"path":"notes/plan.md"}"#);

    let decision = client.refused("update_order", SHIP);
    let id = decision["approval"].as_str().unwrap();
    let shown = node.run(&["approval", "show", id]);
    assert!(shown.stdout.contains("standing_at_most"), "{shown:?}");
    let approve = |calls: &str| {
        node.run(&[
            "approval",
            "approve",
            id,
            "--standing",
            calls,
            "--vary",
            "id",
            "--yes",
        ])
    };
    let refused = approve("3");
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(refused.stderr.contains("1 to 2 more"), "{refused:?}");
    let approved = approve("2");
    assert_eq!(approved.code, Some(0), "{approved:?}");

    client.ok("update_order", SHIP);
    // Another status is another call; another id is one of the two.
    client.refused("update_order", r#"{"id":8,"status":"lost"}"#);
    client.ok("update_order", r#"{"id":8,"status":"shipped"}"#);
    client.ok("update_order", r#"{"status":"shipped","id":6}"#);
    let spent = client.refused("update_order", r#"{"id":10,"status":"shipped"}"#);
    assert_eq!(spent["code"], "approval_required", "{spent}");
    assert_eq!(world.tools.ran("update_order").len(), 3);

    let events = node.events();
    let answered = events
        .iter()
        .filter(|event| event["type"] == "approval.answered");
    let under = json!(format!("under {id}"));
    let before: Vec<&Value> = answered.map(|event| &event["change"]["before"]).collect();
    assert_eq!(before, [&Value::Null, &under, &under]);
    let used = events
        .iter()
        .filter(|event| event["type"] == "approval.consumed");
    assert_eq!(used.count(), 3);
}

#[test]
fn what_is_allowed_runs_and_what_is_denied_says_why() {
    let world = World::start();
    let (_, client) = world.session();
    assert!(
        client.tools().iter().any(|tool| tool == "update_order"),
        "{:?}",
        client.tools()
    );
    assert!(
        client
            .ok("read_file", r#"{"path":"notes/plan.md"}"#)
            .starts_with("# Plan")
    );
    client.ok("write_file", r#"{"path":"notes/new.md","content":"x"}"#);
    for (path, policy) in [
        ("secrets/prod.env", "demo/no-secrets"),
        ("notes/../secrets/prod.env", "demo/plain-paths"),
    ] {
        let decision = client.refused("read_file", &json!({ "path": path }).to_string());
        assert_eq!(
            (&decision["code"], &decision["decision"]),
            (&json!("forbidden"), &json!("deny")),
            "{decision}"
        );
        assert!(!decision["help"].as_str().unwrap().is_empty(), "{decision}");
        let event = world.node.event(decision["event"].as_str().unwrap());
        assert_eq!(event["decision"]["reasons"], json!([policy]), "{event}");
    }
    assert_eq!(
        world.tools.ran("read_file"),
        [r#"{"path":"notes/plan.md"}"#]
    );
    assert_eq!(world.tools.calls(), 2);
    let leases = world.node.items("/v1/leases");
    assert!(
        !leases.is_empty() && leases.iter().all(|lease| lease["state"] == "ACTIVE"),
        "{leases:#?}"
    );
}

fn over_tcp(
    node: &Node,
    token: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> (u16, Value) {
    let authorization = format!("Bearer {token}");
    let mut headers = vec![("Content-Type", "application/json")];
    if !token.is_empty() {
        headers.push(("Authorization", &authorization));
    }
    let body = body.map(Value::to_string);
    let place = Place::of(node.ready("console"));
    let response = http::send(
        &place,
        method,
        path,
        &headers,
        body.as_deref().map(str::as_bytes),
    )
    .unwrap();
    (response.status, response.json())
}
