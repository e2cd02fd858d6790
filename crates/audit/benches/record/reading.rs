//! What reading costs: a log checked from its files as `bailiwick audit verify` does, and recovered at start from a write-ahead log
//! of which nothing is in tiles any more. On one core.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use bailiwick_audit::verify::{Verdict, verify};
use bailiwick_audit::{Class, Log, Options, Recorder};
use bailiwick_core::event::{Event, EventType};
use tokio::runtime::Runtime;

use crate::event::Template;
use crate::timing::time;

/// Events that are read.
const EVENTS: u64 = 200_000;
const TRIAL: u64 = 1_000;
/// Events that are recorded at a time.
const AT_ONCE: u64 = 4_000;
/// Large enough for all of them, so that none of it is retired.
const SEGMENT: u64 = 512 << 20;

pub(crate) fn measure(runtime: &Runtime, dir: &Path, is_bench: bool) -> Result<()> {
    let events = if is_bench { EVENTS } else { TRIAL };
    fill(runtime, dir, events)?;
    checked(dir, events)?;
    recovered(dir, events)
}

fn open(dir: &Path) -> Result<Log> {
    Ok(Log::open(Options {
        segment_size: SEGMENT,
        ..crate::options(dir)?
    })?)
}

/// A closed log of so many events: all in its write-ahead log, in tiles and under the checkpoint.
fn fill(runtime: &Runtime, dir: &Path, events: u64) -> Result<()> {
    let log = open(dir)?;
    let template = Template::new()?;
    while log.size() < events {
        let recorded: Vec<_> = (0..AT_ONCE.min(events - log.size()))
            .map(|_| {
                // Intents without results would each be answered at the start.
                let event = Event {
                    kind: EventType::ToolRefused,
                    ..template.event()
                };
                log.record(event, Class::Grant)
            })
            .collect();
        runtime.block_on(async {
            for recorded in recorded {
                recorded.await?;
            }
            anyhow::Ok(())
        })?;
    }
    log.close();
    Ok(())
}

/// Every leaf, tile and hash against the signed root.
fn checked(dir: &Path, events: u64) -> Result<()> {
    let keys = [crate::signer()?.verifier()?];
    // Published files alone: with its write-ahead log every event would be read twice.
    let wal = dir.join("wal");
    let aside = dir.with_extension("wal");
    fs::rename(&wal, &aside)?;
    let (took, verdict) = time(|| verify(dir, &keys));
    fs::rename(&aside, &wal)?;
    let Verdict::Proven(report) = verdict else {
        bail!("{verdict}");
    };
    ensure!(report.checkpoint.size >= events, "{report:?}");
    figure("verify", report.checkpoint.size, took, 200_000)
}

/// The start of a node whose tiles are gone.
fn recovered(dir: &Path, events: u64) -> Result<()> {
    for name in ["tile", "keys", "payload"] {
        fs::remove_dir_all(dir.join(name))?;
    }
    let (took, log) = time(|| open(dir));
    let log = log?;
    ensure!(log.size() >= events, "{} of {events}", log.size());
    figure("recover", log.size(), took, 150_000)
}

fn figure(name: &str, leaves: u64, took: Duration, target: u32) -> Result<()> {
    let rate = f64::from(u32::try_from(leaves)?) / took.as_secs_f64();
    crate::figure(name, rate, "leaves/s", &format!(">={target}"))
}
