//! Server and agent against each other over real HTTP and pipes, and the agent against servers that refuse.

mod agent_alone;
mod parties;
mod workspace_alone;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::agent::Opening;
use crate::workspace::{Outcome, Record};

use parties::{Bearer, Party, Script, slow};

#[tokio::test]
async fn the_agent_lists_reads_and_writes_in_both_eras() {
    for (opening, protocol) in [
        (Opening::Initialize, "2025-11-25"),
        (Opening::Auto, "2026-07-28"),
    ] {
        let party = Party::start(slow()).await;
        let mut script = Script::start(&party.url, opening, Arc::new(Bearer::right()));
        assert_eq!(script.next().await["protocol"], json!(protocol));

        let listed = script.ask(json!({"list": true})).await;
        let tools = listed["tools"].as_array().unwrap();
        let of = |name: &str| tools.iter().find(|tool| tool["name"] == name).unwrap();
        assert_eq!(tools.len(), 8);
        assert_eq!(of("read_file")["annotations"]["readOnlyHint"], json!(true));
        assert_eq!(
            of("update_order")["annotations"]["destructiveHint"],
            json!(true)
        );
        assert_eq!(
            of("update_order")["inputSchema"]["required"],
            json!(["id", "status"])
        );

        let plan = script
            .ask(json!({"call": "read_file", "args": {"path": "notes/plan.md"}}))
            .await;
        assert!(
            plan["content"].as_str().unwrap().starts_with("# Plan\n"),
            "{plan}"
        );
        let order = script
            .ask(json!({"call": "update_order", "args": {"id": 7, "status": "shipped"}}))
            .await;
        assert_eq!(order["structured"]["order"]["status"], json!("shipped"));
        let order = script
            .ask(json!({"call": "get_order", "args": {"id": 7}}))
            .await;
        assert_eq!(order["structured"]["order"]["status"], json!("shipped"));
        let note = script
            .ask(json!({"call": "add_note", "args": {"title": "Order 7!", "body": "Shipped."}}))
            .await;
        assert_eq!(note["structured"]["path"], json!("notes/order-7.md"));
        let again = script
            .ask(json!({"call": "add_note", "args": {"title": "order 7", "body": "?"}}))
            .await;
        assert_eq!(
            (&again["ok"], &again["code"]),
            (&json!(false), &json!("tool_error"))
        );
        let found = script
            .ask(json!({"call": "search_notes", "args": {"query": "SHIPPED."}}))
            .await;
        assert_eq!(
            found["structured"]["matches"],
            json!([{"path": "notes/order-7.md", "line": 3, "text": "Shipped."}])
        );
        script
            .ask(json!({"call": "write_file", "args": {"path": "new/deep.txt", "content": "x"}}))
            .await;
        let files = script.ask(json!({"call": "list_files"})).await;
        assert!(
            files["structured"]["files"]
                .as_array()
                .unwrap()
                .contains(&json!("new/deep.txt"))
        );
        script.close().await.unwrap();

        let records = party.stop().await;
        let calls: Vec<_> = records.iter().filter_map(called).collect();
        assert_eq!(calls.len(), 8);
        assert_eq!(calls[0], ("read_file", r#"{"path":"notes/plan.md"}"#, true));
        let ended = |outcome| {
            records
                .iter()
                .filter(|record| matches!(record, Record::End { outcome: o, .. } if *o == outcome))
                .count()
        };
        assert_eq!(
            (
                ended(Outcome::Done),
                ended(Outcome::Failed),
                ended(Outcome::Cancelled)
            ),
            (7, 1, 0)
        );
    }
}

#[tokio::test]
async fn an_export_reports_progress_while_other_calls_go_on() {
    let party = Party::start(crate::workspace::Pace {
        parts: 4,
        every: std::time::Duration::from_millis(20),
    })
    .await;
    let mut script = Script::start(&party.url, Opening::Initialize, Arc::new(Bearer::right()));
    script.next().await;
    script
        .tell(json!({"id": "export", "call": "export_all", "progress": true}))
        .await;
    script
        .tell(json!({"id": "read", "call": "read_file", "args": {"path": "README.md"}}))
        .await;
    let mut seen = Vec::new();
    let export = loop {
        let answer = script.next().await;
        if answer["id"] == "export" && answer.get("ok").is_some() {
            break answer;
        }
        seen.push(answer);
    };
    assert_eq!(export["structured"]["orders"].as_array().unwrap().len(), 8);
    let reported: Vec<&Value> = seen
        .iter()
        .filter(|answer| answer["id"] == "export")
        .map(|answer| &answer["progress"])
        .collect();
    assert_eq!(
        reported,
        [&json!(1.0), &json!(2.0), &json!(3.0), &json!(4.0)]
    );
    assert!(
        seen.iter()
            .any(|answer| answer["id"] == "read" && answer["ok"] == true),
        "{seen:?}"
    );
    script.close().await.unwrap();
    party.stop().await;
}

#[tokio::test]
async fn a_cancelled_export_stops_at_the_server() {
    for opening in [Opening::Initialize, Opening::Auto] {
        let party = Party::start(slow()).await;
        let mut script = Script::start(&party.url, opening, Arc::new(Bearer::right()));
        script.next().await;
        script
            .tell(json!({"id": 1, "call": "export_all", "progress": true}))
            .await;
        assert_eq!(script.next().await["progress"], json!(1.0));
        script.tell(json!({"id": 2, "cancel": 1})).await;
        let mut answers = [script.next_answer().await, script.next_answer().await];
        answers.sort_by_key(|answer| answer["id"].as_i64());
        assert_eq!(
            (&answers[0]["code"], &answers[1]["cancelling"]),
            (&json!("cancelled"), &json!(true))
        );
        party.journal.ended(1).await;
        assert!(matches!(
            party.records().last(),
            Some(Record::End {
                outcome: Outcome::Cancelled,
                ..
            })
        ));
        script.close().await.unwrap();
        party.stop().await;
    }
}

#[tokio::test]
async fn an_agent_whose_parent_goes_away_leaves_nothing_running() {
    let party = Party::start(slow()).await;
    let mut script = Script::start(&party.url, Opening::Initialize, Arc::new(Bearer::right()));
    script.next().await;
    script
        .tell(json!({"call": "export_all", "progress": true}))
        .await;
    script.next().await;
    script.hang_up().await.unwrap();
    party.journal.ended(1).await;
    assert!(matches!(
        party.records().last(),
        Some(Record::End {
            outcome: Outcome::Cancelled,
            ..
        })
    ));
    party.stop().await;
}

fn called(record: &Record) -> Option<(&str, &str, bool)> {
    match record {
        Record::Start {
            tool,
            arguments,
            bearer,
            ..
        } => Some((tool, arguments, *bearer)),
        Record::End { .. } => None,
    }
}
