//! The API as the document lists it: walked without, with weak and with foreign credentials; form of refusals; paging.

mod console;
mod coverage;

use bailiwick_crypto::keys::SigningKey;
use expect_test::expect_file;
use serde_json::Value;

use super::{Page, Paging};

use crate::node::tests::running::Running;

/// Every operation of the document: method, path with sample values, operation id.
async fn operations(running: &Running) -> Vec<(String, String, String)> {
    let document = running.tcp("GET", "/openapi.json", None).await.body;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            operations.push((method.to_uppercase(), sample(path), id));
        }
    }
    operations
}

/// The path with parameters that have the right form and name nothing.
fn sample(path: &str) -> String {
    let noun = path.split('/').nth(2).unwrap_or_default();
    let id = match noun {
        "tasks" => "task_00000000000000000000000000",
        "approvals" => "appr_00000000000000000000000000",
        "revocations" => "rev_00000000000000000000000000",
        "join-tokens" => "jtok_00000000000000000000000000",
        "findings" => "find_00000000000000000000000000",
        "fences" => "fence_00000000000000000000000000",
        "leases" => "lease_00000000000000000000000000",
        _ => "evt_00000000000000000000000000",
    };
    let digest = format!("sha256:{}", "0".repeat(64));
    path.replace("{id}", id)
        .replace("{name}", "nobody")
        .replace("{server}", "nowhere")
        .replace("{tool}", "nothing")
        .replace("{digest}", &digest)
        .replace("{subject}", &digest)
        .replace("{version}", &digest)
}

/// Operations that change nothing and take a body all the same: a viewer is told that it is missing.
const READS: [&str; 2] = ["audit.blast_radius", "audit.export"];

/// Operations of agents: no bearer token of whomever opens them.
const AGENTS: [&str; 3] = ["tasks.delegate", "leases.take", "leases.acknowledge"];

/// Operations whose credential is evidence in the body, or a session: a bearer token, whoever's, is none.
const EVIDENCE: [&str; 4] = ["attest", "attest.renew", "sessions.open", "sessions.close"];

/// Operations of enforcement points: no token of anybody else opens them.
const POINTS: [&str; 1] = ["feed"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_reachable_without_the_right_credential() {
    let running = Running::start().await;
    let viewer = running.account("vera", &["viewer"]).await;
    let task = running.agent().await;
    let key = SigningKey::generate().unwrap();
    let agent = running.task_token(&key, &task).await;
    let operations = operations(&running).await;
    let mut walked = 0;
    for (method, path, id) in &operations {
        if !path.starts_with("/v1/") {
            continue;
        }
        walked += 1;
        for bearer in [None, Some("bwa_nonsense"), Some(agent.as_str())] {
            let answer = running.tcp(method, path, bearer).await;
            assert_eq!(answer.status, 401, "{id} with {bearer:?}: {answer:?}");
            let wanted = match bearer {
                Some(_) if AGENTS.contains(&id.as_str()) => "token_unbound",
                _ => "not_signed_in",
            };
            assert_eq!(answer.body["code"], wanted, "{id}");
            assert!(answer.headers.contains_key("www-authenticate"), "{id}");
            assert_eq!(answer.headers["cache-control"], "no-store", "{id}");
            let request = answer.body["request_id"].as_str().unwrap();
            assert!(request.starts_with("req_"), "{id}");
        }
        let answer = running.tcp(method, path, Some(&viewer)).await;
        if READS.contains(&id.as_str()) {
            assert_eq!(answer.status, 400, "{id}: {answer:?}");
        } else if EVIDENCE.contains(&id.as_str()) || POINTS.contains(&id.as_str()) {
            assert_eq!(answer.status, 401, "{id}: {answer:?}");
            assert_eq!(answer.body["code"], "not_signed_in", "{id}");
        } else if AGENTS.contains(&id.as_str()) {
            assert_eq!(answer.status, 401, "{id}: {answer:?}");
            assert_eq!(answer.body["code"], "token_unbound", "{id}");
        } else if method == "GET" {
            assert!(matches!(answer.status, 200 | 404), "{id}: {answer:?}");
        } else {
            assert_eq!(answer.status, 403, "{id}: {answer:?}");
            assert_eq!(answer.body["code"], "not_permitted", "{id}");
        }
    }
    assert!(walked > 40, "the document lists the API: {walked}");
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_the_committed_one() {
    let running = Running::start().await;
    let response = running
        .client
        .get(running.url("/openapi.json"))
        .send()
        .await
        .unwrap();
    let text = response.text().await.unwrap();
    expect_file!["../../../../docs/reference/openapi.json"].assert_eq(&format!("{text}\n"));
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_is_a_problem_document() {
    let running = Running::start().await;
    let admin = running
        .account("root", &["admin", "operator", "viewer"])
        .await;
    for (method, path, status, code) in [
        ("GET", "/nowhere", 404, "not_found"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("DELETE", "/v1/agents", 405, "method_not_allowed"),
        ("GET", "/v1/tasks/task_1", 400, "invalid_input"),
        ("GET", "/v1/tasks?colour=red", 400, "invalid_input"),
        ("GET", "/v1/audit/events?colour=red", 400, "bad_filter"),
        ("GET", "/v1/agents/nobody", 404, "not_found"),
        ("POST", "/v1/agents", 400, "invalid_input"),
    ] {
        let answer = running.tcp(method, path, Some(&admin)).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(answer.body["code"], code, "{method} {path}: {answer:?}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert!(!answer.body["message"].as_str().unwrap().is_empty());
    }
    for (body, code) in [
        ("{", "invalid_input"),
        (
            "{\"name\":\"a\",\"name\":\"b\",\"roles\":[\"viewer\"]}",
            "invalid_input",
        ),
        (
            "{\"name\":\"a\",\"roles\":[\"viewer\"],\"admin\":true}",
            "invalid_input",
        ),
    ] {
        let answer = send(
            &running,
            &admin,
            "/v1/accounts",
            "application/json",
            body.to_owned(),
        )
        .await;
        assert_eq!(answer["code"], code, "{body}: {answer}");
    }
    let form = "name=a".to_owned();
    let answer = send(
        &running,
        &admin,
        "/v1/accounts",
        "application/x-www-form-urlencoded",
        form,
    )
    .await;
    assert_eq!(answer["code"], "invalid_input", "{answer}");
    let large = format!("{{\"name\":\"{}\"}}", "a".repeat(2 << 20));
    let answer = send(&running, &admin, "/v1/accounts", "application/json", large).await;
    assert_eq!(answer["code"], "too_large", "{answer}");
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_was_rebound_to_loopback_is_refused() {
    let running = Running::start().await;
    let port = running.node.addresses().console.port();
    for host in [
        "evil.example",
        &format!("evil.example:{port}"),
        "127.0.0.1:1",
        "localhost",
    ] {
        let request = running
            .client
            .get(running.url("/healthz"))
            .header("host", host);
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 421, "{host}");
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert_eq!(body["code"], "host_refused");
    }
    let own = format!("localhost:{port}");
    let request = running
        .client
        .get(running.url("/healthz"))
        .header("host", own);
    assert_eq!(request.send().await.unwrap().status().as_u16(), 200);
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_goes_in_and_never_comes_out() {
    let running = Running::start().await;
    let admin = running.account("root", &["admin", "viewer"]).await;
    let response = running
        .client
        .put(running.url("/v1/secrets/files-token"))
        .bearer_auth(&admin)
        .body("canary-51c0ffee\n")
        .send()
        .await
        .unwrap();
    let set = response.text().await.unwrap();
    let listed = running
        .tcp("GET", "/v1/secrets", Some(&admin))
        .await
        .body
        .to_string();
    assert!(listed.contains("files-token"), "{listed}");
    let events = running
        .tcp("GET", "/v1/audit/events", Some(&admin))
        .await
        .body
        .to_string();
    assert!(events.contains("files-token"), "its setting is on record");
    for shown in [set, listed, events] {
        assert!(!shown.contains("canary-51c0ffee"), "{shown}");
    }
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_record_is_paged_and_followed_without_a_gap() {
    let running = Running::start().await;
    let viewer = running.account("vera", &["viewer"]).await;
    running.agent().await;
    let mut seen = Vec::new();
    let mut path = "/v1/audit/events?limit=2".to_owned();
    loop {
        let page = running.tcp("GET", &path, Some(&viewer)).await.body;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|item| item["index"].as_u64().unwrap()));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/v1/audit/events?limit=2&after={next}");
    }
    // Pages are in the order of logical time, in which events recorded at the same moment may stand otherwise than in the log.
    seen.sort_unstable();
    let wanted: Vec<u64> = (0..seen.len() as u64).collect();
    assert_eq!(seen, wanted);
    assert!(seen.len() > 4);

    let mut stream = running
        .client
        .get(running.url("/v1/audit/tail?after=0&type=agent.registered"))
        .bearer_auth(&viewer)
        .send()
        .await
        .unwrap();
    let mut text = String::new();
    while !text.contains("\n\n") {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    assert!(text.contains("agent.registered"), "{text}");
    drop(stream);
    running.node.shutdown().await;
}

#[test]
fn pages_of_a_whole_list_meet_without_gap_or_repetition() {
    let all = ["a", "b", "c", "d", "e"];
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let paging = Paging {
            limit: Some(2),
            after: after.take(),
        };
        let page = Page::part(all.to_vec(), &paging, |item| (*item).to_owned());
        seen.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, all);
}

async fn send(running: &Running, bearer: &str, path: &str, form: &str, body: String) -> Value {
    let request = running
        .client
        .post(running.url(path))
        .bearer_auth(bearer)
        .header("content-type", form)
        .body(body);
    let response = request.send().await.unwrap();
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}
