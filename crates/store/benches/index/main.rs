//! What the index of the record costs beside a bare table of the same rows, and how fast a task's timeline is found in a day of a million
//! events. Prints one line per figure (`docs/reference/benchmarks.md`).

mod bare;
mod rows;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bailiwick_core::index::{Conditions, EventIndex, Key};
use bailiwick_store::LocalIndex;

/// Rows of one transaction.
const BATCH: u64 = 2_048;
/// Batches of one turn, and turns of each contestant.
const TURN: u64 = 8;
const TURNS: u64 = 12;
/// Events of the day in which a task is looked for.
const DAY: u64 = 1_000_000;
/// Timelines looked for.
const TIMELINES: u64 = 200;

fn main() -> Result<()> {
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    write(&dir.path().join("write"))?;
    read(&dir.path().join("read"))
}

/// In turns, so that the ratio holds on a busy machine.
fn write(dir: &std::path::Path) -> Result<()> {
    let index = LocalIndex::open(dir)?;
    let mut bare = bare::Bare::open(&dir.join("bare.sqlite"))?;
    let (mut indexed, mut stored) = (Duration::ZERO, Duration::ZERO);
    for turn in 0..TURNS {
        for batch in turn * TURN..(turn + 1) * TURN {
            let rows = rows::batch(batch * BATCH, BATCH);
            let start = now();
            bare.put(&rows)?;
            stored += start.elapsed();
            let start = now();
            index.put(rows::ORIGIN, batch * BATCH..(batch + 1) * BATCH, &rows)?;
            indexed += start.elapsed();
        }
    }
    let events = number(TURNS * TURN * BATCH)?;
    let rate = events / indexed.as_secs_f64();
    figure("index_events", rate, "events/s", ">=10000");
    let bare = events / stored.as_secs_f64();
    figure("index_over_bare_table", rate / bare, "x", ">=0.15");
    Ok(())
}

fn read(dir: &std::path::Path) -> Result<()> {
    let index = LocalIndex::open(dir)?;
    for batch in 0..DAY.div_ceil(BATCH) {
        let from = batch * BATCH;
        let rows = rows::batch(from, BATCH.min(DAY - from));
        index.put(rows::ORIGIN, from..from + rows.len() as u64, &rows)?;
    }
    let file = std::fs::read_dir(dir)?
        .filter_map(Result::ok)
        .filter(|file| file.file_name() != "catalog.db")
        .filter_map(|file| file.metadata().ok())
        .map(|about| about.len())
        .max()
        .context("no day was written")?;
    let mut times = Vec::new();
    for at in 0..TIMELINES {
        let task = rows::task(at * (DAY / TIMELINES));
        let asked = Conditions::default().and(Key::Task, &task)?;
        let start = now();
        let found = index.search(&asked, None, 1_000)?;
        times.push(start.elapsed());
        ensure!(
            found.hits.len() as u64 == rows::PER_TASK,
            "{} of {task}",
            found.hits.len()
        );
    }
    times.sort();
    let p50 = times.get(times.len() / 2).context("nothing was measured")?;
    figure("index_timeline_p50", p50.as_secs_f64() * 1e3, "ms", "<=5");
    figure(
        "index_bytes_per_event",
        number(file)? / number(DAY)?,
        "B",
        "<=512",
    );
    Ok(())
}

/// Counts here stay far below 2^32.
fn number(count: u64) -> Result<f64> {
    Ok(u32::try_from(count)?.into())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench measures with the clock of the machine"
)]
fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::print_stdout,
    reason = "figures are what a bench says on stdout"
)]
fn figure(name: &str, value: f64, unit: &str, target: &str) {
    println!("figure {name} {value} {unit} target {target}");
}
