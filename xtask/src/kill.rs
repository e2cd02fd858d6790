//! `cargo xtask kill`: ends a log under many writers with SIGKILL, again and again, each time at another moment, and then holds
//! every receipt that was given against the files. The receipts are kept here, outside of the process that is killed, and a third
//! process checks them.

pub(crate) mod build;
pub(crate) mod moments;
mod writer;

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use moments::Moments;
use writer::From;

/// What is done to the log.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Plan {
    /// How often the process is killed
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    kills: u32,
    /// Writers that each wait for a receipt before they send the next event
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    writers: u32,
    /// Chooses the moments; printed, so that a run can be repeated
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Build with optimizations
    #[arg(long)]
    release: bool,
}

/// A kill comes at most this long after the moment it is timed from.
const LATEST: Duration = Duration::from_millis(250);
/// One kill in so many is timed from the start of the process, the others from when its log is open.
const EARLY: u32 = 4;

pub(crate) fn run(plan: Plan, out: &mut dyn Write) -> Result<ExitCode> {
    let storm = build::example("storm", plan.release)?;
    let target = crate::repository().join("target");
    let dir = tempfile::Builder::new()
        .prefix("kill-")
        .tempdir_in(&target)
        .with_context(|| format!("no directory in {}", target.display()))?;
    let mut moments = Moments::of(plan.seed);
    let mut receipts = Vec::new();
    let mut least = 0;
    let (mut recovering, mut given) = (0_u32, 0_u64);
    for kill in 0..plan.kills {
        let from = if kill % EARLY == 0 {
            From::Start
        } else {
            From::Open
        };
        let moment = (from, moments.next(LATEST));
        let told = writer::storm_until(&storm, dir.path(), plan.writers, moment)
            .with_context(|| format!("run {kill} of seed {}", plan.seed))?;
        match told.found {
            Some(found) => ensure!(
                found >= least,
                "{least} events were acknowledged before kill {kill} of seed {}, and {found} were found after it",
                plan.seed
            ),
            None => recovering += 1,
        }
        least = least.max(told.size());
        given += told.receipts.len() as u64;
        receipts.extend(told.receipts);
    }
    ensure!(
        given > 0,
        "no kill came after a receipt: this machine is too slow for this test"
    );
    let verdict = check(&storm, dir.path(), &receipts)?;
    writeln!(
        out,
        "{} kills under {} writers (seed {}), {recovering} of them before the log was open: {verdict}",
        plan.kills, plan.writers, plan.seed
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Has every receipt held against the files, by a process that had no part in writing them.
fn check(storm: &Path, dir: &Path, receipts: &[writer::Receipt]) -> Result<String> {
    let mut child = Command::new(storm)
        .arg("check")
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("the checker did not start")?;
    let mut stdin = child.stdin.take().context("the checker has no stdin")?;
    let mut lines = String::new();
    for receipt in receipts {
        lines.push_str(&receipt.0);
        lines.push('\n');
    }
    // Where the checker has found a fault it reads no further: what it says counts.
    let _ = stdin.write_all(lines.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().context("the checker was lost")?;
    ensure!(
        output.status.success(),
        "the log did not keep its word; it is described above"
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
