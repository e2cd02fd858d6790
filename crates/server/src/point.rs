//! A point that decides nothing: it follows the feed of its node under its lease, and tells what it learns. What an enforcement point in
//! another process is given to start with is its key file.

use std::sync::Arc;

use bailiwick_core::fence::Fence;
use bailiwick_core::name::PointName;
use bailiwick_core::{Code, Fault, Problem, Secret};
use bailiwick_crypto::head::HeadKey;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use bailiwick_enforce::Replica;
use bailiwick_enforce::point::{HttpLink, Point, Standing};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

/// What `bailiwick point add` prints.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    name: PointName,
    url: String,
    token: String,
    head_keys: Vec<String>,
}

/// The point that a key file makes. Authorities of its node's certificate are these (PEM), or those of the system.
pub fn open(file: &[u8], authorities: Option<&[u8]>) -> Result<Point, Problem> {
    // serde's words could repeat the token.
    let file: KeyFile = serde_json::from_slice(file).map_err(|_| {
        Problem::new(
            Code::InvalidInput,
            "this is not what `bailiwick point add` prints",
            "add the point anew, and keep what is printed as it is",
        )
    })?;
    let keys = file.head_keys.iter().map(|key| HeadKey::parse(key));
    let keys: Result<Vec<HeadKey>, _> = keys.collect();
    let link = HttpLink::new(&file.url, Secret::new(file.token), authorities)
        .map_err(|error| Problem::new(Code::InvalidInput, error.to_string(), ""))?;
    Ok(Point::new(
        file.name,
        keys.map_err(|error| error.problem())?,
        Arc::new(link),
        Arc::new(SystemClock),
        Arc::new(SystemRng),
    ))
}

/// What a point learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It is in step, with everything up to this change, and may decide.
    Open(u64),
    /// It denies everything.
    Closed {
        /// Why.
        problem: Problem,
        /// What went wrong on the way to the node.
        trouble: Option<String>,
    },
    /// A fence was set, or lifted.
    Fence(Fence),
}

/// Runs a point until `stop`, or until `tell` says that nobody listens any more.
pub async fn watch(
    point: Point,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(News) -> bool,
) {
    let (replica, mut standing) = (Arc::clone(point.replica()), point.standing());
    let mut applied = replica.follow();
    let stopping = CancellationToken::new();
    let _stops = stopping.clone().drop_guard();
    let running = tokio::spawn(point.run(stopping));
    tokio::pin!(stop);
    let mut told = Told::default();
    loop {
        let stands = standing.borrow_and_update().clone();
        applied.borrow_and_update();
        if !told.look(&replica, &stands).into_iter().all(&mut tell) {
            break;
        }
        let left = replica.lease_left().unwrap_or_default();
        tokio::select! {
            () = &mut stop => break,
            changed = standing.changed() => if changed.is_err() {
                break;
            },
            _ = applied.changed() => {}
            // It closes by itself.
            () = tokio::time::sleep(left), if !left.is_zero() => {}
        }
    }
    drop(running);
}

/// What was told already.
#[derive(Default)]
struct Told {
    open: Option<bool>,
    /// The newest fence.
    fences: u64,
}

impl Told {
    fn look(&mut self, replica: &Replica, standing: &Standing) -> Vec<News> {
        let since = self.fences;
        let seen = replica.view(|state| {
            let new = state.fences().iter().filter(|fence| newest(fence) > since);
            let mut new: Vec<Fence> = new.cloned().collect();
            new.sort_by_key(newest);
            (state.seq, new)
        });
        let mut news = Vec::new();
        match seen {
            Ok((seq, fences)) => {
                if self.open.replace(true) != Some(true) {
                    news.push(News::Open(seq));
                }
                self.fences = fences.last().map_or(since, newest);
                news.extend(fences.into_iter().map(News::Fence));
            }
            Err(behind) => {
                if self.open.replace(false) != Some(false) {
                    news.push(News::Closed {
                        problem: behind.problem(),
                        trouble: standing.trouble.clone(),
                    });
                }
            }
        }
        news
    }
}

/// The newest change of a fence.
fn newest(fence: &Fence) -> u64 {
    fence.seq.max(fence.lifted_seq.unwrap_or(0))
}
