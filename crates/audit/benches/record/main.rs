//! What durability costs: events per second at 256 writers beside a bare group commit of as many bytes, and one event of one
//! writer beside a bare `fdatasync`. Log and baseline take turns on one file system. `cargo xtask bench record` runs it.
//!
//! Without `--bench` (as `cargo test --benches` starts it) each is measured once, briefly.

mod bare_commit;
mod bare_sync;
mod event;
#[path = "../../../../xtask/src/bench/timing.rs"]
mod timing;

use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    let log = Arc::new(open(&dir.path().join("log"))?);
    let template = Template::new()?;
    throughput(&runtime, &log, &template, dir.path(), &extent)?;
    latency(&runtime, &log, &template, dir.path(), &extent)?;
    log.close();
    Ok(())
}

fn open(dir: &Path) -> Result<Log> {
    let key = Ed25519Key::from_seed(&Secret::new([7; 32]))?;
    let kek = Kek {
        id: 1,
        key: Secret::new([9; 32]),
    };
    Ok(Log::open(Options::new(
        dir.to_owned(),
        "node-1".to_owned(),
        NoteSigner::new("example.org/node-1", key)?,
        kek,
        Arc::new(SystemClock),
        Arc::new(SystemRng),
    ))?)
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
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..extent.turns {
        let of_log = rate(runtime, extent.turn, {
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
        let of_bare = rate(runtime, extent.turn, {
            let bare = bare.clone();
            let bytes = vec![0xa5; stored];
            move || bare.append(bytes.clone())
        })?;
        ratios.push(of_log / of_bare);
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
    )
}

/// Events per second of [`WRITERS`] that each wait for one to be durable before they send the next.
fn rate<F>(
    runtime: &Runtime,
    turn: Duration,
    write: impl Fn() -> F + Clone + Send + 'static,
) -> Result<f64>
where
    F: Future<Output = Result<()>> + Send,
{
    let over = Arc::new(AtomicBool::new(false));
    let (took, written) = time(|| {
        runtime.block_on(async {
            let writers: Vec<_> = (0..WRITERS)
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
