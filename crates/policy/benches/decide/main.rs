//! One whole decision: arguments read and typed, context built, policies evaluated, reasons collected. Beside it, in turns,
//! Cedar's own authorizer on the same policies, entities and call, and `regorus` on the same rules in Rego. `cargo xtask bench decide`
//! runs it.
//!
//! Without `--bench` (as `cargo test --benches` starts it) each is measured a few times only.

mod cedar;
mod rego;
#[path = "../../../../xtask/src/bench/timing.rs"]
mod timing;
mod world;

use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bailiwick_core::decision::Outcome;

use cedar::Cedar;
use rego::Rego;
use timing::{percentile, time};
use world::World;

/// One size of bundle.
struct Size {
    policies: usize,
    /// Decisions to measure, ours and Cedar's: each of its takes time that grows with the bundle.
    calls: usize,
    of_cedar: usize,
    /// Promised, in microseconds.
    most_p50: f64,
    most_p99: Option<f64>,
}

const SIZES: [Size; 5] = [
    Size::new(10, 20_000, 20_000, 20.0, Some(100.0)),
    Size::new(100, 20_000, 10_000, 25.0, Some(100.0)),
    Size::new(1_000, 20_000, 2_000, 25.0, Some(100.0)),
    Size::new(10_000, 20_000, 200, 25.0, Some(100.0)),
    Size::new(100_000, 20_000, 20, 60.0, None),
];
/// Without `--bench`: enough to see that it works.
const SMOKE_POLICIES: usize = 100;
const SMOKE_CALLS: usize = 100;
/// Doing Cedar's job with more of our own around it must not cost more than Cedar's way of doing it.
const MOST_OF_CEDAR: f64 = 1.0;
/// Of the interpreter of another language, on the same rules: from a hundred policies on what it goes through is found here.
const MOST_OF_REGORUS: f64 = 2.0;
/// Promised of explaining a denial, which one decision in so many asks for here.
const MOST_EXPLAIN_MICROS: f64 = 2_000.0;
const EXPLAINED: usize = 50;
/// Both sides get the processor in this many turns, so that a slow moment hits both.
const TURNS: usize = 20;
/// Promised of loading and indexing [`LOADED`] policies.
const LOADED: usize = 10_000;
const MOST_LOAD_SECONDS: f64 = 3.0;
const MOST_LOAD_MIB: f64 = 60.0;

impl Size {
    const fn new(
        policies: usize,
        calls: usize,
        of_cedar: usize,
        most_p50: f64,
        most_p99: Option<f64>,
    ) -> Self {
        Self {
            policies,
            calls,
            of_cedar,
            most_p50,
            most_p99,
        }
    }
}

fn main() -> Result<()> {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    for size in SIZES {
        let policies = size.policies;
        let size = if is_bench {
            size
        } else if policies <= SMOKE_POLICIES {
            Size {
                calls: SMOKE_CALLS,
                of_cedar: SMOKE_CALLS,
                ..size
            }
        } else {
            break;
        };
        measure(&size).with_context(|| format!("deciding at {policies} policies"))?;
    }
    Ok(())
}

fn measure(size: &Size) -> Result<()> {
    let policies = size.policies;
    let world = World::new(policies)?;
    if policies == LOADED {
        let seconds = world.loading.took.as_secs_f64();
        figure(&format!("load_{policies}"), seconds, "s", MOST_LOAD_SECONDS)?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
        let mebibytes = world.loading.memory as f64 / f64::from(1 << 20);
        figure(
            &format!("load_{policies}_memory"),
            mebibytes,
            "MiB",
            MOST_LOAD_MIB,
        )?;
    }
    let cedar = Cedar::new(&world)?;
    let mut rego = (policies <= rego::MOST_POLICIES)
        .then(|| Rego::new(policies))
        .transpose()?;
    let first = world.callers.first().context("nobody calls")?;
    for (path, allowed) in [("notes/plan.md", true), ("secrets/key.txt", false)] {
        let arguments = world::arguments(path)?;
        let outcome = world.decide(first, &arguments).outcome;
        ensure!(
            (outcome == Outcome::Allow) == allowed
                && cedar.allows(&world, first, &arguments)? == allowed,
            "{path}: {outcome:?}, which is not what the policies say"
        );
        if let Some(rego) = &mut rego {
            let allows = rego.allows(&world, first, &arguments)?;
            ensure!(allows == allowed, "{path}: regorus decides {allows}");
        }
    }

    let arguments = world::arguments("notes/plan.md")?;
    let mut callers = world.callers.iter().cycle();
    let (mut ours, mut theirs, mut regos) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        for caller in callers.by_ref().take(size.calls / TURNS) {
            let (took, decision) = time(|| world.decide(caller, black_box(&arguments)));
            ensure!(decision.outcome == Outcome::Allow, "{decision:?}");
            ours.push(took);
        }
        for caller in callers.by_ref().take(size.of_cedar / TURNS) {
            let (took, allows) = time(|| cedar.allows(&world, caller, black_box(&arguments)));
            ensure!(allows?, "Cedar denies what it allowed before");
            theirs.push(took);
        }
        if let Some(rego) = &mut rego {
            for caller in callers.by_ref().take(size.of_cedar / TURNS) {
                let (took, allows) = time(|| rego.allows(&world, caller, black_box(&arguments)));
                ensure!(allows?, "regorus denies what it allowed before");
                regos.push(took);
            }
        }
    }

    let p50 = micros(&mut ours, 50)?;
    figure(&format!("decide_{policies}_p50"), p50, "us", size.most_p50)?;
    if let Some(most) = size.most_p99 {
        let p99 = micros(&mut ours, 99)?;
        figure(&format!("decide_{policies}_p99"), p99, "us", most)?;
    }
    figure(
        &format!("decide_{policies}_p50_over_cedar"),
        p50 / micros(&mut theirs, 50)?,
        "x",
        MOST_OF_CEDAR,
    )?;
    if !regos.is_empty() {
        figure(
            &format!("decide_{policies}_p50_over_regorus"),
            p50 / micros(&mut regos, 50)?,
            "x",
            MOST_OF_REGORUS,
        )?;
    }
    explain(size, &world)
}

/// A denial explained: what held, and changes that were each tried before they are named.
fn explain(size: &Size, world: &World) -> Result<()> {
    let denied = world::arguments("secrets/key.txt")?;
    let mut times = Vec::new();
    for caller in world.callers.iter().cycle().take(size.calls / EXPLAINED) {
        let (took, explanation) = time(|| world.explain(caller, black_box(&denied)));
        ensure!(!explanation.would_allow.is_empty(), "{explanation:?}");
        times.push(took);
    }
    let name = format!("explain_{}_p50", size.policies);
    figure(&name, micros(&mut times, 50)?, "us", MOST_EXPLAIN_MICROS)
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
