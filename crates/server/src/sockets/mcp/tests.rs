//! The handshake of the stdio shim on a real node: whose process it is, which task, and when that ends.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::parse;
use crate::node::tests::running::Running;

/// Registers whoever started this test process as agent `coder`, and server `files`.
async fn register(running: &Running, launch_uids: &[u32]) {
    let parent = std::os::unix::process::parent_id();
    let executable = std::fs::read_link(format!("/proc/{parent}/exe")).unwrap();
    let agent = json!({
        "name": "coder",
        "owner": "team-dev",
        "selectors": [format!("unix:path={}", executable.display())],
        "ceiling": {"grants": [{"server": ["files"], "tool": ["*"], "effects": ["read"]}]},
        "launch_uids": launch_uids,
    });
    running.post("/v1/agents", agent).await;
    let server =
        json!({"name": "files", "transport": {"kind": "http", "url": "http://127.0.0.1:9/mcp"}});
    running.post("/v1/servers", server).await;
}

async fn greet(running: &Running, hello: &Value) -> (Value, BufReader<UnixStream>) {
    let socket = &running.node.addresses().mcp_socket;
    let mut stream = BufReader::new(UnixStream::connect(socket).await.unwrap());
    stream
        .write_all(format!("{hello}\n").as_bytes())
        .await
        .unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    (serde_json::from_str(&line).unwrap(), stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_opened_by_text_belongs_to_the_parent_and_ends_with_the_stream() {
    let running = Running::start().await;
    let viewer = running.account("vera", &["viewer"]).await;
    register(&running, &[rustix::process::geteuid().as_raw()]).await;
    let hello = json!({"v": 1, "server": "files", "task": {"text": "fix issue 12"}});
    let (answer, stream) = greet(&running, &hello).await;
    assert_eq!(answer["ok"], true, "{answer}");
    assert_eq!(answer["agent"], "coder");
    let path = format!("/v1/tasks/{}", answer["task"].as_str().unwrap());
    let task = running.tcp("GET", &path, Some(&viewer)).await.body;
    assert_eq!(task["state"], "open");
    assert_eq!(task["request"]["source"], "agent");
    drop(stream);
    let deadline = std::time::Duration::from_secs(10);
    let ended = tokio::time::timeout(deadline, async {
        // The end is announced on the record.
        let url = running.url("/v1/audit/tail?after=0&type=task.ended");
        let request = running.client.get(url).bearer_auth(&viewer);
        request.send().await.unwrap().chunk().await.unwrap()
    });
    assert!(ended.await.unwrap().is_some());
    let task = running.tcp("GET", &path, Some(&viewer)).await.body;
    assert_eq!(task["state"], "completed");
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_start_the_agent_gets_no_task_and_no_session() {
    let running = Running::start().await;
    register(&running, &[]).await;
    let by_text = json!({"v": 1, "server": "files", "task": {"text": "x"}});
    let of_nobody =
        json!({"v": 1, "server": "files", "task": {"id": "task_00000000000000000000000000"}});
    let other = json!({"v": 1, "server": "files", "agent": "admin", "task": {"text": "x"}});
    let both = json!({"v": 1, "server": "files", "task": {"text": "x", "id": "task_00000000000000000000000000"}});
    for (hello, code) in [
        (by_text, "not_permitted"),
        (of_nobody, "not_found"),
        (other, "no_identity"),
        (both, "invalid_input"),
    ] {
        let (answer, _) = greet(&running, &hello).await;
        assert_eq!(answer["ok"], false, "{hello}: {answer}");
        assert_eq!(answer["code"], code, "{hello}: {answer}");
        assert!(answer["message"].is_string() && answer["help"].is_string());
    }
    running.node.shutdown().await;
}

#[test]
fn the_first_line_has_one_form() {
    let good = br#"{"v":1,"server":"files","agent":"coder","task":{"text":"fix"}}"#;
    assert!(parse(good).is_ok());
    for bad in [
        &b"{}"[..],
        br#"{"v":2,"server":"files","task":{"text":"x"}}"#,
        br#"{"v":1,"server":"files","task":{"text":"x"},"pid":1}"#,
        br#"{"v":1,"server":"files","server":"admin","task":{"text":"x"}}"#,
        br#"{"v":1,"server":"../files","task":{"text":"x"}}"#,
        b"GET / HTTP/1.1",
    ] {
        assert!(parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
    }
}
