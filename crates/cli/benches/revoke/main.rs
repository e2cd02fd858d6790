//! How long a revocation takes to be everywhere: 200 enforcement points that follow the feed over HTTP, 200 open MCP streams, one point that is
//! dead; and what a token with its proof costs to verify. The node is a process of its own; points and clients share this one.
//! `cargo xtask bench revoke` runs it.
//!
//! Without `--bench` (as `cargo test --benches` starts it) each is measured with a few only.

#[cfg(test)]
#[path = "../gateway/harness.rs"]
#[expect(dead_code, reason = "the bench needs a part of what the tests share")]
mod harness;
#[cfg(test)]
mod points;
#[cfg(test)]
mod streams;
#[path = "../../../../xtask/src/bench/timing.rs"]
mod timing;
mod tokens;

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};

use harness::Setup;
use harness::world::World;
use timing::percentile;

/// From the call to a point that has applied the fence.
const MOST_APPLIED: Duration = Duration::from_millis(50);
/// The same beyond what the commit took.
const MOST_ABOVE_DURABLE: Duration = Duration::from_millis(25);
/// From the call to the end of a stream at its client.
const MOST_CUT: Duration = Duration::from_millis(100);
/// The answer of an order that waits for a point which is dead.
const MOST_WITH_DEAD: Duration = Duration::from_millis(2_400);
/// A token and a proof are two signatures.
const MOST_OF_TWO: f64 = 1.3;

fn main() -> Result<()> {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (many, rounds) = if is_bench { (200, 60) } else { (3, 2) };
    bailiwick_crypto::tls::install_default_provider();
    // Below the target directory, that is on the disk that holds the clone.
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let world = World::at(home, &Setup::default());

    let mut applied = points::measure(&world, many, rounds)?;
    let p99 = |samples: &mut [Duration]| percentile(samples, 99).context("nothing was measured");
    let (all, durable) = (p99(&mut applied.all)?, p99(&mut applied.durable)?);
    figure("revoke_applied_p99", all, MOST_APPLIED)?;
    figure(
        "revoke_applied_p99_above_durable_p99",
        all.saturating_sub(durable),
        MOST_ABOVE_DURABLE,
    )?;
    let dead = points::with_a_dead_one(&world, if is_bench { 5 } else { 1 })?;
    figure(
        "revoke_wait_all_with_a_dead_point_max",
        dead,
        MOST_WITH_DEAD,
    )?;

    let mut cut = streams::measure(&world, many, if is_bench { 3 } else { 1 })?;
    figure("revoke_streams_cut_p99", p99(&mut cut)?, MOST_CUT)?;

    let cost = tokens::measure(&world, if is_bench { 4_000 } else { 20 })?;
    figure(
        "token_and_proof_p50",
        cost.both,
        cost.verification.mul_f64(2.0 * MOST_OF_TWO),
    )
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
