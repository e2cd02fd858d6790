//! Rates count exactly, redaction takes out what it should and nothing else.

use std::time::Duration;

use bailiwick_core::binding::Binding;
use bailiwick_core::json::{Limits, check};
use bytes::Bytes;
use serde_json::{Value, json};

use bailiwick_core::Effect;
use bailiwick_core::approval::ApprovalState;
use bailiwick_core::change::ChangeBody;
use bailiwick_core::definition::ToolState;
use bailiwick_core::event::EventType;

use super::Rates;
use super::redact::{Unredactable, redact};
use crate::testing::{Pipe, World};

#[test]
fn in_no_stretch_of_time_are_there_more_calls() {
    let (rates, agent, tool) = (
        Rates::default(),
        "a".parse().unwrap(),
        "s/t".parse().unwrap(),
    );
    let at = |s: u64| Duration::from_secs(1_000 + s);
    let most = (3, Duration::from_secs(10));
    for s in [0, 4, 9] {
        assert_eq!(rates.take(&agent, &tool, most, at(s)), Ok(()), "{s}");
    }
    assert_eq!(
        rates.take(&agent, &tool, most, at(9)),
        Err(Duration::from_secs(1))
    );
    assert_eq!(rates.take(&agent, &tool, most, at(10)), Ok(()));
    assert_eq!(
        rates.take(&agent, &tool, most, at(11)),
        Err(Duration::from_secs(3))
    );
    // A tighter bound sees the same calls, another agent or tool its own.
    assert_eq!(
        rates.take(&agent, &tool, (1, Duration::from_secs(5)), at(14)),
        Err(Duration::from_secs(1))
    );
    assert_eq!(
        rates.take(&"b".parse().unwrap(), &tool, most, at(11)),
        Ok(())
    );
    assert_eq!(
        rates.take(&agent, &"s/u".parse().unwrap(), most, at(11)),
        Ok(())
    );
    assert_eq!(
        rates.take(&agent, &tool, (0, Duration::from_secs(5)), at(90)),
        Err(Duration::from_secs(5))
    );
    rates.sweep(at(200));
    assert_eq!(rates.take(&agent, &tool, most, at(200)), Ok(()));
}

fn without(result: &str) -> Result<Value, Unredactable> {
    let raw = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result},"x":12345678901234567890}}"#);
    let binding: Binding = serde_json::from_value(json!({ "paths": {
        "/users/*/mail": "pii", "/users/*/card": "pii", "/note": "internal",
    } }))
    .unwrap();
    let raw = Bytes::from(raw);
    let whole = check(&raw, &Limits::ENVELOPE).unwrap();
    let redacted = redact(
        &raw,
        &whole.member("result").unwrap(),
        &binding,
        &["pii".parse().unwrap()],
    )?;
    let text = std::str::from_utf8(&redacted).unwrap();
    assert!(text.ends_with(r#","x":12345678901234567890}"#), "{text}");
    let mut answer: Value = serde_json::from_str(text).unwrap();
    Ok(answer["result"].take())
}

#[test]
fn what_is_labelled_is_taken_out_wherever_it_stands() {
    let users = r#"{"users":[{"mail":"a@b.example","name":"A"},{"mail":null,"card":{"number":4929}}],"note":"n"}"#;
    let text = json!(users).to_string();
    let result =
        format!(r#"{{"structuredContent":{users},"content":[{{"type":"text","text":{text}}}]}}"#);
    let result = without(&result).unwrap();
    let expected = json!({ "users": [{ "mail": "[redacted: pii]", "name": "A" }, { "mail": null, "card": null }], "note": "n" });
    assert_eq!(result["structuredContent"], expected);
    let inner: Value =
        serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(inner, expected);
    // Nothing of the kind in it: nothing changes.
    let nothing = without(r#"{"structuredContent":{"users":[]},"content":[]}"#).unwrap();
    assert_eq!(
        nothing,
        json!({ "structuredContent": { "users": [] }, "content": [] })
    );
}

#[test]
fn words_without_a_path_cannot_be_redacted() {
    for result in [
        r#"{"structuredContent":{"users":[]},"content":[{"type":"text","text":"users: a@b.example"}]}"#,
        r#"{"content":[{"type":"text","text":"mail"}]}"#,
        r#"{"structuredContent":{},"content":[{"type":"resource_link","uri":"u:1","name":"a@b.example"}]}"#,
        "{}",
    ] {
        assert_eq!(without(result).unwrap_err(), Unredactable, "{result}");
    }
}

/// A world whose task carries these, so that the policy of the tests says what its calls owe.
async fn owing(labels: &[&str]) -> World {
    let world = World::new().await;
    let mut task = world.task();
    task.labels = labels.iter().map(|label| label.parse().unwrap()).collect();
    task.version += 1;
    world.commit(ChangeBody::Task(task));
    world
}

fn call(id: u64, tool: &str, arguments: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool, "arguments": arguments } })
        .to_string()
}

fn code(answer: &Value) -> &str {
    let decision = &answer["result"]["_meta"]["bailiwick/decision"];
    decision["code"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn a_rate_lets_so_many_through_and_says_when_to_come_again() {
    let world = owing(&["rated"]).await;
    let mut pipe = Pipe::open(&world);
    for id in 1..=2 {
        assert_eq!(
            pipe.ask(&call(id, "get", &json!({}))).await["result"]["content"][0]["text"],
            "done"
        );
    }
    let late = pipe.ask(&call(3, "get", &json!({}))).await;
    assert_eq!(code(&late), "rate_limited");
    assert!(late.to_string().contains("2 times in 3600 s"), "{late}");
    assert_eq!(world.tools.calls().len(), 2);
}

#[tokio::test]
async fn who_is_to_be_told_is_on_record_before_the_call_leaves() {
    let world = owing(&["told", "marked"]).await;
    Pipe::open(&world).ask(&call(1, "get", &json!({}))).await;
    assert_eq!(
        world.recorder.kinds(),
        [
            EventType::ToolIntent,
            EventType::NoticeGiven,
            EventType::ToolResult
        ]
    );
    let events = world.recorder.events.lock().unwrap();
    assert_eq!(events[1].change.as_ref().unwrap().id, "team");
    assert_eq!(events[1].cause, Some(events[0].id));
    let labels = &events[2].task.as_ref().unwrap().labels;
    assert_eq!(
        labels.to_string(),
        "internal, marked, told",
        "a label duty labels"
    );
}

#[tokio::test]
async fn what_policy_takes_out_never_leaves() {
    let world = owing(&["redacted"]).await;
    let mut pipe = Pipe::open(&world);
    // Nobody has said where such data stands.
    assert_eq!(
        code(&pipe.ask(&call(1, "get", &json!({}))).await),
        "unsupported_obligation"
    );
    assert!(world.tools.calls().is_empty());
    let mut tool = World::tool("get", Effect::Read, ToolState::Approved);
    tool.binding = serde_json::from_value(json!({ "paths": { "/mail": "pii" } })).unwrap();
    world.commit(ChangeBody::Tool(tool));
    *world.tools.says.lock().unwrap() =
        Some(json!({ "structuredContent": { "mail": "a@b.example", "n": 1 }, "content": [] }));
    let answer = pipe.ask(&call(2, "get", &json!({}))).await;
    assert_eq!(
        answer["result"]["structuredContent"],
        json!({ "mail": "[redacted: pii]", "n": 1 })
    );
    assert_eq!(
        world.task().labels.to_string(),
        "redacted",
        "what was taken out, the task does not carry"
    );
    *world.tools.says.lock().unwrap() =
        Some(json!({ "content": [{ "type": "text", "text": "write to a@b.example" }] }));
    let withheld = pipe.ask(&call(3, "get", &json!({}))).await;
    assert_eq!(code(&withheld), "answer_withheld");
    assert!(!withheld.to_string().contains("a@b.example"), "{withheld}");
}

/// What a person approved stands behind the next call; what a person refused is not asked for again.
#[tokio::test]
async fn people_are_not_asked_the_same_again() {
    let world = owing(&["judged"]).await;
    let mut pipe = Pipe::open(&world);
    let put = |id: u64, path: &str| call(id, "put", &json!({ "path": path }));
    pipe.send(&put(1, "x-17")).await;
    world.approver.answer(ApprovalState::Approved).await;
    assert_eq!(pipe.next().await["result"]["content"][0]["text"], "done");
    let facts = |world: &World| {
        let events = world.recorder.events.lock().unwrap();
        let last = events
            .iter()
            .rev()
            .find(|event| !event.sealed.is_empty() && event.decision.is_some());
        let input = last
            .unwrap()
            .sealed
            .iter()
            .find(|sealed| sealed.path == "/input")
            .unwrap();
        serde_json::from_slice::<Value>(&input.value).unwrap()["facts"].clone()
    };
    world.approver.current.send_replace(None);
    pipe.send(&put(2, "x-18")).await;
    world.approver.answer(ApprovalState::Denied).await;
    assert_eq!(code(&pipe.next().await), "approval_denied");
    let refused = pipe.ask(&put(3, "x-18")).await;
    assert_eq!(code(&refused), "forbidden", "{refused}");
    let known = facts(&world);
    assert_eq!(
        known["provenance"]["refused"],
        json!(["object:/path"]),
        "{known}"
    );
    assert_eq!(
        (&known["history"]["refused"], &known["history"]["tools"]),
        (&json!(1), &json!(["tools/put"])),
        "{known}"
    );
    assert_eq!(known["request"]["source"], "user");
    assert_eq!(world.tools.calls().len(), 1);
}
