//! How long `cargo xtask tidy` takes: it is typed often and runs with the tests, so it has to be quick.

use anyhow::{Context, Result};

use super::Bench;
use super::figure::{Figure, Target};
use super::timing::{percentile, time};

pub(super) const BENCH: Bench = Bench { name: "tidy", run };

/// Odd, so that there is a middle one.
const RUNS: usize = 5;
const MOST_SECONDS: f64 = 2.0;

fn run(figure: &mut dyn FnMut(Figure) -> Result<()>) -> Result<()> {
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let (took, findings) = time(|| crate::tidy::findings(&crate::repository()));
        findings?;
        times.push(took);
    }
    let median = percentile(&mut times, 50).context("no run")?;
    figure(Figure::new(
        "tidy_p50",
        median.as_secs_f64(),
        "s",
        Target::AtMost(MOST_SECONDS),
    )?)
}
