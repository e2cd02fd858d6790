//! An enforcement point in another process than the node: it follows the feed into a leased replica, and denies everything whenever it
//! has not heard from its node for longer than the lease (02 §10, ADR 24).
//!
//! What decides here decides on [`Point::replica`] as it would in the node.

mod follower;
mod http;

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::feed::{Applied, HOLD};
use bailiwick_core::name::PointName;
use bailiwick_core::{Clock, Code, Rng};
use bailiwick_crypto::head::HeadKey;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::live::Live;
use crate::replica::Replica;

pub use follower::{Follower, Judgement, Refusal, judge};
pub use http::HttpLink;

/// An answer to who is in step comes this soon after the node has stopped to hold the question, or is not waited for.
const PATIENCE: Duration = Duration::from_millis(750);
/// The same for a snapshot of everything.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(30);
/// Between a question that failed and the next one.
const RETRY: Duration = Duration::from_millis(100);
/// The same where the node does not know this point.
const RETRY_REFUSED: Duration = Duration::from_secs(1);

/// How a point reaches its node.
pub trait Link: Send + Sync {
    /// The node's answer to one question; both as they go over the wire.
    fn ask(&self, question: Vec<u8>) -> BoxFuture<'_, Result<Bytes, LinkError>>;
}

/// There is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The node refuses this point.
    #[error("the node refuses this point: {1} ({0})")]
    Refused(Code, String),
    /// The node cannot be reached, or what it says is no answer.
    #[error("the node does not answer: {0}")]
    Broken(String),
}

/// Where a point stands, for whoever looks after it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// What it has applied; none while it is closed.
    pub applied: Option<Applied>,
    /// Why the last question brought nothing; none if it did.
    pub trouble: Option<String>,
}

/// One enforcement point.
pub struct Point {
    follower: Follower,
    replica: Arc<Replica>,
    link: Arc<dyn Link>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    standing: watch::Sender<Standing>,
}

impl Point {
    /// A point that has heard nothing yet. `keys` are those that its node signed heads with when the point was added.
    pub fn new(
        name: PointName,
        keys: Vec<HeadKey>,
        link: Arc<dyn Link>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        let replica = Replica::leased(Arc::new(Live::default()), Arc::clone(&clock));
        Self {
            follower: Follower::new(name, keys, &*rng),
            replica: Arc::new(replica),
            link,
            clock,
            rng,
            standing: watch::Sender::default(),
        }
    }

    /// What decisions here rest on.
    pub fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    /// Follows where the point stands.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Follows the feed until `stop`; then it denies everything.
    pub async fn run(mut self, stop: CancellationToken) {
        let replica = Arc::clone(&self.replica);
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.follow() => {}
            () = replica.watch_lease() => {}
        }
        replica.close("this enforcement point has stopped");
    }

    async fn follow(&mut self) {
        loop {
            let pause = match self.round().await {
                Ok(()) => {
                    let applied = self.follower.applied(&self.replica);
                    self.tell(applied, None);
                    continue;
                }
                Err(trouble) => {
                    let pause = match &trouble {
                        Trouble::Link(LinkError::Refused(..)) => RETRY_REFUSED,
                        _ => RETRY,
                    };
                    let applied = self.follower.applied(&self.replica);
                    self.tell(applied, Some(trouble.to_string()));
                    pause
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// One question and its answer.
    async fn round(&mut self) -> Result<(), Trouble> {
        let ask = self
            .follower
            .ask(&self.replica, self.clock.monotonic(), &*self.rng);
        let patience = match ask.applied {
            Some(_) => HOLD + PATIENCE,
            None => SNAPSHOT_PATIENCE,
        };
        let question = serde_json::to_vec(&ask)
            .map_err(|error| LinkError::Broken(format!("a question cannot be written: {error}")))?;
        let answer = tokio::time::timeout(patience, self.link.ask(question)).await;
        let answer =
            answer.map_err(|_| LinkError::Broken(format!("nothing came in {patience:?}")))??;
        Ok(self.follower.hear(&answer, &self.replica)?)
    }

    fn tell(&self, applied: Option<Applied>, trouble: Option<String>) {
        self.standing.send_if_modified(|standing| {
            if let Some(trouble) = trouble.as_ref().filter(|_| standing.trouble != trouble) {
                tracing::warn!(trouble, "this enforcement point hears nothing of use");
            }
            let now = Standing { applied, trouble };
            let changed = *standing != now;
            *standing = now;
            changed
        });
    }
}

/// Why a question brought nothing.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Answer(#[from] Refusal),
}

#[cfg(test)]
mod tests;
