//! The tool server against hostile requests, on stdio, and through its life as a process.

use std::sync::Arc;

use bailiwick_core::Fault as _;
use bailiwick_crypto::system::SystemClock;
use rmcp::ServiceExt as _;
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::agent::Opening;
use crate::workspace::{self, Outcome, Record};

use super::parties::{Bearer, CANARY, Party, Script, TOKEN, config, place, records, slow, soon};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file","arguments":ARGS,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;

async fn post(url: &str, authorization: &[&str], arguments: &str) -> reqwest::Response {
    let mut request = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .post(url);
    for value in authorization {
        request = request.header("authorization", *value);
    }
    let request = request
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "read_file");
    soon(request.body(CALL.replace("ARGS", arguments)).send())
        .await
        .unwrap()
}

#[tokio::test]
async fn without_the_token_nothing_runs() {
    let party = Party::start(slow()).await;
    let right = format!("Bearer {TOKEN}");
    let wrong = [
        vec![],
        vec!["Bearer"],
        vec!["Bearer "],
        vec!["Bearer the-workspace-toke"],
        vec!["Bearer the-workspace-token2"],
        vec!["Basic the-workspace-token"],
        vec![right.as_str(), "Bearer other"],
    ];
    for headers in wrong {
        let response = post(&party.url, &headers, r#"{"path":"notes/plan.md"}"#).await;
        assert_eq!(response.status(), 401, "{headers:?}");
        assert!(
            response.headers()["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Bearer")
        );
    }
    assert_eq!(party.records(), []);
    assert_eq!(
        post(&party.url, &[&right], r#"{"path":"notes/plan.md"}"#)
            .await
            .status(),
        200
    );
    assert_eq!(party.stop().await.len(), 2);
}

#[tokio::test]
async fn the_journal_has_the_arguments_byte_for_byte() {
    let party = Party::start(slow()).await;
    let arguments = "{ \"path\" :\n\"notes\\/pl\\u0061n.md\" }";
    let response = post(&party.url, &[&format!("Bearer {TOKEN}")], arguments).await;
    assert!(soon(response.text()).await.unwrap().contains("# Plan"));
    let records = party.stop().await;
    assert!(
        matches!(&records[0], Record::Start { call: 1, tool, arguments: seen, bearer: true, .. } if tool == "read_file" && seen == arguments)
    );
    assert!(matches!(
        records[1],
        Record::End {
            call: 1,
            outcome: Outcome::Done,
            ..
        }
    ));
}

#[tokio::test]
async fn paths_that_leave_the_workspace_are_refused() {
    let party = Party::start(slow()).await;
    let outside = party.directory.path().join("outside.txt");
    std::fs::write(&outside, "outside").unwrap();
    let root = party.directory.path().join("root");
    std::os::unix::fs::symlink(&outside, root.join("link.txt")).unwrap();
    std::os::unix::fs::symlink(party.directory.path(), root.join("up")).unwrap();
    let mut script = Script::start(&party.url, Opening::Auto, Arc::new(Bearer::right()));
    script.next().await;
    let hostile = [
        "../outside.txt",
        "notes/../../outside.txt",
        "/etc/passwd",
        "//etc/passwd",
        "",
        ".",
        "..",
        "notes/",
        "notes//plan.md",
        "./README.md",
        "link.txt",
        "up/outside.txt",
        "notes\\..\\..\\outside.txt",
        "notes/plan.md\0",
        "notes/plan.md\n",
    ];
    for path in hostile {
        let read = script
            .ask(json!({"call": "read_file", "args": {"path": path}}))
            .await;
        assert_eq!(
            (&read["ok"], &read["code"]),
            (&json!(false), &json!("tool_error")),
            "read {path:?}: {read}"
        );
        let write = script
            .ask(json!({"call": "write_file", "args": {"path": path, "content": "owned"}}))
            .await;
        assert_eq!(write["ok"], json!(false), "write {path:?}: {write}");
    }
    let files = script.ask(json!({"call": "list_files"})).await;
    assert!(
        !files.to_string().contains("outside") && !files.to_string().contains("link.txt"),
        "{files}"
    );
    script.close().await.unwrap();
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "outside");
    party.stop().await;
}

#[tokio::test]
async fn arguments_that_do_not_fit_and_unknown_tools_change_nothing() {
    let party = Party::start(slow()).await;
    let mut script = Script::start(&party.url, Opening::Initialize, Arc::new(Bearer::right()));
    script.next().await;
    let unfit = [
        json!({"id": 7}),
        json!({"id": "7", "status": "paid"}),
        json!({"id": 7, "status": "burnt"}),
        json!({"id": 7, "status": "paid", "force": true}),
    ];
    for args in unfit {
        let answer = script
            .ask(json!({"call": "update_order", "args": args}))
            .await;
        assert_eq!(answer["code"], json!("tool_error"), "{answer}");
    }
    let unknown = script.ask(json!({"call": "drop_table", "args": {}})).await;
    assert_eq!(unknown["code"], json!("rpc_error"), "{unknown}");
    let missing = script
        .ask(json!({"call": "get_order", "args": {"id": 99}}))
        .await;
    assert_eq!(missing["message"], json!("there is no order 99"));
    let order = script
        .ask(json!({"call": "get_order", "args": {"id": 7}}))
        .await;
    assert_eq!(order["structured"]["order"]["status"], json!("open"));
    script.close().await.unwrap();
    let records = party.stop().await;
    assert!(
        !records
            .iter()
            .any(|record| matches!(record, Record::Start { tool, .. } if tool == "drop_table"))
    );
}

#[tokio::test]
async fn the_process_says_when_it_is_ready_and_ends_with_its_stdin() {
    let directory = tempfile::tempdir().unwrap();
    let (lifeline, stdin) = tokio::io::duplex(16);
    let (stdout, output) = tokio::io::duplex(1024);
    let running = tokio::spawn(workspace::run(
        config(&directory, slow()),
        Arc::new(SystemClock),
        stdout,
        stdin,
    ));
    let line = soon(BufReader::new(output).lines().next_line())
        .await
        .unwrap()
        .unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["ready"], json!(true));
    let mut script = Script::start(
        line["url"].as_str().unwrap(),
        Opening::Initialize,
        Arc::new(Bearer::right()),
    );
    script.next().await;
    script
        .tell(json!({"call": "export_all", "progress": true}))
        .await;
    script.next().await;
    drop(lifeline);
    soon(running).await.unwrap().unwrap();
    assert_eq!(script.next_answer().await["ok"], json!(false));
    let records = records(&directory.path().join("journal"));
    assert!(
        matches!(
            records.last(),
            Some(Record::End {
                outcome: Outcome::Cancelled,
                ..
            })
        ),
        "{records:?}"
    );
    let secret = std::fs::read_to_string(directory.path().join("root/secrets/prod.env")).unwrap();
    assert!(secret.contains(CANARY));
}

#[tokio::test]
async fn it_listens_on_loopback_only_and_insists_on_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let mut open = config(&directory, slow());
    open.listen = "0.0.0.0:0".parse().unwrap();
    assert_eq!(
        workspace::serve(open, Arc::new(SystemClock))
            .await
            .unwrap_err()
            .code()
            .as_str(),
        "config_invalid"
    );
    let mut anyone = config(&directory, slow());
    anyone.bearer = bailiwick_core::Secret::new(String::new());
    assert_eq!(
        workspace::serve(anyone, Arc::new(SystemClock))
            .await
            .unwrap_err()
            .code()
            .as_str(),
        "config_invalid"
    );
}

#[tokio::test]
async fn on_stdio_the_same_tools_are_served() {
    let directory = tempfile::tempdir().unwrap();
    let place = place(&directory, slow());
    let journal = place.journal.clone();
    let (near, far) = tokio::io::duplex(1 << 16);
    let (input, output) = tokio::io::split(far);
    let serving = tokio::spawn(workspace::serve_stdio(
        place,
        Arc::new(SystemClock),
        input,
        output,
    ));
    let client = soon(().serve(near)).await.unwrap();
    assert_eq!(soon(client.list_all_tools()).await.unwrap().len(), 8);
    let arguments = json!({"id": 2}).as_object().unwrap().clone();
    let order =
        soon(client.call_tool(CallToolRequestParams::new("get_order").with_arguments(arguments)))
            .await
            .unwrap();
    assert_eq!(
        order.structured_content.unwrap()["order"]["customer"],
        json!("Barbara")
    );
    client.cancel().await.unwrap();
    soon(serving).await.unwrap().unwrap();
    assert!(
        matches!(&records(&journal)[0], Record::Start { arguments, bearer: false, .. } if arguments == r#"{"id":2}"#)
    );
}
