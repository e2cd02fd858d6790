//! What durability costs: events per second at 256 writers beside a bare group commit of as many bytes, beside `SQLite` that commits
//! each event, and beside the audit device of `OpenBao`; one event of one writer beside a bare `fdatasync`, and the slowest of sixteen
//! writers. Log and baselines take turns on one file system. `cargo xtask bench audit` runs it.
//!
//! Without `--bench` (as `cargo test --benches` starts it) each is measured once, briefly.

mod bare_commit;
mod bare_sync;
mod event;
mod openbao;
mod reading;
mod sqlite;
#[path = "../../../../xtask/src/bench/timing.rs"]
mod timing;

use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bailiwick_audit::seal::Kek;
use bailiwick_audit::{Class, Log, Options, Recorder};
use bailiwick_core::{Clock, Secret};
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::note::NoteSigner;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use tokio::runtime::Runtime;

use bare_commit::BareCommit;
use bare_sync::BareSync;
use event::Template;
use timing::{percentile, time};

const WRITERS: usize = 256;
const LEAST_OF_BARE_COMMIT: f64 = 0.5;
const LEAST_OF_SQLITE: f64 = 20.0;
/// Writers whose slowest events are looked at, and how slow those may be beside the slowest bare syncs.
const FEW_WRITERS: usize = 16;
const MOST_OF_SLOW_SYNCS: f64 = 3.0;
const MOST_OF_BARE_SYNC: f64 = 1.10;
/// On a disk quicker than [`QUICK_DISK`] one event may take this much longer than the bare sync.
const MOST_OVER_QUICK_SYNC: Duration = Duration::from_micros(20);
const QUICK_DISK: Duration = Duration::from_micros(200);

/// How much is measured.
struct Extent {
    /// Turns of log and baseline each; odd, so that there is a middle one.
    turns: usize,
    turn: Duration,
    /// Single events, and the longest that they may take together.
    singles: usize,
    longest: Duration,
}

const BENCH: Extent = Extent {
    turns: 5,
    turn: Duration::from_millis(1_500),
    singles: 2_000,
    longest: Duration::from_secs(10),
};
const TRIAL: Extent = Extent {
    turns: 1,
    turn: Duration::from_millis(50),
    singles: 20,
    longest: Duration::from_secs(1),
};

fn main() -> Result<()> {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let extent = if is_bench { BENCH } else { TRIAL };
    // Below the target directory, that is on the disk that holds the clone: a temporary directory is often in memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let log = Arc::new(Log::open(options(&dir.path().join("log"))?)?);
    let template = Template::new()?;
    throughput(&runtime, &log, &template, dir.path(), &extent)?;
    latency(&runtime, &log, &template, dir.path(), &extent)?;
    slowest(&runtime, &log, &template, dir.path(), &extent)?;
    log.close();
    reading::measure(&runtime, &dir.path().join("read"), is_bench)?;
    openbao::reference(dir.path(), extent.turn, is_bench)
}

fn signer() -> Result<NoteSigner> {
    let key = Ed25519Key::from_seed(&Secret::new([7; 32]))?;
    Ok(NoteSigner::new("example.org/node-1", key)?)
}

fn options(dir: &Path) -> Result<Options> {
    let kek = Kek {
        id: 1,
        key: Secret::new([9; 32]),
    };
    Ok(Options::new(
        dir.to_owned(),
        "node-1".to_owned(),
        signer()?,
        kek,
        Arc::new(SystemClock),
        Arc::new(SystemRng),
    ))
}

/// The ratio of each pair of turns; the middle one counts.
fn throughput(
    runtime: &Runtime,
    log: &Arc<Log>,
    template: &Arc<Template>,
    dir: &Path,
    extent: &Extent,
) -> Result<()> {
    let stored = template.stored_bytes(runtime, log)?;
    let bare = Arc::new(BareCommit::start(&dir.join("bare-commit"))?);
    let mut sqlite = sqlite::PerEvent::open(&dir.join("events.db"))?;
    let (mut ratios, mut rates, mut of_sqlite) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..extent.turns {
        let of_log = rate(runtime, WRITERS, extent.turn, {
            let (log, template) = (log.clone(), template.clone());
            move || {
                let recording = log.record(template.event(), Class::Grant);
                async move {
                    recording.await?;
                    Ok(())
                }
            }
        })?;
        settle(runtime, log)?;
        let of_bare = rate(runtime, WRITERS, extent.turn, {
            let bare = bare.clone();
            let bytes = vec![0xa5; stored];
            move || bare.append(bytes.clone())
        })?;
        ratios.push(of_log / of_bare);
        of_sqlite.push(of_log / sqlite.rate(extent.turn, stored)?);
        rates.push(of_log);
    }
    let ratio = middle(&mut ratios)?;
    let rate = middle(&mut rates)?;
    figure(
        "record_256_writers",
        rate,
        "events/s",
        &format!(">={}", LEAST_OF_BARE_COMMIT * rate / ratio),
    )?;
    figure(
        "record_256_writers_over_bare_commit",
        ratio,
        "x",
        &format!(">={LEAST_OF_BARE_COMMIT}"),
    )?;
    figure(
        "record_256_writers_over_sqlite_full",
        middle(&mut of_sqlite)?,
        "x",
        &format!(">={LEAST_OF_SQLITE}"),
    )
}

/// Events per second of writers that each wait for one to be durable before they send the next.
fn rate<F>(
    runtime: &Runtime,
    writers: usize,
    turn: Duration,
    write: impl Fn() -> F + Clone + Send + 'static,
) -> Result<f64>
where
    F: Future<Output = Result<()>> + Send,
{
    let over = Arc::new(AtomicBool::new(false));
    let (took, written) = time(|| {
        runtime.block_on(async {
            let writers: Vec<_> = (0..writers)
                .map(|_| {
                    let (over, write) = (over.clone(), write.clone());
                    tokio::spawn(async move {
                        let mut written = 0_u32;
                        while !over.load(Ordering::Relaxed) {
                            write().await?;
                            written += 1;
                        }
                        anyhow::Ok(written)
                    })
                })
                .collect();
            tokio::time::sleep(turn).await;
            over.store(true, Ordering::Relaxed);
            let mut written = 0;
            for writer in writers {
                written += writer.await??;
            }
            anyhow::Ok(written)
        })
    });
    Ok(f64::from(written?) / took.as_secs_f64())
}

/// Waits until the log has published what it holds, so that its work in the background does not slow the baseline.
fn settle(runtime: &Runtime, log: &Log) -> Result<()> {
    let (mut published, size) = (log.published(), log.size());
    runtime.block_on(async {
        let until = published.wait_for(|published| *published >= size);
        tokio::time::timeout(Duration::from_secs(10), until)
            .await
            .context("the log does not publish")??;
        Ok(())
    })
}

/// Event and bare sync in turns, one by one.
fn latency(
    runtime: &Runtime,
    log: &Log,
    template: &Template,
    dir: &Path,
    extent: &Extent,
) -> Result<()> {
    let mut bare = BareSync::new(&dir.join("bare-sync"))?;
    let (mut of_log, mut of_bare) = (Vec::new(), Vec::new());
    let end = SystemClock.monotonic() + extent.longest;
    while of_log.len() < extent.singles && SystemClock.monotonic() < end {
        let event = template.event();
        let (took, receipt) = time(|| runtime.block_on(log.record(event, Class::Grant)));
        receipt?;
        of_log.push(took);
        let (took, synced) = time(|| bare.write());
        synced?;
        of_bare.push(took);
    }
    let of_log = percentile(&mut of_log, 50).context("nothing was recorded")?;
    let of_bare = percentile(&mut of_bare, 50).context("nothing was synced")?;
    ensure!(!of_bare.is_zero(), "a sync took no time");
    let mut most = of_bare.mul_f64(MOST_OF_BARE_SYNC);
    if of_bare < QUICK_DISK {
        most += MOST_OVER_QUICK_SYNC;
    }
    figure(
        "record_1_writer_p50",
        micros(of_log),
        "us",
        &format!("<={}", micros(most)),
    )?;
    figure(
        "record_1_writer_p50_over_bare_sync",
        of_log.div_duration_f64(of_bare),
        "x",
        &format!("<={}", most.div_duration_f64(of_bare)),
    )
}

/// The slowest events of a few writers beside the slowest bare syncs: what a call meets that comes at a bad moment.
fn slowest(
    runtime: &Runtime,
    log: &Arc<Log>,
    template: &Arc<Template>,
    dir: &Path,
    extent: &Extent,
) -> Result<()> {
    let mut bare = BareSync::new(&dir.join("bare-sync-of-slowest"))?;
    let mut ratios = Vec::new();
    for _ in 0..extent.turns {
        let took = Arc::new(Mutex::new(Vec::new()));
        rate(runtime, FEW_WRITERS, extent.turn, {
            let (log, template, took) = (log.clone(), template.clone(), took.clone());
            move || {
                let (log, template, took) = (log.clone(), template.clone(), took.clone());
                async move {
                    let start = SystemClock.monotonic();
                    log.record(template.event(), Class::Grant).await?;
                    let end = SystemClock.monotonic();
                    took.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(end.saturating_sub(start));
                    Ok(())
                }
            }
        })?;
        settle(runtime, log)?;
        let mut syncs = Vec::new();
        let end = SystemClock.monotonic() + extent.turn;
        while SystemClock.monotonic() < end {
            let (took, synced) = time(|| bare.write());
            synced?;
            syncs.push(took);
        }
        let mut took = took.lock().unwrap_or_else(PoisonError::into_inner);
        let of_log = percentile(&mut took, 99).context("nothing was recorded")?;
        let of_bare = percentile(&mut syncs, 99).context("nothing was synced")?;
        ratios.push(of_log.div_duration_f64(of_bare));
    }
    figure(
        "record_16_writers_p99_over_bare_sync_p99",
        middle(&mut ratios)?,
        "x",
        &format!("<={MOST_OF_SLOW_SYNCS}"),
    )
}

fn middle(values: &mut [f64]) -> Result<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
        .get(values.len() / 2)
        .copied()
        .context("nothing was measured")
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn figure(name: &str, value: f64, unit: &str, target: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    Ok(writeln!(
        out,
        "figure {name} {value} {unit} target {target}"
    )?)
}
