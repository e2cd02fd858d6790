//! Sealed values over the API: who may open and erase them, and what the record says of it.

use http::Method;
use serde_json::{Value, json};

use super::running::Running;

/// An event of the task that keeps a value.
async fn keeping(running: &Running, task: &str) -> String {
    let path = format!("/v1/audit/events?task={task}");
    let answer = running.admin(Method::GET, &path, None).await;
    let items = answer.body["items"].as_array().unwrap().clone();
    let keeps = |item: &&Value| {
        let sealed = item["leaf"]["sealed"].as_array().cloned();
        sealed
            .unwrap_or_default()
            .iter()
            .any(|one| one["kept"] == true)
    };
    let found = items
        .iter()
        .find(keeps)
        .unwrap_or_else(|| panic!("{items:?}"));
    found["leaf"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_revealed_and_erased_on_record() {
    let running = Running::start().await;
    let task = running.agent().await;
    let event = keeping(&running, &task).await;
    let reveal = json!({"event": event, "reason": "INC-4"});
    let opened = running.post("/v1/audit/reveals", reveal.clone()).await;
    assert!(!opened["values"].as_array().unwrap().is_empty(), "{opened}");

    let erase = json!({"task": task, "basis": "request 17"});
    let dry = json!({"task": task, "basis": "request 17", "dry_run": true});
    let before = running.post("/v1/audit/erasures", dry).await;
    let erased = running.post("/v1/audit/erasures", erase).await;
    assert_eq!(before["count"], erased["count"]);
    let path = "/v1/audit/reveals";
    let gone = running.admin(Method::POST, path, Some(reveal)).await;
    assert_eq!(
        (gone.status, &gone.body["code"]),
        (410, &json!("payload_erased"))
    );

    for (kind, count) in [("log.revealed", 2), ("log.erased", 1)] {
        let path = format!("/v1/audit/events?type={kind}");
        let answer = running.admin(Method::GET, &path, None).await;
        assert_eq!(
            answer.body["items"].as_array().unwrap().len(),
            count,
            "{kind}"
        );
    }
    for (body, code) in [
        (json!({"basis": "b"}), "invalid_input"),
        (
            json!({"task": task, "user": "usr_1", "basis": "b"}),
            "invalid_input",
        ),
        (json!({"task": task, "basis": " "}), "invalid_input"),
        (
            json!({"user": "user:local:nobody", "basis": "b"}),
            "not_found",
        ),
        (json!({"user": "usr_nobody", "basis": "b"}), "not_found"),
    ] {
        let path = "/v1/audit/erasures";
        let answer = running.admin(Method::POST, path, Some(body)).await;
        assert_eq!(answer.body["code"], code, "{answer:?}");
    }
    running.node.shutdown().await;
}
