//! A task ends while tasks below it work, each with a lease and a call on each server.

use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bailiwick_core::Clock as _;
use bailiwick_crypto::system::SystemClock;
use serde_json::json;

use crate::harness::{Agent, Mcp, Node, agent};
use crate::waiting::{Reached, SERVERS, call, ends};

/// What was measured.
pub(crate) struct Ended {
    /// From the call that ends the task to the end of each call as its caller sees it, in all rounds.
    pub(crate) seen: Vec<Duration>,
    /// From the call that ends the task to its answer, of each round.
    pub(crate) answered: Vec<Duration>,
}

pub(crate) fn measure(
    node: &Node,
    agent: &Agent,
    reached: &Arc<Reached>,
    children: usize,
    rounds: usize,
) -> Result<Ended> {
    let mut ended = Ended {
        seen: Vec::new(),
        answered: Vec::new(),
    };
    for _ in 0..rounds {
        let parent = open(node, None)?;
        let mut clients = Vec::with_capacity(children * SERVERS.len());
        for _ in 0..children {
            let child = open(node, Some(&parent))?;
            clients.extend(SERVERS.map(|server| Mcp::open(agent, server, &child)));
        }
        let came = reached.so_far();
        let seen = std::thread::scope(|scope| {
            let waiting: Vec<_> = clients.iter().map(|client| call(scope, client)).collect();
            reached.wait(came, clients.len())?;
            ensure!(
                !waiting.iter().any(ScopedJoinHandle::is_finished),
                "a call ended by itself"
            );
            let before = SystemClock.monotonic();
            node.api("POST", &format!("/v1/tasks/{parent}/complete"), None);
            let answered = SystemClock.monotonic().saturating_sub(before);
            ended.answered.push(answered);
            ends(waiting, before)
        })?;
        ended.seen.extend(seen);
        let mut live = node.items("/v1/leases?state=ACTIVE");
        // Those of other tasks are of the first server.
        live.retain(|lease| lease["server"] != SERVERS[0]);
        ensure!(live.is_empty(), "{live:#?}");
    }
    Ok(ended)
}

fn open(node: &Node, parent: Option<&str>) -> Result<String> {
    let grants = json!([{ "server": SERVERS, "tool": ["*"], "effects": ["read"] }]);
    let mut task = json!({
        "agent": agent::NAME,
        "user": "user:local:anna",
        "request": "wait",
        "scope": { "grants": grants },
    });
    if let (Some(parent), Some(task)) = (parent, task.as_object_mut()) {
        task.insert("parent".to_owned(), json!(parent));
    }
    let opened = node.api("POST", "/v1/tasks", Some(&task));
    Ok(opened["id"].as_str().context("no id")?.to_owned())
}
