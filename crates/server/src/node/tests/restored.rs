//! A node on an older copy of its store.

use std::fs;
use std::path::Path;

use bailiwick_core::{Code, Fault};
use bailiwick_crypto::keys::SigningKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Value, json};

use super::running::{Answer, Running, config};
use crate::node::{Node, StartError, adopt};

/// The store's files, as they are kept.
fn store(dir: &Path) -> Vec<(std::path::PathBuf, Option<Vec<u8>>)> {
    let files = ["store.db", "store.db-wal", "store.db-shm"];
    let files = files.map(|name| dir.join("data").join(name));
    files
        .into_iter()
        .map(|file| (file.clone(), fs::read(&file).ok()))
        .collect()
}

fn put_back(kept: &[(std::path::PathBuf, Option<Vec<u8>>)]) {
    for (file, bytes) in kept {
        match bytes {
            Some(bytes) => fs::write(file, bytes).unwrap(),
            None => drop(fs::remove_file(file)),
        }
    }
}

fn epoch_of(token: &str) -> u64 {
    let claims = token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    claims["bailiwick"]["epoch"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_from_backup() {
    let running = Running::start().await;
    let viewer = running.account("vera", &["viewer"]).await;
    // This process is about to be an agent, whom the admin socket serves no more.
    let operator = running.account("omar", &["operator"]).await;
    let point = running.post("/v1/points", json!({"name": "edge"})).await;
    let task = running.agent().await;
    let key = SigningKey::generate().unwrap();
    let token = running.task_token(&key, &task).await;
    assert_eq!(epoch_of(&token), 1);
    let Running { node, dir, client } = running;
    node.shutdown().await;
    let backup = store(dir.path());

    // What the copy will not know.
    let node = Node::start(config(dir.path())).await.unwrap();
    let running = Running { node, dir, client };
    let order = json!({"subjects": ["agent/coder"], "reason": "INC-4"});
    let request = running.client.post(running.url("/v1/revocations"));
    let request = request.bearer_auth(&operator);
    let request = request.header("content-type", "application/json");
    let revoked = Answer::of(request.body(order.to_string())).await;
    assert!(revoked.status < 300, "{revoked:?}");
    let Running { node, dir, client } = running;
    node.shutdown().await;

    put_back(&backup);
    let Err(error) = Node::start(config(dir.path())).await else {
        panic!("the fence on coder was forgotten, and the node started");
    };
    assert!(matches!(error, StartError::Restored { .. }), "{error}");
    assert_eq!(error.code(), Code::FeedRegressed);
    assert!(error.help().contains("store adopt"), "{}", error.help());
    let refused = adopt(&config(dir.path()), " ", "uid:0").await;
    assert!(refused.is_err(), "without a reason");
    let adopted = adopt(&config(dir.path()), "restored from Monday", "uid:0").await;
    assert_eq!(adopted.unwrap(), 2);

    let node = Node::start(config(dir.path())).await.unwrap();
    let running = Running { node, dir, client };
    let path = format!("/v1/tasks/{task}");
    let old = running.admin(Method::GET, &path, None).await;
    assert_eq!(old.body["state"], "revoked", "{old:?}");
    let answer = running.tcp("GET", "/v1/agents", Some(&viewer)).await;
    assert_eq!(answer.status, 401, "a token of an account came back");
    let fences = running.admin(Method::GET, "/v1/fences", None).await.body;
    let [fence] = fences["items"].as_array().unwrap().as_slice() else {
        panic!("{fences}");
    };
    assert_eq!(fence["subject"], "trust_domain/");
    assert_eq!(fence["reason"], "restored from Monday");
    assert!(fence["lifted_seq"].is_u64(), "{fence}");
    // Points stay registered, and read everything anew under the new epoch.
    let ask = json!({"session": "s", "nonce": "n", "applied": {"epoch": 1, "seq": 1_u64 << 40}});
    let request = running.client.post(running.url("/v1/feed"));
    let request = request.bearer_auth(point["token"].as_str().unwrap());
    let request = request.header("content-type", "application/json");
    let answer = request.body(ask.to_string()).send().await.unwrap();
    let answer = answer.text().await.unwrap();
    let head: Value = serde_json::from_str(answer.lines().next().unwrap()).unwrap();
    assert_eq!(head["epoch"], 2, "{head}");
    assert!(head["content"]["snapshot"].is_object(), "{head}");
    // What is born now lives: this very process attests anew, for a new task.
    let task = json!({"agent": "coder", "user": "user:local:anna", "request": "fix issue 13"});
    let task = running.post("/v1/tasks", task).await;
    let reader = running.account("rita", &["viewer"]).await;
    let token = running.task_token(&key, task["id"].as_str().unwrap()).await;
    assert_eq!(epoch_of(&token), 2);

    // Once: the next start ends nothing.
    let running = running.restart().await;
    let path = format!("/v1/tasks/{}", task["id"].as_str().unwrap());
    let same = running.tcp("GET", &path, Some(&reader)).await;
    assert_eq!(same.body["state"], "open", "{same:?}");
    running.node.shutdown().await;
}
