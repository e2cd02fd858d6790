//! One whole decision: arguments read and typed, context built, policies evaluated, reasons collected. Beside it, in turns,
//! Cedar's own authorizer on the same policies, entities and call. `cargo xtask bench decide` runs it.
//!
//! Without `--bench` (as `cargo test --benches` starts it) each is measured a few times only.

mod cedar;
#[path = "../../../../xtask/src/bench/timing.rs"]
mod timing;
mod world;

use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bailiwick_core::decision::Outcome;

use cedar::Cedar;
use timing::{percentile, time};
use world::World;

/// Policies, decisions to measure, and the p50 promised, in microseconds.
const SIZES: &[(usize, usize, f64)] = &[
    (10, 20_000, 20.0),
    (100, 10_000, 25.0),
    (1_000, 4_000, 25.0),
];
const MOST_P99: f64 = 100.0;
/// Doing Cedar's job with more of our own around it must not cost more than Cedar's way of doing it.
const MOST_OF_CEDAR: f64 = 1.0;
/// Both sides get the processor in turns of this many calls, so that a slow moment hits both.
const TURN: usize = 100;

fn main() -> Result<()> {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    for &(policies, calls, most_p50) in SIZES {
        let calls = if is_bench { calls } else { TURN };
        measure(policies, calls, most_p50)
            .with_context(|| format!("deciding at {policies} policies"))?;
    }
    Ok(())
}

fn measure(policies: usize, calls: usize, most_p50: f64) -> Result<()> {
    let world = World::new(policies)?;
    let cedar = Cedar::new(&world)?;
    for (path, allowed) in [("notes/plan.md", true), ("secrets/key.txt", false)] {
        let arguments = world::arguments(path)?;
        let outcome = world.decide(&arguments).outcome;
        ensure!(
            (outcome == Outcome::Allow) == allowed && cedar.allows(&world, &arguments)? == allowed,
            "{path}: {outcome:?}, which is not what the policies say"
        );
    }

    let arguments = world::arguments("notes/plan.md")?;
    let (mut ours, mut theirs) = (Vec::with_capacity(calls), Vec::with_capacity(calls));
    while ours.len() < calls {
        for _ in 0..TURN {
            let (took, decision) = time(|| world.decide(black_box(&arguments)));
            ensure!(decision.outcome == Outcome::Allow, "{decision:?}");
            ours.push(took);
        }
        for _ in 0..TURN {
            let (took, allows) = time(|| cedar.allows(&world, black_box(&arguments)));
            ensure!(allows?, "Cedar denies what it allowed before");
            theirs.push(took);
        }
    }

    let p50 = micros(&mut ours, 50)?;
    figure(&format!("decide_{policies}_p50"), p50, "us", most_p50)?;
    figure(
        &format!("decide_{policies}_p99"),
        micros(&mut ours, 99)?,
        "us",
        MOST_P99,
    )?;
    figure(
        &format!("decide_{policies}_p50_over_cedar"),
        p50 / micros(&mut theirs, 50)?,
        "x",
        MOST_OF_CEDAR,
    )
}

fn micros(samples: &mut [Duration], percent: usize) -> Result<f64> {
    let sample = percentile(samples, percent).context("nothing was measured")?;
    Ok(sample.as_secs_f64() * 1e6)
}

fn figure(name: &str, value: f64, unit: &str, most: f64) -> Result<()> {
    let mut out = std::io::stdout().lock();
    Ok(writeln!(
        out,
        "figure {name} {value} {unit} target <={most}"
    )?)
}
