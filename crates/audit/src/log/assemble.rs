//! Puts the parts of a recovered log together and starts the two threads that run it.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bailiwick_core::event::Event;
use tokio::sync::watch;

use super::encoder::{Encoder, announcer};
use super::found::Found;
use super::unanswered;
use super::{Log, Options, Threads};
use crate::elapsed::Elapsed;
use crate::hlc::{Hlc, HlcClock};
use crate::housekeeping::{Housekeeping, Wake};
use crate::retention::{Pruner, Retention};
use crate::scrub::{Keys, Scrub};
use crate::seal::Keks;
use crate::signers::Signers;
use crate::standing::Claim;
use crate::tiler::Tiler;
use crate::wal::commit::{Commit, Notice, Roll, Standing};
use crate::wal::queue::Queue;
use crate::wal::scan::Scan;
use crate::wal::segment;
use crate::wal::spare::Spare;
use crate::wal::writer::Writer;

/// How far tiles give way to commits: a tenth of a core where all cores are wanted (`nice(2)`), so that they are never left out.
const HOUSEKEEPING_NICENESS: i32 = 10;

/// An open log from what its directory holds, with its threads started.
#[expect(
    clippy::too_many_lines,
    reason = "the one place where everything meets"
)]
pub(super) fn assemble(
    options: Options,
    signers: Arc<Signers>,
    wal: &Path,
    found: Found,
    claim: Claim,
    lock: File,
) -> io::Result<Log> {
    let Found {
        state,
        edge,
        intents,
        recovered,
        unanswered,
        published,
        orders,
        standing: _,
    } = found;
    let origin = signers.origin().clone();
    let origin_hash = crate::origin_hash(&origin);
    let size = recovered.tree.size();
    let (durable, durable_seen) = watch::channel(size);
    let (publish, published_seen) = watch::channel(published);
    let queue = Arc::new(Queue::new(
        usize::try_from(options.segment_size - 4096).unwrap_or(usize::MAX),
    ));
    let spare = Arc::new(Spare::new(segment::has_spare(wal)));
    let wake = Arc::new(Wake::default());
    let degraded = Arc::new(AtomicBool::new(false));
    let keks = Arc::new(Keks::new(options.kek, options.older_keks));
    let kept = (keks.clone(), options.payload, options.value_max);
    let time = (options.clock.clone(), options.rng.clone());
    let last = Hlc(recovered.hlc);
    let elapsed = Elapsed::resume(state.time.as_ref(), last, &*options.clock);
    let elapsed = Arc::new(Mutex::new(elapsed));
    let hlc = HlcClock::after(last);
    let encoder = Encoder::new(options.node, options.source, kept, time, hlc);
    let encoder = Arc::new(encoder);
    let scan = Scan::start(wal, Some(origin_hash), state.base.segment)?;
    let scan = scan.ok_or_else(|| io::Error::other("the first segment cannot be read back"))?;
    let first_segment = Arc::new(AtomicU64::new(state.base.segment));
    let roll = Arc::new(Roll::default());
    let scrub = Arc::new(Scrub::default());
    let (scrubbed, scrubbed_seen) = watch::channel(None);
    // Batches of two runs never share an epoch, so a writer that lost the directory cannot pass for the one that has it.
    let epoch = claim.epoch();
    let housekeeping = Housekeeping {
        disk: options.disk.clone(),
        clock: options.clock.clone(),
        wal: wal.to_path_buf(),
        segment_size: options.segment_size,
        spare: spare.clone(),
        wake: wake.clone(),
        durable: durable_seen.clone(),
        published: publish,
        publish_every: options.publish_every,
        tiler: Tiler::resume(
            options.disk.clone(),
            options.dir.clone(),
            signers.clone(),
            scan,
            (edge, intents, state.base.hlc),
        )?,
        claim: Some(claim),
        keks: keks.clone(),
        rng: options.rng.clone(),
        elapsed: elapsed.clone(),
        anomaly: None,
        signers: signers.clone(),
        keep_next: None,
        scrub: scrub.clone(),
        scrub_every: options.scrub_every,
        scrubbed,
        pruner: Pruner::new(Retention {
            leaves: options.retention,
            values: options.payload_retention,
            hold_from: options.hold_from,
        }),
        announce: announcer(encoder.clone(), origin.clone()),
        queue: queue.clone(),
        abort: options.abort.clone(),
        dir: options.dir.clone(),
        orders,
        state,
        first_segment: first_segment.clone(),
    };
    let zeroed = recovered.zeroed;
    let disk = options.disk.clone();
    let writer = Writer::resume(
        disk.clone(),
        wal.to_path_buf(),
        origin_hash,
        epoch,
        recovered.place,
        recovered.tree,
    )?;
    let commit = Commit {
        writer,
        queue: queue.clone(),
        spare: spare.clone(),
        disk: options.disk,
        clock: options.clock,
        origin: origin.clone(),
        dir: options.dir.clone(),
        min_free: options.min_free,
        max_untiled: options.max_untiled,
        first_segment,
        roll: roll.clone(),
        keks,
        rng: options.rng,
        durable,
        degraded: degraded.clone(),
        wake: wake.clone(),
        announce: announcer(encoder.clone(), origin.clone()),
        abort: options.abort,
        standing: Standing::default(),
    };
    queue_first(&queue, &commit, &encoder, zeroed, unanswered);
    let threads = start(commit, housekeeping, &queue, &wake, &scrub)?;
    Ok(Log {
        origin,
        signers,
        dir: options.dir,
        queue,
        encoder,
        durable: durable_seen,
        published: published_seen,
        degraded,
        spare,
        wake,
        elapsed,
        disk,
        roll,
        hold_from: options.hold_from,
        erasing: tokio::sync::Mutex::new(()),
        scrub,
        scrubbed: scrubbed_seen,
        threads: Mutex::new(Some(threads)),
        _lock: lock,
    })
}

/// What the log says before anybody can record, so that logical time rises with the index.
fn queue_first(
    queue: &Queue,
    commit: &Commit,
    encoder: &Encoder,
    zeroed: u64,
    unanswered: Vec<Event>,
) {
    let recovered = (zeroed > 0).then_some(Notice::Recovered { zeroed });
    let notices = recovered
        .into_iter()
        .chain([Notice::Opened])
        .filter_map(|notice| (commit.announce)(notice));
    for pending in notices.chain(unanswered::results(unanswered, encoder)) {
        if queue.try_push(pending).is_err() {
            tracing::error!(
                "more calls were cut off than the queue holds; the last of them stay without result"
            );
            break;
        }
    }
}

fn start(
    commit: Commit,
    housekeeping: Housekeeping,
    queue: &Arc<Queue>,
    wake: &Arc<Wake>,
    scrub: &Arc<Scrub>,
) -> io::Result<Threads> {
    let scrubbing = start_scrub(&housekeeping, wake, scrub)?;
    let spare = commit.spare.clone();
    let housekeeping = std::thread::Builder::new()
        .name("audit-tiles".into())
        .spawn(move || {
            // Only this thread. What it does can wait for those that wait for a commit; if it cannot be, it competes with them.
            let _ = rustix::process::nice(HOUSEKEEPING_NICENESS);
            // A defect in this thread must not leave the other waiting for a segment.
            if catch_unwind(AssertUnwindSafe(|| housekeeping.run())).is_err() {
                spare.made(false);
            }
        });
    let housekeeping = match housekeeping {
        Ok(housekeeping) => housekeeping,
        Err(error) => {
            scrub.stop();
            let _ = scrubbing.join();
            return Err(error);
        }
    };
    let watched = queue.clone();
    let commit = std::thread::Builder::new()
        .name("audit-commit".into())
        .spawn(move || {
            // A defect in this thread must not leave producers waiting for ever.
            if catch_unwind(AssertUnwindSafe(|| commit.run())).is_err() {
                watched.refuse_all();
            }
        });
    match commit {
        Ok(commit) => Ok(Threads {
            commit,
            housekeeping,
            scrub: scrubbing,
        }),
        Err(error) => {
            scrub.stop();
            wake.stop();
            let _ = housekeeping.join();
            let _ = scrubbing.join();
            Err(error)
        }
    }
}

fn start_scrub(
    housekeeping: &Housekeeping,
    wake: &Arc<Wake>,
    scrub: &Arc<Scrub>,
) -> io::Result<JoinHandle<()>> {
    let dir = housekeeping.dir.clone();
    let (signers, keks) = (housekeeping.signers.clone(), housekeeping.keks.clone());
    let asked = Keys {
        log: Box::new(move || signers.verifiers()),
        values: Box::new(move || keks.all()),
    };
    let (wake, scrub) = (wake.clone(), scrub.clone());
    std::thread::Builder::new()
        .name("audit-scrub".into())
        .spawn(move || scrub.run(&dir, &asked, &|| wake.urge()))
}
