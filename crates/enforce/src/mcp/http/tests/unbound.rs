//! Tokens that are bound to no key: of clients that the operator named, where little is at stake.

use std::sync::Arc;

use bailiwick_core::change::ChangeBody;
use bailiwick_core::definition::{Tool, ToolState};
use bailiwick_core::instance::Instance;
use bailiwick_core::risk::Risk;
use bailiwick_core::task::Task;
use bailiwick_core::{Effect, Secret};
use serde_json::json;

use super::{Agent, Answer, CALL, INITIALIZE, send};
use crate::replica::State;
use crate::testing::{INSTANCE, TASK, World};

/// A world in which the process is an OAuth client, and those of these names may have tokens without a key.
async fn of_client(unbound: &[&str]) -> World {
    let unbound = unbound.iter().map(|id| id.parse().unwrap()).collect();
    let world = World::set_up(json!({ "calls": 50 }), |settings| {
        settings.unbound_clients = Arc::new(unbound);
    })
    .await;
    let view = |state: &State| Instance::clone(&state.caller(TASK, INSTANCE).unwrap().instance);
    let instance = world.replica.view(view).unwrap();
    world.commit(ChangeBody::Instance(Instance {
        client: Some("desk".parse().unwrap()),
        ..instance
    }));
    world
}

/// A token of that client without a key.
fn unbound(world: &World) -> Agent<'_> {
    Agent::with(world, |claims| {
        claims.cnf = None;
        claims.client_id = "desk".to_owned();
    })
}

async fn by_bearer(agent: &Agent<'_>, body: &str, headers: &[(&str, &str)]) -> Answer {
    let authorization = format!("Bearer {}", agent.token.expose());
    let mut all = vec![("authorization", authorization.as_str())];
    all.extend_from_slice(headers);
    send(agent.world, "POST", "/mcp/tools", body, &all).await
}

#[tokio::test]
async fn a_token_without_a_key_is_for_named_clients_alone() {
    let world = of_client(&["desk"]).await;
    let agent = unbound(&world);
    let opened = by_bearer(&agent, INITIALIZE, &[]).await;
    assert_eq!(opened.status, 200, "{}", opened.body);
    let session = opened.headers["mcp-session-id"].to_str().unwrap();
    let named = [
        ("mcp-session-id", session),
        ("mcp-protocol-version", "2025-11-25"),
    ];
    let called = by_bearer(&agent, CALL, &named).await;
    assert_eq!(called.json()["result"]["content"][0]["text"], "done");
    // Bound ones stay bound, and what has no key is shown as what it is.
    let refused = |answer: Answer| {
        let code = answer.json()["code"].as_str().unwrap().to_owned();
        (answer.status.as_u16(), code)
    };
    let bound = Agent::with(&world, |claims| claims.client_id = "desk".to_owned());
    assert_eq!(bound.send("POST", INITIALIZE, &[]).await.status, 200);
    let stolen = by_bearer(&bound, INITIALIZE, &[]).await;
    assert_eq!(refused(stolen), (401, "token_unbound".to_owned()));
    let dressed = agent.send("POST", INITIALIZE, &[]).await;
    assert_eq!(refused(dressed), (401, "token_invalid".to_owned()));
    let foreign = Agent {
        token: Secret::new("nonsense".to_owned()),
        ..unbound(&world)
    };
    let foreign = by_bearer(&foreign, INITIALIZE, &[]).await;
    assert_eq!(refused(foreign), (401, "token_invalid".to_owned()));
    // Its session is for nobody with another token.
    assert_eq!(bound.send("POST", CALL, &named).await.status, 404);
    for names in [&[][..], &["other"]] {
        let world = of_client(names).await;
        let answer = by_bearer(&unbound(&world), INITIALIZE, &[]).await;
        assert_eq!(refused(answer), (401, "token_unbound".to_owned()));
        assert!(world.tools.journal.borrow().is_empty());
    }
}

#[tokio::test]
async fn a_token_without_a_key_does_little_where_much_is_at_stake() {
    let world = of_client(&["desk"]).await;
    let agent = unbound(&world);
    let opened = by_bearer(&agent, INITIALIZE, &[]).await;
    let session = opened.headers["mcp-session-id"].to_str().unwrap();
    let named = [
        ("mcp-session-id", session),
        ("mcp-protocol-version", "2025-11-25"),
    ];
    // What the tool does was found to be more than it was taken for.
    let escalating = World::tool("get", Effect::Escalate, ToolState::Approved);
    world.commit(ChangeBody::Tool(Tool {
        version: 2,
        ..escalating
    }));
    let called = by_bearer(&agent, CALL, &named).await.json();
    let told = called["result"]["content"][0]["text"].to_string();
    assert!(told.contains("token_unbound"), "{called}");
    // The risk of the task rose.
    let task = world.task();
    world.commit(ChangeBody::Task(Task {
        risk: Risk::High,
        version: task.version + 1,
        ..task
    }));
    let listed = r#"{"jsonrpc":"2.0","id":3,"method":"tools/list"}"#;
    let answer = by_bearer(&agent, listed, &named).await;
    assert!(answer.body.contains("token_unbound"), "{}", answer.body);
    let answer = by_bearer(&agent, INITIALIZE, &[]).await;
    assert_eq!(answer.json()["code"], "token_unbound", "{}", answer.body);
    assert!(world.tools.calls().is_empty());
    // With a key the same client goes on.
    let bound = Agent::with(&world, |claims| claims.client_id = "desk".to_owned());
    assert_eq!(bound.send("POST", INITIALIZE, &[]).await.status, 200);
}
