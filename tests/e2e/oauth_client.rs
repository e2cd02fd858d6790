//! The authorization server with an OAuth client that is not ours: npm's oauth4webapi, strict about metadata, nonces and answers.

use std::process::Command;

use serde_json::json;

use crate::harness::{World, deps, node};

#[test]
fn oauth4webapi_gets_narrows_uses_and_gives_back_a_token() {
    let world = World::start();
    let agent = &world.agent;
    let assertion = agent.jwt_svid(agent.issuer());
    let told = json!({
        "resource": agent.resource("workspace"),
        "assertion": assertion,
        "id": crate::bad_tokens::payload(&assertion)["sub"],
        "task": world.task(),
        "scope": "workspace:read",
    });
    let mut command = Command::new(deps::node());
    command
        .arg(deps::root().join("tests/e2e/node/oauth.mjs"))
        .arg(deps::node_module("oauth4webapi/build/index.js"))
        .arg(told.to_string());
    let ran = node::run(&mut command, "");
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stderr, world.node.log());
    let said = ran.json();
    assert_eq!(said["issuer"], json!(agent.issuer()), "{said}");
    assert_eq!(said["scopes"][0], "workspace:read", "{said}");
    assert_eq!(said["token_type"], "dpop", "{said}");
    assert_eq!(said["granted"], "workspace:read workspace:write", "{said}");
    assert_eq!(said["narrowed"], "workspace:read", "{said}");
    assert_eq!(
        said["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token",
        "{said}"
    );
    // One at the token endpoint, one at the gateway: each node of the deployment has its own.
    assert!(
        said["nonces"].as_u64().is_some_and(|count| count >= 1),
        "{said}"
    );
    assert_eq!(said["opened"], 200, "{said}");
    assert_eq!(said["before"]["active"], true, "{said}");
    assert_eq!(said["before"]["scope"], "workspace:read", "{said}");
    assert_eq!(said["after"], json!({ "active": false }), "{said}");
    assert!(
        said["refused"]
            .as_array()
            .is_some_and(|errors| errors.contains(&json!("invalid_token"))),
        "{said}"
    );
}
