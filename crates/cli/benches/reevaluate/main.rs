//! How long it takes until a change has cut what it forbids: a thousand calls that go on, and a task with fifty tasks below it, each with
//! four leases and a call on each. The node is a process of its own; callers and tool servers share this one.
//! `cargo xtask bench reevaluate` runs it.
//!
//! Without `--bench` (as `cargo test --benches` starts it) each is measured with a few only.

#[cfg(test)]
mod cascade;
#[cfg(test)]
mod change;
#[cfg(test)]
#[path = "../gateway/harness.rs"]
#[expect(dead_code, reason = "the bench needs a part of what the tests share")]
mod harness;
#[path = "../gateway/http.rs"]
#[expect(dead_code, reason = "the bench needs one end of it")]
mod http;
#[path = "../../../../xtask/src/bench/timing.rs"]
#[expect(dead_code, reason = "what is timed here runs in other threads")]
mod timing;
#[cfg(test)]
mod waiting;

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};

use harness::{Agent, Node, Setup};
use timing::percentile;

/// From the change to the last thing cut; promised of the p99, and of a cascade as a whole.
const MOST: Duration = Duration::from_millis(100);

fn main() -> Result<()> {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    bailiwick_crypto::tls::install_default_provider();
    // Below the target directory, that is on the disk that holds the clone.
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let node = Node::at(home, &Setup::default());
    let agent = Agent::register(&node);
    let servers = waiting::furnish(&node)?;

    let (calls, rounds) = if is_bench { (1_000, 5) } else { (8, 2) };
    let mut changed = change::measure(&node, &agent, &servers, calls, rounds)?;
    for percent in [50, 99, 100] {
        let seen = percentile(&mut changed.seen, percent).context("no call was cut")?;
        figure(&named("reevaluate_cut", percent), seen, MOST)?;
    }
    let longest = changed.decided.into_iter().max().context("no round")?;
    figure("reevaluate_decided_max", longest, MOST)?;

    let (children, rounds) = if is_bench { (50, 5) } else { (2, 1) };
    let mut ended = cascade::measure(&node, &agent, &servers, children, rounds)?;
    let longest = ended.answered.into_iter().max().context("no round")?;
    figure("cascade_answered_max", longest, MOST)?;
    for percent in [50, 99, 100] {
        let seen = percentile(&mut ended.seen, percent).context("no call was cut")?;
        figure(&named("cascade_cut", percent), seen, MOST)?;
    }
    Ok(())
}

fn named(what: &str, percent: usize) -> String {
    match percent {
        100 => format!("{what}_max"),
        percent => format!("{what}_p{percent}"),
    }
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
