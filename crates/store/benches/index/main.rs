//! What the index of the record costs beside a bare table of the same rows, and how fast the events of a task and of an agent are found in a
//! day of a million. Prints one line per figure (`docs/reference/benchmarks.md`).

mod bare;
mod rows;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bailiwick_core::Secret;
use bailiwick_core::index::{Conditions, EventIndex, Key};
use bailiwick_store::LocalIndex;

/// Rows of one transaction.
const BATCH: u64 = 2_048;
/// Batches of one turn, and turns of each contestant.
const TURN: u64 = 8;
const TURNS: u64 = 12;
/// Events of the day in which a task is looked for.
const DAY: u64 = 1_000_000;
/// Rows of a transaction when it is only filled.
const BULK: u64 = 16_384;
/// Timelines and blast radii looked for.
const TIMELINES: u64 = 200;
const RADII: u64 = 20;
/// More than there are.
const MOST: usize = 1_000_000;

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
    let index = LocalIndex::open(dir, key())?;
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
    let index = LocalIndex::open(dir, key())?;
    for batch in 0..DAY.div_ceil(BULK) {
        let from = batch * BULK;
        let rows = rows::batch(from, BULK.min(DAY - from));
        index.put(rows::ORIGIN, from..from + rows.len() as u64, &rows)?;
    }
    let file = std::fs::read_dir(dir)?
        .filter_map(Result::ok)
        .filter(|file| file.file_name() != "catalog.db")
        .filter_map(|file| file.metadata().ok())
        .map(|about| about.len())
        .max()
        .context("no day was written")?;
    figure(
        "index_bytes_per_event",
        number(file)? / number(DAY)?,
        "B",
        "<=512",
    );
    // As a node finds the day after a start: it is added up once before anything is answered from it.
    drop(index);
    let index = LocalIndex::open(dir, key())?;
    let start = now();
    while index.check()? {}
    let rate = number(DAY)? / start.elapsed().as_secs_f64();
    figure("index_check", rate, "events/s", ">=100000");
    let p50 = middle(TIMELINES, |at| timeline(&index, at * (DAY / TIMELINES)))?;
    figure("index_timeline_p50", p50.as_secs_f64() * 1e3, "ms", "<=5");
    let p50 = middle(RADII, |at| radius(&index, at))?;
    figure("index_radius_p50", p50.as_secs_f64() * 1e3, "ms", "<=100");
    Ok(())
}

/// The questions from which the story of a task is told, in the order in which they are asked (`bailiwick_audit::timeline::trace`).
fn timeline(index: &LocalIndex, event: u64) -> Result<()> {
    let asked = |pairs: &[(Key, &str)]| -> Result<Vec<u64>> {
        let mut conditions = Conditions::default();
        for (key, value) in pairs {
            conditions = conditions.and(*key, value)?;
        }
        known(index)?;
        Ok(index.places(rows::ORIGIN, &conditions, 0, MOST)?)
    };
    let task = rows::task(event);
    let found = asked(&[(Key::Task, &task)])?;
    ensure!(
        found.len() as u64 == rows::PER_TASK,
        "{} of {task}",
        found.len()
    );
    let ids: Vec<_> = found.iter().map(|at| rows::id(*at)).collect();
    ensure!(index.linked(rows::ORIGIN, &ids)?.len() >= found.len());
    let instance = rows::instance(event);
    asked(&[(Key::Type, "instance"), (Key::Instance, &instance)])?;
    for kind in ["fence", "log.restored", "log.recovered"] {
        asked(&[(Key::Type, kind)])?;
    }
    known(index)
}

/// The questions from which the blast radius of an agent over the day is told (`bailiwick_control::audit::Fold::questions`).
fn radius(index: &LocalIndex, at: u64) -> Result<()> {
    let agent = rows::agent(at);
    let of = |pairs: &[(Key, &str)]| -> Result<usize> {
        let mut conditions = Conditions::default();
        for (key, value) in pairs {
            conditions = conditions.and(*key, value)?;
        }
        known(index)?;
        Ok(index.places(rows::ORIGIN, &conditions, 0, MOST)?.len())
    };
    let found = of(&[(Key::Agent, &agent)])? as u64;
    ensure!(found == DAY / rows::AGENTS, "{found} of {agent}");
    of(&[(Key::Agent, &agent), (Key::Type, "lease")])?;
    for kind in ["tool.pinned", "tool.drifted", "server.changed", "policy"] {
        of(&[(Key::Type, kind)])?;
    }
    known(index)
}

/// What is asked before and after each question.
fn known(index: &LocalIndex) -> Result<()> {
    let unknown = index.unknown(rows::ORIGIN)?;
    ensure!(unknown.len() == 1, "{unknown:?}");
    Ok(())
}

/// The middle of so many times.
fn middle(count: u64, work: impl Fn(u64) -> Result<()>) -> Result<Duration> {
    let mut times = Vec::new();
    for at in 0..count {
        let start = now();
        work(at)?;
        times.push(start.elapsed());
    }
    times.sort();
    let middle = times.get(times.len() / 2);
    middle.copied().context("nothing was measured")
}

fn key() -> Secret<[u8; 32]> {
    Secret::new([3; 32])
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
