//! A real node from start to stop: what it refuses to start on, what it keeps, and the way of an agent to its token.

mod index;
mod privacy;
mod restored;
pub(crate) mod running;

use bailiwick_core::{Code, Fault};
use bailiwick_crypto::keys::SigningKey;
use http::Method;
use serde_json::{Value, json};

use super::{Node, StartError};
use running::{Running, config};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_starts_tells_its_health_and_stops() {
    let running = Running::start().await;
    let health = running.tcp("GET", "/healthz", None).await;
    assert_eq!(health.status, 200);
    assert_eq!(health.body["status"], "ok");
    assert_eq!(health.body["trust_domain"], "bailiwick.internal");
    assert_eq!(health.headers["cache-control"], "no-store");
    let metrics = running
        .client
        .get(running.url("/metrics"))
        .send()
        .await
        .unwrap();
    let text = metrics.text().await.unwrap();
    assert!(text.contains("bailiwick_node_info{"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    let sockets = running.node.addresses().clone();
    running.node.shutdown().await;
    assert!(!sockets.admin_socket.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_keeps_is_there_after_a_restart() {
    let running = Running::start().await;
    let vkey = running.node.addresses().log_vkey.clone();
    let task = running.agent().await;
    let running = running.restart().await;
    assert_eq!(running.node.addresses().log_vkey, vkey);
    let path = format!("/v1/tasks/{task}");
    let answer = running.admin(Method::GET, &path, None).await;
    assert_eq!(answer.body["state"], "open", "{answer:?}");
    // The restarted node decides on it too: its replica knows the task.
    let key = SigningKey::generate().unwrap();
    running.task_token(&key, &task).await;
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_named_with_its_key() {
    let running = Running::start().await;
    let other = tempfile::tempdir().unwrap();
    let mut taken = config(other.path());
    taken.gateway.listener.listen = running.node.addresses().gateway;
    let Err(error) = Node::start(taken).await else {
        panic!("it started");
    };
    assert_eq!(error.code(), Code::PortInUse);
    assert!(error.to_string().contains("gateway.listen"), "{error}");
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_cannot_share_a_data_directory() {
    let running = Running::start().await;
    let Err(error) = Node::start(config(running.dir.path())).await else {
        panic!("it started");
    };
    assert_eq!(error.code(), Code::PortInUse, "{error}");
    let mut elsewhere = config(running.dir.path());
    elsewhere.node.runtime_dir = running.dir.path().join("elsewhere");
    let Err(error) = Node::start(elsewhere).await else {
        panic!("it started");
    };
    assert_eq!(error.code(), Code::DataDir, "{error}");
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_without_its_seal_is_not_given_a_new_one() {
    let running = Running::start().await;
    let (node, dir) = (running.node, running.dir);
    node.shutdown().await;
    let seal = dir.path().join("data/seal.key");
    std::fs::remove_file(&seal).unwrap();
    let Err(error) = Node::start(config(dir.path())).await else {
        panic!("it started");
    };
    assert!(matches!(error, StartError::SealMissing { .. }), "{error}");
    assert!(!seal.exists());
}

#[tokio::test]
async fn a_directory_open_to_others_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    let Err(error) = Node::start(config(dir.path())).await else {
        panic!("it started");
    };
    assert_eq!(error.code(), Code::DataDir);
    assert!(
        error.help().starts_with("run: chmod 700"),
        "{}",
        error.help()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_gets_a_token_bound_to_its_key_and_nobody_else_does() {
    let running = Running::start().await;
    let task = running.agent().await;
    let key = SigningKey::generate().unwrap();
    let token = running.task_token(&key, &task).await;
    assert!(token.starts_with("eyJ"));

    let form = running.form(&task).await;
    let nonce = running.ask_token(&key, None, &form).await;
    let nonce = nonce.headers["dpop-nonce"].to_str().unwrap().to_owned();
    for (change, error) in [
        (
            ("resource", "http://127.0.0.1:1/mcp/files"),
            "invalid_target",
        ),
        (("grant_type", "password"), "unsupported_grant_type"),
        (("client_assertion", "e30.e30.AAAA"), "invalid_client"),
        (("client_assertion_type", "urn:x"), "invalid_client"),
        (
            ("authorization_details", "[]"),
            "invalid_authorization_details",
        ),
        (
            (
                "authorization_details",
                "[{\"type\":\"agent_task\",\"task_id\":\"task_00000000000000000000000000\"}]",
            ),
            "invalid_grant",
        ),
    ] {
        let mut changed = form.clone();
        for field in &mut changed {
            if field.0 == change.0 {
                field.1 = change.1.to_owned();
            }
        }
        let answer = running.ask_token(&key, Some(&nonce), &changed).await;
        assert_eq!(answer.body["error"], error, "{change:?}: {answer:?}");
        assert!(answer.body["help"].is_string());
    }
    // One proof is good once.
    let proof = running.proof(&key, Some(&nonce));
    let first = running.send_form(Some(proof.clone()), &form).await;
    assert_eq!(first.status, 200, "{first:?}");
    let again = running.send_form(Some(proof), &form).await;
    assert_eq!(again.body["error"], "invalid_dpop_proof", "{again:?}");
    let unproven = running.send_form(None, &form).await;
    assert_eq!(unproven.body["error"], "invalid_dpop_proof", "{unproven:?}");
    let mut twice = form.clone();
    twice.push(("resource", "https://elsewhere.example".to_owned()));
    let answer = running.ask_token(&key, Some(&nonce), &twice).await;
    assert_eq!(answer.body["error"], "invalid_request", "{answer:?}");
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_has_no_admin_rights_whatever_user_it_runs_as() {
    let running = Running::start().await;
    let task = running.agent().await;
    assert_eq!(
        running.admin(Method::GET, "/v1/agents", None).await.status,
        200
    );
    // From here on this very process is a live instance.
    running.svid("somebody").await.unwrap();
    let answer = running.admin(Method::GET, "/v1/agents", None).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.body["code"], "peer_is_agent");
    let path = format!("/v1/tasks/{task}/cancel");
    let answer = running.admin(Method::POST, &path, Some(json!({}))).await;
    assert_eq!(answer.body["code"], "peer_is_agent");
    running.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_agent_gets_neither_identity_nor_token_and_it_is_on_record_with_a_proof() {
    let running = Running::start().await;
    let operator = running.account("anna", &["operator", "viewer"]).await;
    let task = running.agent().await;
    let key = SigningKey::generate().unwrap();
    running.task_token(&key, &task).await;
    let form = running.form(&task).await;
    let order = json!({"subjects": ["agent/coder"], "reason": "INC-4"});
    let response = running
        .client
        .post(running.url("/v1/revocations"))
        .bearer_auth(&operator)
        .header("content-type", "application/json")
        .body(order.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 201);
    let report: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(report["cut"]["tasks"], 1, "{report}");

    let refused = running.svid("somebody").await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    let nonce = running.ask_token(&key, None, &form).await;
    let nonce = nonce.headers["dpop-nonce"].to_str().unwrap().to_owned();
    let answer = running.ask_token(&key, Some(&nonce), &form).await;
    assert_eq!(answer.body["error"], "invalid_grant", "{answer:?}");

    let found = running
        .tcp("GET", "/v1/audit/events?type=fence.set", Some(&operator))
        .await;
    let event = found.body["items"][0]["leaf"]["id"].as_str().unwrap();
    let path = format!("/v1/audit/events/{event}/proof");
    let answer = running.tcp("GET", &path, Some(&operator)).await;
    let proof = answer.body["proof"].as_str().unwrap();
    let proof = bailiwick_audit::proof::Proof::parse(proof).unwrap();
    let vkey = &running.node.addresses().log_vkey;
    let verifier = bailiwick_crypto::note::NoteVerifier::from_vkey(vkey).unwrap();
    proof.verify(&[verifier]).unwrap();
    running.node.shutdown().await;
}
