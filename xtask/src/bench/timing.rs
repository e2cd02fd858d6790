//! How benches take times and read them. The bench targets of the crates compile this very file (`#[path]`), so that a p50
//! means the same everywhere.

use std::time::{Duration, Instant};

/// Runs `work`; how long it took, and what it gave.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures elapsed time and does not run across a suspend"
)]
pub(crate) fn time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

/// The smallest sample that at least `percent` of all do not exceed (nearest rank); none if there is no sample.
pub(crate) fn percentile(samples: &mut [Duration], percent: usize) -> Option<Duration> {
    samples.sort_unstable();
    let rank = (samples.len() * percent).div_ceil(100);
    samples.get(rank.saturating_sub(1)).copied()
}
