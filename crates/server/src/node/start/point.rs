//! What decides: the enforcement point's picture of the state, followed from the start on, and the feed for points elsewhere.

use std::sync::Arc;

use bailiwick_core::feed::LEASE;
use bailiwick_enforce::{Budgets, Live, Replica};
use bailiwick_store::{Observer, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::snapshot::{self, Follower};
use super::super::{StartError, keys, usage};
use super::{State, blocking};
use crate::config::Config;
use crate::feed::{Feed, Parts as FeedParts, Tail};

/// What decides.
pub(super) struct Point {
    pub(super) replica: Arc<Replica>,
    pub(super) budgets: Arc<Budgets>,
    pub(super) identities: watch::Receiver<u64>,
    pub(super) feed: Arc<Feed>,
}

/// Reads the state, and follows it from then on.
pub(super) async fn follow(
    config: &Config,
    state: &State,
    tasks: &mut JoinSet<&'static str>,
    stop: &CancellationToken,
) -> Result<Point, StartError> {
    // Where others write to the database too, what is known of it is good for a while only.
    let shared = config.store.is_some();
    let (live, clock) = (Arc::new(Live::default()), Arc::clone(&state.clock));
    let replica = Arc::new(if shared {
        Replica::leased(live, clock)
    } else {
        Replica::new(live)
    });
    let (follower, identities) = Follower::new(Arc::clone(&replica));
    state.store.observe(Arc::new(follower));
    let tail = Arc::new(Tail::new(shared));
    state.store.observe(Arc::clone(&tail) as Arc<dyn Observer>);
    tail.begins(state.store.head());
    let asked = state.clock.monotonic();
    snapshot::load(&state.store, &replica).await?;
    replica.hold(asked.saturating_add(LEASE));
    if shared {
        tasks.spawn(watch(Arc::clone(&replica), stop.clone()));
    }
    let open = state.store.read(|rows| rows.open_tasks()).await;
    let open: Vec<_> = open
        .map_err(|error: StoreError| error)?
        .iter()
        .map(|task| task.id)
        .collect();
    let budgets = Arc::new(Budgets::default());
    let (log, counters) = (Arc::clone(&state.log), Arc::clone(&budgets));
    blocking(move || usage::restore(&log, &open, &counters)).await??;
    Ok(Point {
        replica,
        budgets,
        identities,
        feed: feed(config, state, tail).await?,
    })
}

/// The feed for points elsewhere.
async fn feed(config: &Config, state: &State, tail: Arc<Tail>) -> Result<Arc<Feed>, StartError> {
    let points = state.store.read(|rows| rows.points()).await;
    Ok(Arc::new(Feed::new(FeedParts {
        store: state.store.clone(),
        tail,
        points: points.map_err(|error: StoreError| error)?,
        key: Arc::new(
            keys::head_key(&state.store, &state.seal, state.clock.wall(), &*state.rng).await?,
        ),
        epoch: state.epoch,
        node: config.node.name.clone(),
        clock: Arc::clone(&state.clock),
    })))
}

/// Cuts what is live when the database has not answered for too long.
async fn watch(replica: Arc<Replica>, stop: CancellationToken) -> &'static str {
    stop.run_until_cancelled_owned(replica.watch_lease()).await;
    "lease"
}
