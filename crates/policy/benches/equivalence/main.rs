//! P2 over a million random decisions: found by index is the same as evaluating every policy in full, and every subset of
//! discharged tokens decides as plain Cedar does on the rewritten bundle. `cargo bench -p bailiwick-policy --bench equivalence`.
//!
//! Bundles, calls and Cedar's part are those of the tests (`tests/policy/oracle.rs`). The first difference ends it with an
//! error that holds bundle, call and decision. Without `--bench` it compares some hundreds only.

#[path = "../../tests/policy/oracle.rs"]
#[expect(clippy::unwrap_used, reason = "written for tests, which may panic")]
mod oracle;
#[path = "../../tests/policy/world.rs"]
#[expect(clippy::unwrap_used, reason = "written for tests, which may panic")]
#[expect(dead_code, reason = "the tests use more of it")]
mod world;

use std::io::{Read, Write};

use anyhow::{Context, Result, bail, ensure};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Decisions to compare.
const DECISIONS: usize = 1_000_000;
const SMOKE: usize = 300;
/// Calls of each bundle.
const CALLS: usize = 16;
/// A bundle has fewer policies than this.
const POLICIES: usize = 24;

fn main() -> Result<()> {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let wanted = if is_bench { DECISIONS } else { SMOKE };
    let threads = std::thread::available_parallelism()?.get();
    let share = wanted.div_ceil(threads);
    let compared = std::thread::scope(|scope| -> Result<usize> {
        let running: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| compare(share)))
            .collect();
        let mut all = 0;
        for one in running {
            all += one.join().ok().context("a thread stopped")??;
        }
        Ok(all)
    })?;
    ensure!(compared >= wanted, "fewer than {wanted}");
    let mut out = std::io::stdout().lock();
    Ok(writeln!(
        out,
        "figure decisions_as_in_full {compared} decisions target >={wanted}"
    )?)
}

/// Compares so many decisions, or a few more.
fn compare(wanted: usize) -> Result<usize> {
    // Each run looks elsewhere; a difference is printed in full, so that no seed is needed to see it again.
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed()?);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let bundles = proptest::collection::vec(oracle::policy(), 0..POLICIES);
    let calls = proptest::collection::vec(oracle::given(), CALLS);
    let mut compared = 0_usize;
    while compared < wanted {
        let bundle = sample(&bundles, &mut runner)?;
        let calls = sample(&calls, &mut runner)?;
        if let Err(difference) = oracle::compare(&bundle, &calls) {
            bail!("after {compared} decisions that are the same: {difference}");
        }
        compared += CALLS * oracle::SUBSETS;
    }
    Ok(compared)
}

fn sample<S: Strategy>(strategy: &S, runner: &mut TestRunner) -> Result<S::Value> {
    let tree = strategy.new_tree(runner);
    let tree = tree.map_err(|reason| anyhow::anyhow!("nothing generated: {reason}"))?;
    Ok(tree.current())
}

fn seed() -> Result<[u8; 32]> {
    let mut seed = [0; 32];
    let mut source = std::fs::File::open("/dev/urandom").context("/dev/urandom")?;
    source.read_exact(&mut seed)?;
    Ok(seed)
}
