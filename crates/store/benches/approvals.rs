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
use bailiwick_core::agent::Agent;
use bailiwick_core::approval::{Approval, ApprovalState};
use bailiwick_core::id::{ApprovalId, TaskId};
use bailiwick_core::label::Labels;
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::{Bounds, Draft};
use bailiwick_core::task::{Request, RequestSource, Task, TaskState};
use bailiwick_core::{Clock as _, Digest, Effect, Timestamp};
use bailiwick_crypto::system::SystemClock;
use bailiwick_store::{ApprovalFilter, Options, Store, StoreError};

use timing::percentile;

/// The task of every one of them.
const TASK: TaskId = TaskId::from_bits(1);
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
    let (all, (agent, task)) = (all?, working()?);
    let write = store.write(move |tx| {
        tx.put_agent(&agent)?;
        tx.put_task(&task)?;
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

/// What all of them are of.
fn working() -> Result<(Agent, Task)> {
    let ceiling: Draft = serde_json::from_str(
        r#"{"grants":[{"server":["files"],"tool":["*"],"effects":["write"]}]}"#,
    )?;
    let ceiling = ceiling.fill(&Bounds::WIDEST)?;
    let at = Timestamp::from_secs(1_800_000_000);
    let agent = Agent {
        name: "coder".parse()?,
        owner: "team-dev".parse()?,
        selectors: vec!["unix:uid=1000".parse()?],
        ceiling: ceiling.clone(),
        base_risk: Risk::Low,
        launch_uids: Vec::new(),
        enabled: true,
        created_at: at,
        version: 1,
    };
    let task = Task {
        id: TASK,
        parent: None,
        ancestors: Vec::new(),
        agent: agent.name.clone(),
        instance: None,
        user: "user:local:anna".parse()?,
        user_pseudonym: "usr_anna".to_owned(),
        request: Request {
            text: "write it down".to_owned(),
            source: RequestSource::User,
        },
        workflow: "default".parse()?,
        stage: "run".parse()?,
        scope_digest: Digest([3; 32]),
        scope: ceiling,
        risk: Risk::Low,
        labels: Labels::default(),
        lineage: Vec::new(),
        created_at: at,
        expires_at: Timestamp::from_secs(1_900_000_000),
        state: TaskState::Open,
        born_seq: 1,
        version: 1,
    };
    Ok((agent, task))
}

/// One of a call with 2 KiB of arguments.
fn pending(number: u128) -> Result<Approval> {
    let mut digest = [0; 32];
    digest[..16].copy_from_slice(&number.to_be_bytes());
    Ok(Approval {
        id: ApprovalId::from_bits(number),
        call_digest: Digest(digest),
        task: TASK,
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
