//! How long `cargo xtask tidy` takes: it is typed often and runs with the tests, so it has to be quick.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Bench;
use super::figure::{Figure, Target};

pub(super) const BENCH: Bench = Bench { name: "tidy", run };

/// Odd, so that there is a middle one.
const RUNS: usize = 5;
const MOST_SECONDS: f64 = 2.0;

fn run(figure: &mut dyn FnMut(Figure) -> Result<()>) -> Result<()> {
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        times.push(once()?);
    }
    times.sort();
    let median = times.get(RUNS / 2).context("no run")?;
    figure(Figure::new(
        "tidy_p50",
        median.as_secs_f64(),
        "s",
        Target::AtMost(MOST_SECONDS),
    )?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures elapsed time and does not run across a suspend"
)]
fn once() -> Result<Duration> {
    let start = Instant::now();
    crate::tidy::findings(&crate::repository())?;
    Ok(start.elapsed())
}
