//! A million recorded decisions under another bundle, as a proposed change is tried: each input opened from its sealed JSON and
//! decided again, on as many threads as there are processors. `cargo bench -p bailiwick-policy --bench replay`.
//!
//! Without `--bench` a few hundred are replayed.

#[path = "../../../../xtask/src/bench/timing.rs"]
#[expect(dead_code, reason = "other benches use more of it")]
mod timing;
#[path = "../decide/world.rs"]
#[expect(dead_code, reason = "the other bench uses more of it")]
mod world;

use std::io::Write;

use anyhow::{Context, Result, ensure};
use bailiwick_core::decision::Outcome;
use bailiwick_policy::{Past, Recorded, Shift, Tally, Terms, replay};

use timing::time;
use world::World;

const DECISIONS: usize = 1_000_000;
const SMOKE: usize = 400;
/// Promised.
const MOST_SECONDS: f64 = 60.0;
/// Of the proposed bundle.
const POLICIES: usize = 1_000;

fn main() -> Result<()> {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let wanted = if is_bench { DECISIONS } else { SMOKE };
    let world = World::new(POLICIES)?;
    let paths = ["notes/plan.md", "secrets/key.txt"];
    let mut sealed = Vec::new();
    for caller in &world.callers {
        for path in paths {
            let arguments = world::arguments(path)?;
            let recorded = world.with(caller, &arguments, Recorded::of);
            sealed.push((recorded.sealed(), arguments));
        }
    }
    let threads = std::thread::available_parallelism()?.get();
    let share = wanted.div_ceil(threads);
    let (took, tally) = time(|| -> Result<Tally> {
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads)
                .map(|_| scope.spawn(|| replay(world.bundle(), pasts(&sealed, share))))
                .collect();
            let mut all = Tally::default();
            for one in running {
                let one = one.join().ok().context("a thread stopped")?;
                all.merge(one);
            }
            Ok(all)
        })
    });
    let tally = tally?;
    ensure!(
        tally.compared >= wanted as u64 && tally.unanswerable == 0,
        "not all were replayed: {} and {}",
        tally.compared,
        tally.unanswerable
    );
    // Half of the calls ask for a secret, and all are said to have been allowed.
    ensure!(
        tally.count(Shift::Denied) * 2 == tally.compared,
        "{:?}",
        tally.shifts
    );
    let mut out = std::io::stdout().lock();
    Ok(writeln!(
        out,
        "figure replay_{wanted} {} s target <={MOST_SECONDS}",
        took.as_secs_f64()
    )?)
}

/// So many decisions, each opened anew.
fn pasts(sealed: &[(Vec<u8>, String)], count: usize) -> impl Iterator<Item = Past> {
    // An even number, so that half of them is half.
    let count = count.next_multiple_of(2);
    let all = sealed.iter().cycle().take(count).enumerate();
    all.filter_map(|(number, (input, arguments))| {
        Some(Past {
            event: number.to_string(),
            input: Recorded::opened(input, arguments).ok()?,
            was: Terms {
                outcome: Outcome::Allow,
                obligations: Vec::new(),
            },
        })
    })
}
