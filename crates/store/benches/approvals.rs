//! How long a page of the approvals that wait for people takes to read where ten thousand of them wait.
//!
//! Without `--bench` (as `cargo test --benches` starts it) it reads a few of a few.

#[path = "../../../xtask/src/bench/timing.rs"]
#[expect(dead_code, reason = "what is timed here is awaited")]
mod timing;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bailiwick_core::approval::{Approval, ApprovalState};
use bailiwick_core::id::{ApprovalId, TaskId};
use bailiwick_core::risk::Risk;
use bailiwick_core::{Clock as _, Digest, Effect, Timestamp};
use bailiwick_crypto::system::SystemClock;
use bailiwick_store::{ApprovalFilter, ApprovalsMut as _, Options, Store, StoreError};

use timing::percentile;

/// Approvals of one page, as the API gives them unless asked for fewer.
const PAGE: usize = 100;
/// p99 of a page.
const MOST: Duration = Duration::from_millis(50);

fn main() -> Result<()> {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (many, rounds) = if is_bench { (10_000, 10) } else { (150, 1) };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700))?;
    let store = Store::open(dir.path(), Options::default())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        fill(&store, many).await?;
        let mut pages = Vec::new();
        for _ in 0..rounds {
            pages.extend(read(&store, many).await?);
        }
        let p99 = percentile(&mut pages, 99).context("no page was read")?;
        let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
        Ok(writeln!(
            std::io::stdout().lock(),
            "figure approvals_page_p99 {} us target <={}",
            micros(p99),
            micros(MOST)
        )?)
    })
}

async fn fill(store: &Store, many: usize) -> Result<()> {
    let all: Result<Vec<Approval>> = (1..=many as u128).map(pending).collect();
    let all = all?;
    let write = store.write(move |tx| {
        for one in &all {
            tx.put_approval(one)?;
        }
        Ok::<_, StoreError>(())
    });
    Ok(write.await?)
}

/// Reads all pages, from the newest to the oldest; what each took.
async fn read(store: &Store, many: usize) -> Result<Vec<Duration>> {
    let (mut pages, mut seen, mut after) = (Vec::new(), 0, None);
    loop {
        let before = SystemClock.monotonic();
        let page = store.read(move |rows| {
            let waiting = ApprovalFilter {
                state: Some(ApprovalState::Pending),
                task: None,
            };
            rows.approvals(&waiting, after, PAGE)
        });
        let page: Vec<Approval> = page.await.map_err(|error: StoreError| error)?;
        pages.push(SystemClock.monotonic().saturating_sub(before));
        let Some(last) = page.last() else {
            ensure!(seen == many, "{seen} of {many}");
            return Ok(pages);
        };
        (seen, after) = (seen + page.len(), Some(last.id));
    }
}

/// One of a call with 2 KiB of arguments.
fn pending(number: u128) -> Result<Approval> {
    let mut digest = [0; 32];
    digest[..16].copy_from_slice(&number.to_be_bytes());
    Ok(Approval {
        id: ApprovalId::from_bits(number),
        call_digest: Digest(digest),
        task: TaskId::from_bits(number / 32),
        agent: "coder".parse()?,
        user: "user:local:anna".parse()?,
        opened_by: Some("anna".to_owned()),
        tool: "files/write_file".parse()?,
        effect: Effect::Write,
        definition: Digest([2; 32]),
        arguments: format!(r#"{{"text":"{}"}}"#, "x".repeat(2_048)),
        reasons: Vec::new(),
        discharges: vec!["approval:approver".to_owned()],
        risk: Risk::Low,
        quorum: 1,
        votes: Vec::new(),
        state: ApprovalState::Pending,
        requested_at: Timestamp::from_secs(1_800_000_000),
        expires_at: Timestamp::from_secs(1_900_000_000),
        valid_s: 300,
        standing_at_most: 0,
        standing: None,
        under: None,
        version: 1,
    })
}
