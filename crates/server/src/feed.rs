//! The change feed for enforcement points in other processes (02 §10, ADR 24): answers their questions with signed heads, and knows which
//! of them can still decide on what.

mod registry;
mod tail;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bailiwick_control::points::{Points, Standing};
use bailiwick_core::change::ChangeBody;
use bailiwick_core::feed::{Ask, CLOSED_AFTER, Content, HOLD, Head, MAX_CHANGES};
use bailiwick_core::name::{NodeName, PointName};
use bailiwick_core::point::Registration;
use bailiwick_core::receipt::Point;
use bailiwick_core::{Clock, Code, Digest, Fault, Problem};
use bailiwick_crypto::head;
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_store::{MAX_PAGE, Store, StoreError};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::node::snapshot;
use registry::Registry;
pub use registry::Turn;
pub use tail::Tail;

/// News that narrow nothing are gathered this long, so that a busy store does not keep every point busy.
const GATHER: Duration = Duration::from_millis(50);

/// What heads are signed with.
struct Signer {
    key: Arc<Ed25519Key>,
    /// Public keys that points are to accept from now on, this one first.
    keys: Vec<String>,
}

/// The feed of one node.
pub struct Feed {
    store: Store,
    tail: Arc<Tail>,
    points: Registry,
    signer: RwLock<Arc<Signer>>,
    epoch: u64,
    node: NodeName,
    clock: Arc<dyn Clock>,
    /// The newest snapshot, as long as the tail goes on from it.
    snapshot: Mutex<Option<Snapshot>>,
}

#[derive(Clone)]
struct Snapshot {
    upto: u64,
    lines: Bytes,
}

/// What a feed is made from.
pub struct Parts {
    /// The store.
    pub store: Store,
    /// Its newest changes.
    pub tail: Arc<Tail>,
    /// The registered points.
    pub points: Vec<(Registration, Digest)>,
    /// Signs heads.
    pub key: Arc<Ed25519Key>,
    /// Epoch of the store.
    pub epoch: u64,
    /// The node.
    pub node: NodeName,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl Feed {
    /// A feed that these points may follow.
    pub fn new(parts: Parts) -> Self {
        let registry = Registry::new(parts.points, parts.clock.monotonic());
        let keys = vec![head::public(&parts.key)];
        Self {
            store: parts.store,
            tail: parts.tail,
            points: registry,
            signer: RwLock::new(Arc::new(Signer {
                key: parts.key,
                keys,
            })),
            epoch: parts.epoch,
            node: parts.node,
            clock: parts.clock,
            snapshot: Mutex::new(None),
        }
    }

    /// Heads are signed with this key from now on, and points are told to accept these: the same first.
    pub fn sign_with(&self, key: Arc<Ed25519Key>, keys: Vec<String>) {
        let mut signer = self.signer.write().unwrap_or_else(PoisonError::into_inner);
        *signer = Arc::new(Signer { key, keys });
    }

    /// The point whose token this is the digest of.
    pub fn point(&self, sha256: Digest) -> Option<PointName> {
        self.points.named(sha256)
    }

    /// Takes what a point says of itself, and gives it the turn to be answered. Refused: another process of the same point may hold a
    /// lease, or too many of its questions are open.
    pub fn heard(&self, point: &PointName, ask: &Ask) -> Result<Turn, Problem> {
        let applied = ask
            .applied
            .filter(|applied| applied.epoch == self.epoch)
            .map(|applied| applied.seq);
        if let Some(applied) = applied.filter(|applied| *applied > self.tail.news().head) {
            let head = self.tail.news().head;
            tracing::error!(%point, applied, head, "a point has seen more of the feed than the store holds");
            return Err(Problem::new(
                Code::FeedRegressed,
                format!("point {point} has seen change {applied}, and the store ends at {head}"),
                "the store is an older copy of itself: stop the node and say so with `bailiwick store adopt`",
            ));
        }
        self.points
            .heard(point, &ask.session, applied, self.clock.monotonic())
    }

    /// The answer to a question: at once if something narrows or much is missing, else when something is new, or nothing for a while.
    pub async fn answer(&self, turn: Turn, ask: Ask) -> Result<Bytes, Problem> {
        let applied = ask
            .applied
            .filter(|applied| applied.epoch == self.epoch)
            .map(|applied| applied.seq);
        let covered = if let Some(applied) = applied {
            self.wait(applied).await;
            let lines = self.changes(applied).await;
            lines.map(|lines| (Content::Changes, lines))
        } else {
            let snapshot = self.snapshot().await;
            snapshot.map(|Snapshot { upto, lines }| (Content::Snapshot { upto }, lines))
        };
        let (content, lines) = covered.map_err(|error| error.problem())?;
        let signer = Arc::clone(&self.signer.read().unwrap_or_else(PoisonError::into_inner));
        let head = Head {
            epoch: self.epoch,
            // Read after the question arrived: that is all that its lease rests on.
            seq: self.tail.news().head,
            content,
            digest: Digest([0; 32]),
            issued_at: self.clock.wall(),
            node: self.node.clone(),
            point: turn.point().clone(),
            nonce: ask.nonce,
            keys: signer.keys.clone(),
        };
        let answer = head::seal(&signer.key, head, &lines);
        Ok(Bytes::from(answer.map_err(|error| error.problem())?))
    }

    /// Until there is something to say to a point that has applied this.
    async fn wait(&self, applied: u64) {
        let mut news = self.tail.follow();
        let arrived = Instant::now();
        loop {
            let now = *news.borrow_and_update();
            let far = now.head.saturating_sub(applied) > MAX_CHANGES as u64;
            if now.narrowed > applied || far {
                return;
            }
            let until = arrived + if now.head > applied { GATHER } else { HOLD };
            if !matches!(timeout_at(until, news.changed()).await, Ok(Ok(()))) {
                return;
            }
        }
    }

    async fn changes(&self, applied: u64) -> Result<Bytes, StoreError> {
        if let Some(lines) = self.tail.after(applied) {
            return Ok(lines);
        }
        let read = self.store.read(move |rows| {
            let mut all = Vec::new();
            while all.len() < MAX_CHANGES {
                let after = applied + all.len() as u64;
                let more = rows.changes(after, MAX_PAGE)?;
                if more.is_empty() {
                    break;
                }
                all.extend(more);
            }
            all.truncate(MAX_CHANGES);
            Ok::<_, StoreError>(all)
        });
        tail::lines(read.await?.iter())
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let mut kept = self.snapshot.lock().await;
        if let Some(snapshot) = kept
            .as_ref()
            .filter(|snapshot| self.tail.continues(snapshot.upto))
        {
            return Ok(snapshot.clone());
        }
        let (all, upto): (Vec<ChangeBody>, u64) = self.store.read(snapshot::everything).await?;
        let snapshot = Snapshot {
            upto,
            lines: tail::lines(all.iter())?,
        };
        *kept = Some(snapshot.clone());
        Ok(snapshot)
    }
}

impl Points for Feed {
    fn closed(&self, seq: u64, durable: Duration) -> BoxFuture<'_, Vec<Point>> {
        Box::pin(async move {
            let mut said = self.points.follow();
            let mut open = self.points.names();
            let mut closed = Vec::with_capacity(open.len());
            loop {
                said.borrow_and_update();
                let now = self.clock.monotonic();
                let mut next = None;
                open.retain(|point| match self.points.stands(point, seq, durable, now) {
                    registry::Stands::Closed(point) => {
                        closed.push(point);
                        false
                    }
                    registry::Stands::Until(until) => {
                        next = Some(next.map_or(until, |next: Duration| next.min(until)));
                        true
                    }
                });
                let Some(next) = next else {
                    break;
                };
                let until = Instant::now() + next.saturating_sub(now);
                tokio::select! {
                    _ = said.changed() => {}
                    () = sleep_until(until) => {}
                }
            }
            closed.sort_by(|a, b| a.id.cmp(&b.id));
            closed
        })
    }

    fn add(&self, point: &Registration, sha256: Digest) {
        self.points.add(point.name.clone(), sha256);
    }

    fn leave(&self, name: &PointName) -> BoxFuture<'_, ()> {
        let name = name.clone();
        Box::pin(async move {
            let Some(lease) = self.points.leave(&name, self.clock.monotonic()) else {
                return;
            };
            tokio::time::sleep(lease).await;
            self.points.forget(&name);
        })
    }

    fn standing(&self, name: &PointName) -> Standing {
        self.points.standing(name, self.clock.monotonic())
    }

    fn keys(&self) -> Vec<String> {
        let signer = self.signer.read().unwrap_or_else(PoisonError::into_inner);
        signer.keys.clone()
    }
}

/// When a lease that began at `asked` is over, with all that ran under it cut.
fn over(asked: Duration) -> Duration {
    asked.saturating_add(CLOSED_AFTER)
}

#[cfg(test)]
mod tests;
