//! The node's signing keys are replaced and taken back while agents, workloads and points go on.

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use spiffe::{TrustDomain, WorkloadApiClient};

use crate::harness::agent::runtime;
use crate::harness::{DEADLINE, Mcp, World};
use crate::points::{fence, revoke, watch};

/// Ids and states of the keys of a class, newest first.
fn keys(world: &World, class: &str) -> Vec<(String, String)> {
    let text = |key: &Value, member: &str| key[member].as_str().unwrap().to_owned();
    let all = world.node.items("/v1/keys").into_iter();
    all.filter(|key| key["class"] == class)
        .map(|key| (text(&key, "kid"), text(&key, "state")))
        .collect()
}

fn states(world: &World, class: &str) -> Vec<String> {
    let all = keys(world, class).into_iter();
    all.map(|(_, state)| state).collect()
}

fn published(world: &World) -> usize {
    let jwks = world.node.api("GET", "/oauth/jwks", None);
    jwks["keys"].as_array().unwrap().len()
}

#[test]
fn a_token_outlives_the_change_of_its_key_and_not_its_being_taken_back() {
    let mut world = World::start();
    let task = world.task();
    let before = world.agent.token(&task, "workspace").unwrap();
    let listed = world.node.cli(&["key", "rotate", "task", "--now"]);
    assert_eq!(listed["items"][0]["state"], "active", "{listed}");
    assert_eq!(states(&world, "task"), ["active", "old"]);
    assert_eq!(published(&world), 2);
    let after = world.agent.token(&task, "workspace").unwrap();
    for token in [&before, &after] {
        Mcp::with_token(&world.agent, "workspace", token.clone()).ok("list_files", "{}");
    }

    let old = keys(&world, "task")[1].0.clone();
    let old = old.as_str();
    let tainted = world.node.run(&["key", "taint", old, "--yes"]);
    assert_eq!(tainted.code, Some(0), "{tainted:?}");
    assert_eq!(states(&world, "task"), ["active", "tainted"]);
    assert_eq!(published(&world), 1);
    let refused = Mcp::new(&world.agent, "workspace", before).post(b"{}");
    assert_eq!(refused.status, 401);
    assert!(
        refused
            .headers("www-authenticate")
            .contains("invalid_token")
    );
    Mcp::with_token(&world.agent, "workspace", after).ok("list_files", "{}");

    let again = world.node.run(&["key", "taint", old, "--yes"]);
    assert_eq!(again.code, Some(6), "{again:?}");
    let unknown = world.node.run(&["key", "taint", "nobody", "--yes"]);
    assert_eq!(unknown.code, Some(6), "{unknown:?}");
    let (status, refused) = world
        .node
        .try_api("POST", "/v1/keys", Some(&json!({"class": "log"})));
    assert_eq!(status, 400, "{refused}");
    let events = world.node.events();
    let changes: Vec<String> = events
        .iter()
        .filter(|event| event["change"]["kind"] == "key")
        .map(|event| {
            let change = &event["change"];
            let before = change["before"].as_str().unwrap_or("-");
            format!("{before} {}", change["after"].as_str().unwrap())
        })
        .collect();
    assert_eq!(changes, ["active old", "- active", "old tainted"]);

    // What was done is there after a crash, and nothing is done twice.
    let known = keys(&world, "task");
    world.node.kill_nine();
    world.node.start_again();
    assert_eq!(keys(&world, "task"), known);
}

#[test]
fn workloads_are_told_at_once_whom_to_believe() {
    let world = World::start();
    let sequence = || world.node.api("GET", "/spiffe/bundle", None)["spiffe_sequence"].as_u64();
    let first = sequence();
    let domain = TrustDomain::new("e2e.internal").unwrap();
    runtime().block_on(async {
        let client = WorkloadApiClient::connect_to(world.agent.endpoint());
        let client = client.await.unwrap();
        let mut stream = client.stream_x509_contexts().await.unwrap();
        let mut next = async || {
            let next = tokio::time::timeout(DEADLINE, stream.next()).await;
            let context = next.expect("nothing comes").unwrap().unwrap();
            let believed = context.bundle_set().get(&domain).unwrap();
            let believed = believed.authorities().len();
            let leaf = context.default_svid().unwrap().leaf().as_bytes().to_vec();
            (believed, leaf)
        };
        let (believed, _) = next().await;
        assert_eq!(believed, 1);
        // A CA that is to sign tomorrow is believed today.
        world.node.cli(&["key", "rotate", "x509"]);
        let (believed, prepared) = next().await;
        assert_eq!(believed, 2);
        // The one that signs is taken back: SVIDs of the other come at once.
        let known = keys(&world, "x509");
        assert_eq!(known[1].1, "active", "{known:?}");
        let tainted = world.node.run(&["key", "taint", &known[1].0, "--yes"]);
        assert_eq!(tainted.code, Some(0), "{tainted:?}");
        let (believed, svid) = next().await;
        assert_eq!(believed, 1);
        assert_ne!(svid, prepared);
    });
    assert_eq!(states(&world, "x509"), ["active", "tainted"]);
    assert!(sequence() > first);
}

#[test]
fn a_point_learns_the_next_key_from_heads() {
    let world = World::start();
    let mut point = watch(&world, "edge");
    world.node.cli(&["key", "rotate", "head"]);
    revoke(&world, "nobody");
    assert_eq!(fence(&mut point)["subject"], "owner/nobody");
    // That head named the next key; from here on it signs alone.
    world.node.cli(&["key", "rotate", "head", "--now"]);
    assert_eq!(states(&world, "head"), ["active"], "the old one is gone");
    revoke(&world, "somebody");
    assert_eq!(fence(&mut point)["subject"], "owner/somebody");
    // A point that is added now is given the key that signs.
    let mut later = watch(&world, "later");
    assert_eq!(fence(&mut later)["subject"], "owner/nobody");
}
