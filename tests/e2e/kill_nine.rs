//! SIGKILL in the middle of 200 concurrent calls. What was acknowledged is on record afterwards, and nothing reached the tool server
//! without its intent on record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::sync_channel;
use std::sync::{Barrier, Mutex};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::audit_chain::{log_of, verify};
use crate::harness::http::Response;
use crate::harness::{Agent, DEADLINE, Mcp, World};

const SESSIONS: usize = 20;
/// Within the calls that one session may have open.
const PER_SESSION: usize = 10;
/// The node is killed once this many calls are answered.
const ANSWERED: usize = 60;

/// What a caller was told before the node died.
#[derive(Debug)]
struct Told {
    task: String,
    /// The JSON-RPC id, as it stands in the record.
    request: String,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    /// By the tool.
    Ran,
    /// By the gateway, naming an event.
    Refused(String),
}

#[test]
fn kill_nine_loses_nothing_that_was_acknowledged() {
    let mut world = World::start();
    let sessions: Vec<(String, Mcp<'_>)> = (0..SESSIONS).map(|_| world.session()).collect();
    let told = storm(&sessions, world.node.pid());
    drop(sessions);
    world.node.kill_nine();
    world.tools.stop();
    let ran = told
        .iter()
        .filter(|told| matches!(told.answer, Answer::Ran))
        .count();
    assert!(ran > 0 && ran < told.len(), "{ran} of {}", told.len());
    // As it lies there, without a node: what was signed is whole.
    let found = verify(&world.node, &log_of(&world.node));
    assert_eq!(found.code, Some(0), "{found:?}");

    world.node.start_again();
    judge(
        &told,
        &world.node.events(),
        &world.tools.ran("search_notes"),
    );
    // The node works, and the whole log stands under a signature of after the restart.
    let agent = Agent::of(&world.node);
    assert!(agent.token(&world.task(), "workspace").is_ok());
    world.node.stop();
    let whole = verify(&world.node, &log_of(&world.node));
    assert_eq!(whole.code, Some(0), "{whole:?}");
}

/// Calls from all sessions at once, until the node is gone; what the callers were told.
fn storm(sessions: &[(String, Mcp<'_>)], node: u32) -> Vec<Told> {
    let told = Mutex::new(Vec::new());
    let start = Barrier::new(SESSIONS * PER_SESSION);
    let (answered, answers) = sync_channel(SESSIONS * PER_SESSION * 4);
    let node = i32::try_from(node).ok().and_then(Pid::from_raw).unwrap();
    thread::scope(|scope| {
        for (at, (task, client)) in sessions.iter().enumerate() {
            for lane in 0..PER_SESSION {
                let (told, start, answered) = (&told, &start, answered.clone());
                scope.spawn(move || {
                    start.wait();
                    // Each goes on until the node is gone, so that there are always as many open.
                    for round in 0.. {
                        let mark = format!("{at}.{lane}.{round}");
                        let Some(answer) = call(client, &mark) else {
                            return;
                        };
                        let request = json!(mark).to_string();
                        told.lock().unwrap().push(Told {
                            task: task.clone(),
                            request,
                            answer,
                        });
                        // Nobody counts any more once the node is killed.
                        let _ = answered.send(());
                    }
                });
            }
        }
        for _ in 0..ANSWERED {
            answers
                .recv_timeout(DEADLINE)
                .expect("the calls are not answered");
        }
        kill_process(node, Signal::KILL).unwrap();
        drop(answers);
    });
    told.into_inner().unwrap()
}

/// What was told is on record, and what ran had its intent there.
fn judge(told: &[Told], events: &[Value], ran: &[String]) {
    let mut by_id: BTreeMap<&str, &Value> = BTreeMap::new();
    for event in events {
        let first = *by_id.entry(event["id"].as_str().unwrap()).or_insert(event);
        // What comes through the outbox may be carried there once more, and then says the same.
        assert_eq!(content(first), content(event), "two events have one id");
        let calls = text(&event["type"]).starts_with("tool.");
        assert!(
            !calls || std::ptr::eq(first, event),
            "recorded twice: {event}"
        );
    }
    let of = |kind: &str| -> BTreeSet<(String, String)> {
        let of_kind = events.iter().filter(|event| event["type"] == kind);
        of_kind
            .map(|event| {
                (
                    text(&event["task"]["id"]),
                    text(&event["action"]["request_id"]),
                )
            })
            .collect()
    };
    let (intents, results) = (of("tool.intent"), of("tool.result"));
    for told in told {
        if let Answer::Refused(event) = &told.answer {
            let event = by_id
                .get(event.as_str())
                .unwrap_or_else(|| panic!("an acknowledged refusal is lost: {told:?}"));
            assert_eq!(
                (&event["type"], &event["task"]["id"]),
                (&json!("tool.refused"), &json!(told.task))
            );
        } else {
            let key = (told.task.clone(), told.request.clone());
            assert!(
                intents.contains(&key),
                "no intent of an answered call: {told:?}"
            );
            assert!(
                results.contains(&key),
                "no result of an answered call: {told:?}"
            );
        }
    }
    let marks: BTreeSet<&str> = intents
        .iter()
        .map(|(_, request)| request.trim_matches('"'))
        .collect();
    for arguments in ran {
        let arguments: Value = serde_json::from_str(arguments).unwrap();
        let mark = arguments["query"].as_str().unwrap();
        assert!(
            marks.contains(mark),
            "{mark} ran without its intent on record"
        );
    }
    assert!(!ran.is_empty());
    // What was cut off has a result too: that nobody knows how it ended.
    let open: Vec<_> = intents.difference(&results).collect();
    assert!(
        open.is_empty(),
        "intents without a result after the restart: {open:?}"
    );
}

/// What an event says, without when it was recorded and under which salt.
fn content(event: &Value) -> BTreeMap<&str, &Value> {
    let members = event.as_object().unwrap().iter();
    members
        .map(|(name, value)| (name.as_str(), value))
        .filter(|(name, _)| !["src", "ts", "hlc", "sealed"].contains(name))
        .collect()
}

/// One call with a mark of its own. None when the node is gone.
fn call(client: &Mcp<'_>, mark: &str) -> Option<Answer> {
    // Every third asks for what it may not have.
    let (tool, arguments) = match mark.bytes().map(usize::from).sum::<usize>() % 3 {
        0 => ("read_file", json!({ "path": format!("secrets/{mark}") })),
        _ => ("search_notes", json!({ "query": mark })),
    };
    let body = json!({ "jsonrpc": "2.0", "id": mark, "method": "tools/call", "params": { "name": tool, "arguments": arguments } });
    let response = client.try_post(body.to_string().as_bytes()).ok()?;
    let message = whole(response)?;
    if message["result"]["isError"] == true {
        let decision = &message["result"]["_meta"]["bailiwick/decision"];
        let event = decision["event"]
            .as_str()
            .unwrap_or_else(|| panic!("a refusal without its event: {message}"));
        return Some(Answer::Refused(event.to_owned()));
    }
    assert!(message["result"].is_object(), "{message}");
    Some(Answer::Ran)
}

/// The message of an answer that arrived whole.
fn whole(response: Response) -> Option<Value> {
    if response
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("text/event-stream"))
    {
        return response
            .events()
            .find(|event| event.get("result").is_some());
    }
    serde_json::from_slice(&response.bytes().ok()?).ok()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
