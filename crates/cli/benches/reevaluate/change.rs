//! Calls of many tasks that go on when their tool is found to do more than they may.

use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bailiwick_core::Clock as _;
use bailiwick_crypto::system::SystemClock;
use serde_json::{Value, json};

use crate::harness::world::open_task;
use crate::harness::{Agent, DEADLINE, Mcp, Node, agent};
use crate::waiting::{PER_SESSION, Reached, SERVERS, call, ends};

/// What was measured.
pub(crate) struct Changed {
    /// From the call that makes the change to the end of each call as its caller sees it, in all rounds.
    pub(crate) seen: Vec<Duration>,
    /// Inside the node: from the commit of the change until everything it concerns was decided again, of each round.
    pub(crate) decided: Vec<Duration>,
}

pub(crate) fn measure(
    node: &Node,
    agent: &Agent,
    reached: &Arc<Reached>,
    calls: usize,
    rounds: usize,
) -> Result<Changed> {
    let [server, ..] = SERVERS;
    let mut changed = Changed {
        seen: Vec::new(),
        decided: Vec::new(),
    };
    let clients: Vec<Mcp<'_>> = (0..calls.div_ceil(PER_SESSION))
        .map(|_| {
            let task = open_task(node, agent::NAME, server, "wait");
            Mcp::open(agent, server, &task)
        })
        .collect();
    for _ in 0..rounds {
        let came = reached.so_far();
        let seen = std::thread::scope(|scope| {
            let all = clients.iter().cycle().take(calls);
            let waiting: Vec<_> = all.map(|client| call(scope, client)).collect();
            reached.wait(came, calls)?;
            ensure!(
                !waiting.iter().any(ScopedJoinHandle::is_finished),
                "a call ended by itself"
            );
            let metered = Metered::read(node)?;
            let before = SystemClock.monotonic();
            effect(node, server, "escalate")?;
            let seen = ends(waiting, before)?;
            changed.decided.push(metered.since(node)?);
            Ok::<_, anyhow::Error>(seen)
        })?;
        changed.seen.extend(seen);
        effect(node, server, "read")?;
    }
    Ok(changed)
}

/// Says what the tool does.
fn effect(node: &Node, server: &str, effect: &str) -> Result<()> {
    let tools = node.items(&format!("/v1/tools?server={server}"));
    let seen = tools.first().map(|tool| tool["seen"].clone());
    let accept = json!({ "effect": effect, "digest": seen.context("no tool")? });
    let path = format!("/v1/tools/{server}/wait/accept");
    let accepted: Value = node.api("POST", &path, Some(&accept));
    ensure!(accepted["state"] == "approved", "{accepted}");
    Ok(())
}

/// What `bailiwick_reevaluation_seconds` has counted.
struct Metered {
    seconds: f64,
    changes: f64,
}

impl Metered {
    fn read(node: &Node) -> Result<Self> {
        let text = node.request("GET", "/metrics", None).expect(200).text();
        let value = |name: &str| -> Result<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            Ok(line.with_context(|| name.to_owned())?.trim().parse()?)
        };
        Ok(Self {
            seconds: value("bailiwick_reevaluation_seconds_sum ")?,
            changes: value("bailiwick_reevaluation_seconds_count ")?,
        })
    }

    /// What the changes since then took, once they are counted: all but one of them take no time.
    fn since(&self, node: &Node) -> Result<Duration> {
        let until = SystemClock.monotonic() + DEADLINE;
        loop {
            let now = Self::read(node)?;
            if now.changes > self.changes {
                return Ok(Duration::from_secs_f64(now.seconds - self.seconds));
            }
            let late = SystemClock.monotonic() >= until;
            ensure!(!late, "no change was decided again");
            std::thread::yield_now();
        }
    }
}
