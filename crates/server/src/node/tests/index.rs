//! Finding events over the API, following them from where one was, and reading the log's files.

use http::Method;
use serde_json::{Value, json};

use super::running::{Answer, Running};

async fn search(running: &Running, query: &str) -> Answer {
    let path = format!("/v1/audit/events?{query}");
    running.admin(Method::GET, &path, None).await
}

async fn types(running: &Running, query: &str) -> Vec<String> {
    let answer = search(running, query).await;
    assert_eq!(answer.body["index_behind"], Value::Null, "{answer:?}");
    let items = answer.body["items"].as_array().unwrap().iter();
    items
        .map(|item| item["leaf"]["type"].as_str().unwrap().to_owned())
        .collect()
}

/// One item of a stream: its id and its data.
async fn next(stream: &mut reqwest::Response) -> (String, Value) {
    let mut text = String::new();
    while !text.contains("\n\n") || !text.contains("data:") {
        let bytes = stream.chunk().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&bytes).unwrap());
    }
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{text}")).trim().to_owned()
    };
    (of("id:"), serde_json::from_str(&of("data:")).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_found_with_and_without_their_index() {
    let running = Running::start().await;
    let task = running.agent().await;
    let data = running.dir.path().join("data/audit/index");
    for wait in ["", "&wait=true"] {
        let of = |query: &str| format!("{query}{wait}");
        let opened = types(&running, &of(&format!("task={task}&type=task"))).await;
        assert!(opened.contains(&"task.opened".to_owned()), "{opened:?}");
        assert_eq!(
            types(&running, &of("agent=coder&type=agent.registered"))
                .await
                .len(),
            0
        );
        assert!(
            !types(&running, &of("type=agent.registered"))
                .await
                .is_empty()
        );
        assert!(types(&running, &of("node=other")).await.is_empty());
        assert!(
            !types(&running, &of("since=2020-01-01&until=9000-01-01"))
                .await
                .is_empty()
        );
        assert!(types(&running, &of("until=2020-01-01")).await.is_empty());
    }
    // With the files away every event is found in the log itself, and the index comes back.
    let all = types(&running, "limit=1000&wait=true").await;
    std::fs::remove_dir_all(&data).unwrap();
    let again = types(&running, "limit=1000").await;
    assert_eq!(again.get(..all.len()), Some(all.as_slice()));
    let begun = running.post("/v1/audit/reindex", json!({})).await;
    assert_eq!(begun["indexed"], 0);
    let waited = types(&running, "limit=1000&wait=true").await;
    assert_eq!(waited.get(..all.len()), Some(all.as_slice()));
    let logs = running
        .admin(Method::GET, "/v1/audit/logs", None)
        .await
        .body;
    let log = &logs["items"][0];
    assert_eq!(log["origin"], "bailiwick.internal/node-1");
    assert!(log["indexed"].as_u64() >= Some(all.len() as u64), "{logs}");

    for (query, message) in [
        ("agent=a&colour=red", "condition 2: `colour`"),
        ("agent=a&agent=b", "condition 2: `agent` is given twice"),
        ("type=tools", "condition 1: `tools` is not a type"),
    ] {
        let answer = search(&running, query).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (400, &json!("bad_filter"))
        );
        let said = answer.body["message"].as_str().unwrap();
        assert!(said.starts_with(message), "{said}");
    }
    for query in ["after=7", "wait=maybe", "limit=x"] {
        let answer = search(&running, query).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (400, &json!("invalid_input"))
        );
    }
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_goes_on_where_it_was() {
    let running = Running::start().await;
    let viewer = running.account("vera", &["viewer"]).await;
    let follow = |last: Option<String>| {
        let request = running.client.get(running.url("/v1/audit/tail?type=admin"));
        let request = request.bearer_auth(&viewer);
        let request = match last {
            Some(last) => request.header("last-event-id", last),
            None => request,
        };
        async { request.send().await.unwrap() }
    };
    let mut stream = follow(Some("node-1:0".into())).await;
    let (id, first) = next(&mut stream).await;
    drop(stream);
    assert_eq!(id, format!("node-1:{}", first["index"]));
    running.account("walter", &["viewer"]).await;
    let (_, second) = next(&mut follow(Some(id)).await).await;
    assert!(second["index"].as_u64() > first["index"].as_u64());
    // Every one of them once: what is between the two is of another type.
    let between = types(&running, "type=admin&limit=1000").await;
    assert!(between.len() >= 2);
    let foreign = follow(Some("node-2:1".into())).await;
    assert_eq!(foreign.status(), 400);
    assert_eq!(follow(Some("node-1:x".into())).await.status(), 400);
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checkpoint_is_public_and_tiles_are_not() {
    let running = Running::start().await;
    let viewer = running.account("vera", &["viewer"]).await;
    let fetch = |path: &str, bearer: Option<&str>| {
        let request = running.client.get(running.url(&format!("/log/{path}")));
        let request = match bearer {
            Some(bearer) => request.bearer_auth(bearer),
            None => request,
        };
        async { request.send().await.unwrap() }
    };
    let mut published = running.node.log.published();
    let some = published.wait_for(|size| *size > 0);
    let limit = std::time::Duration::from_mins(1);
    tokio::time::timeout(limit, some).await.unwrap().unwrap();
    let checkpoint = fetch("node-1/checkpoint", None).await;
    assert_eq!(checkpoint.status(), 200);
    let note = checkpoint.text().await.unwrap();
    assert!(note.starts_with("bailiwick.internal/node-1\n"), "{note}");
    assert_eq!(fetch("node-2/checkpoint", None).await.status(), 404);

    let partial = |size: u64| format!("node-1/tile/entries/000.p/{size}");
    assert_eq!(fetch(&partial(1), None).await.status(), 401);
    assert_eq!(fetch(&partial(1), Some("bwa_nonsense")).await.status(), 401);
    // The tile of a checkpoint is there when the checkpoint is, until a wider one replaces it.
    let mut served = 0;
    while served == 0 {
        let size = *published.borrow_and_update();
        let tile = fetch(&partial(size), Some(&viewer)).await;
        if tile.status() == 200 {
            let bytes = tile.bytes().await.unwrap();
            assert!(bytes.windows(10).any(|text| text == b"log.opened"));
            served = size;
        } else {
            tokio::time::timeout(limit, published.changed())
                .await
                .unwrap()
                .unwrap();
        }
    }
    for path in [
        "node-1/tile/0/../../state.json",
        "node-1/tile/..%2f..%2fcheckpoint",
        "node-1/tile/%2e%2e/%2e%2e/seal.key",
        "node-1/tile/keys/000",
        "node-1/tile/entries/",
        "node-2/tile/entries/000",
    ] {
        let answer = fetch(path, Some(&viewer)).await;
        assert_eq!(answer.status(), 404, "{path}");
    }
    running.node.shutdown().await;
}
