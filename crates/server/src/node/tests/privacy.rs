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

/// Files below a directory that hold these bytes.
fn holding(dir: &std::path::Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, needle));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let holds = bytes
                .windows(needle.len())
                .any(|window| window == needle.as_bytes());
            found.extend(holds.then(|| path.display().to_string()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_user_is_in_no_file() {
    let running = Running::start().await;
    running.agent().await;
    let (user, request) = ("user:local:zebulon-9f31", "find the canary-5b1f order");
    let open = json!({"agent": "coder", "user": user, "request": request});
    let task = running.post("/v1/tasks", open).await;
    let data = running.dir.path().join("data");
    assert!(!holding(&data, "canary-5b1f").is_empty());

    // While the task is open its words are worked with; the record's values go.
    let erase = json!({"user": user, "basis": "request 17"});
    let first = running.post("/v1/audit/erasures", erase.clone()).await;
    assert_eq!(
        (&first["tasks"], &first["open_tasks"]),
        (&json!(0), &json!(1))
    );
    let path = format!("/v1/tasks/{}/complete", task["id"].as_str().unwrap());
    running.post(&path, json!({})).await;
    let second = running.post("/v1/audit/erasures", erase.clone()).await;
    assert_eq!(
        (&second["tasks"], &second["open_tasks"]),
        (&json!(1), &json!(0))
    );
    for needle in ["canary-5b1f", "zebulon-9f31"] {
        assert_eq!(holding(&data, needle), Vec::<String>::new(), "{needle}");
    }
    let path = "/v1/audit/erasures";
    let again = running.admin(Method::POST, path, Some(erase)).await;
    assert_eq!(
        again.body["code"], "not_found",
        "nobody of that name is known"
    );
    let path = format!("/v1/tasks/{}", task["id"].as_str().unwrap());
    let shown = running.admin(Method::GET, &path, None).await.body;
    assert!(
        shown["user"]
            .as_str()
            .unwrap()
            .starts_with("user:erased:usr_"),
        "{shown}"
    );

    let running = running.restart().await;
    for needle in ["canary-5b1f", "zebulon-9f31"] {
        assert_eq!(holding(&data, needle), Vec::<String>::new(), "{needle}");
    }
    let vkey = running.node.addresses().log_vkey.clone();
    let key = bailiwick_crypto::note::NoteVerifier::from_vkey(&vkey).unwrap();
    let verdict = bailiwick_audit::verify::verify(&data.join("audit"), &[key]);
    assert_eq!(verdict.exit_code(), 0, "{verdict}");
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_takes_two_where_there_are_two_admins() {
    let running = Running::start().await;
    let task = running.agent().await;
    let first = running.account("first", &["admin"]).await;
    let second = running.account("second", &["admin"]).await;
    let post = async |path: String, body: Value, bearer: &str| {
        let request = running.client.post(running.url(&path));
        let request = request
            .bearer_auth(bearer)
            .header("content-type", "application/json")
            .body(body.to_string());
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        (status, body)
    };
    let erase = json!({"task": task, "basis": "request 17"});
    let (status, asked) = post("/v1/audit/erasures".into(), erase, &first).await;
    assert_eq!(status, 200, "{asked}");
    let id = asked["waits"].as_str().unwrap();
    let confirm = format!("/v1/audit/erasures/{id}/confirm");
    // Nothing is erased yet, and neither who asked nor the socket confirms.
    let event = keeping(&running, &task).await;
    let reveal = json!({"event": event, "reason": "INC-4"});
    running.post("/v1/audit/reveals", reveal.clone()).await;
    let (status, refused) = post(confirm.clone(), json!({}), &first).await;
    assert_eq!((status, &refused["code"]), (403, &json!("not_permitted")));
    let socket = running.admin(Method::POST, &confirm, Some(json!({}))).await;
    assert_eq!(socket.status, 403, "{socket:?}");
    let (status, erased) = post(confirm.clone(), json!({}), &second).await;
    assert_eq!(status, 200, "{erased}");
    assert!(erased["index"].is_u64(), "{erased}");
    let gone = running
        .admin(Method::POST, "/v1/audit/reveals", Some(reveal))
        .await;
    assert_eq!(gone.status, 410, "{gone:?}");
    let (status, again) = post(confirm, json!({}), &second).await;
    assert_eq!((status, &again["code"]), (404, &json!("not_found")));
    let said = running
        .admin(Method::GET, "/v1/audit/events?type=log.erased", None)
        .await;
    let leaf = &said.body["items"][0]["leaf"];
    assert!(
        leaf["change"]["after"]
            .as_str()
            .unwrap()
            .contains("asked for by acct_"),
        "{leaf}"
    );
    running.node.shutdown().await;
}
