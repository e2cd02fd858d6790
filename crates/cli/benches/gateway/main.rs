//! What a call costs through the gateway more than straight to the tool server: token and DPoP proof, ten policies, intent and
//! result on record, one connection. Direct, with the record in memory, and with the record on disk take turns.
//! `cargo xtask bench gateway` runs it.
//!
//! Without `--bench` (as `cargo test --benches` starts it) each is measured a few times only.

#[path = "../../../audit/benches/record/bare_sync.rs"]
mod bare_sync;
mod caller;
mod echo;
#[cfg(test)]
#[expect(dead_code, reason = "the bench needs a part of what the tests share")]
mod harness;
mod http;
mod proofs;
#[path = "../../../../xtask/src/bench/timing.rs"]
mod timing;

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tempfile::TempDir;

use bare_sync::BareSync;
use caller::{Authority, Caller};
use harness::world::{add_server, open_task, publish};
use harness::{Agent, Node, Setup, agent, node};
use timing::{percentile, time};

/// Promised where a direct call takes [`DIRECT`]; on a slower machine as much more as the direct call takes.
const MOST_ADDED: Duration = Duration::from_micros(50);
const DIRECT: Duration = Duration::from_micros(60);
/// A call waits for two events to be durable, each of which may take this much of a bare sync, and this much more on a
/// disk quicker than [`QUICK_DISK`] (as the bench `record` has it).
const MOST_OF_BARE_SYNC: f64 = 1.10;
const MOST_OVER_QUICK_SYNC: Duration = Duration::from_micros(20);
const QUICK_DISK: Duration = Duration::from_micros(200);
/// A proof costs one verification; the rest of it may take half as long again.
const MOST_OF_VERIFICATION: f64 = 1.5;
/// Calls in one turn.
const TURN: usize = 50;

fn main() -> Result<()> {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (warm_up, turns) = if is_bench { (10, 40) } else { (0, 1) };

    let tool_server = echo::start()?;
    // Below the target directory, that is on the disk that holds the clone.
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut bare = BareSync::new(&disk.path().join("bare-sync"))?;
    let on_disk = Governed::start(tempfile::tempdir_in(disk.path())?, &tool_server)?;
    let in_memory = tempfile::tempdir_in(MEMORY)
        .with_context(|| format!("{MEMORY} is where a record in memory is kept"))?;
    let in_memory = Governed::start(in_memory, &tool_server)?;

    let mut direct = Caller::open(&tool_server, "/mcp", None)?;
    let (mut via_disk, mut via_memory) = (on_disk.caller()?, in_memory.caller()?);
    let mut times = Times::default();
    for turn in 0..warm_up + turns {
        for _ in 0..TURN {
            times.direct.push(direct.call()?);
        }
        for _ in 0..TURN {
            times.memory.push(via_memory.call()?);
        }
        for _ in 0..TURN {
            times.disk.push(via_disk.call()?);
        }
        for _ in 0..TURN {
            let (took, synced) = time(|| bare.write());
            synced?;
            times.sync.push(took);
        }
        if turn < warm_up {
            times = Times::default();
        }
    }
    times.report(&proofs::measure(TURN * turns)?)
}

const MEMORY: &str = "/dev/shm";

#[derive(Default)]
struct Times {
    direct: Vec<Duration>,
    memory: Vec<Duration>,
    disk: Vec<Duration>,
    sync: Vec<Duration>,
}

impl Times {
    fn report(&mut self, proofs: &proofs::Cost) -> Result<()> {
        let direct = median(&mut self.direct)?;
        let sync = median(&mut self.sync)?;
        figure("gateway_direct_p50", direct, DIRECT)?;
        figure(
            "gateway_dpop_proof_p50",
            proofs.proof,
            proofs.verification.mul_f64(MOST_OF_VERIFICATION),
        )?;
        let slower = direct.max(DIRECT).div_duration_f64(DIRECT);
        let most_added = MOST_ADDED.mul_f64(slower);
        let mut event = sync.mul_f64(MOST_OF_BARE_SYNC);
        if sync < QUICK_DISK {
            event += MOST_OVER_QUICK_SYNC;
        }
        let places = [
            ("in_memory", &mut self.memory, Duration::ZERO),
            ("on_disk", &mut self.disk, event * 2),
        ];
        for (place, via, most_recording) in places {
            let via = median(via)?;
            let most = most_added + most_recording;
            figure(
                &format!("gateway_record_{place}_p50"),
                via,
                direct + proofs.proof + most,
            )?;
            figure(
                &format!("gateway_record_{place}_added"),
                via.saturating_sub(direct + proofs.proof),
                most,
            )?;
        }
        Ok(())
    }
}

/// A node with one agent, this process, and one tool server behind it.
struct Governed {
    node: Node,
    agent: Agent,
}

impl Governed {
    fn start(home: TempDir, tool_server: &str) -> Result<Self> {
        let node = with_product_defaults(Node::at(home, &Setup::default()))?;
        let agent = Agent::register(&node);
        let server = json!({
            "name": SERVER,
            "transport": {"kind": "http", "url": format!("http://{tool_server}/mcp")},
            "trust": "reviewed",
        });
        add_server(&node, &server, |_| "read");
        let files = json!({
            "bundle.toml": "name = \"bench\"\n",
            "bench.cedar": include_str!("policies.cedar"),
        });
        publish(&node, &files);
        Ok(Self { node, agent })
    }

    fn caller(&self) -> Result<Caller<'_>> {
        let task = open_task(&self.node, agent::NAME, SERVER, "say it again");
        let token = self.agent.token(&task, SERVER).ok().context("no token")?;
        let gateway = self.node.ready("gateway");
        let host = gateway.strip_prefix("http://").context("an http URL")?;
        let authority = Authority {
            agent: &self.agent,
            token,
            nonce: None,
        };
        Caller::open(host, &format!("/mcp/{SERVER}"), Some(authority))
    }
}

/// The tests' node has small segments, publishes often and logs much. It goes on as a user's node does; what is left of its
/// small segments is used up while the bench warms up.
fn with_product_defaults(mut node: Node) -> Result<Node> {
    node.stop();
    let config = node::config_of(node.home());
    let text = std::fs::read_to_string(&config)?;
    let tests_only = ["segment", "publish_every", "filter"];
    let kept = text
        .lines()
        .filter(|line| !tests_only.iter().any(|key| line.starts_with(key)));
    std::fs::write(&config, kept.collect::<Vec<_>>().join("\n"))?;
    node.start_again();
    Ok(node)
}

const SERVER: &str = "echo";

fn median(samples: &mut [Duration]) -> Result<Duration> {
    percentile(samples, 50).context("nothing was measured")
}

fn figure(name: &str, value: Duration, most: Duration) -> Result<()> {
    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
    let mut out = std::io::stdout().lock();
    Ok(writeln!(
        out,
        "figure {name} {} us target <={}",
        micros(value),
        micros(most)
    )?)
}
