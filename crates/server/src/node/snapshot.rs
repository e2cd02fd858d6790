//! What the replica starts from: the newest state of everything, as of one commit. The observer is registered before this is read, so
//! that no change is missed between.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::change::{Change, ChangeBody};
use bailiwick_core::feed::LEASE;
use bailiwick_enforce::Replica;
use bailiwick_identity::workload::concerns;
use bailiwick_store::{MAX_PAGE, Observer, Reads, Store, StoreError, TaskFilter};
use tokio::sync::watch;

/// Follows the feed into the replica, and says when identities have to be looked at again.
pub(super) struct Follower {
    replica: Arc<Replica>,
    identities: watch::Sender<u64>,
}

impl Follower {
    pub(super) fn new(replica: Arc<Replica>) -> (Self, watch::Receiver<u64>) {
        let (identities, changed) = watch::channel(0);
        let follower = Self {
            replica,
            identities,
        };
        (follower, changed)
    }
}

impl Observer for Follower {
    fn committed(&self, changes: &[Change]) {
        self.replica.apply(changes);
        if let Some(last) = changes.iter().rev().find(|change| concerns(change)) {
            self.identities.send_replace(last.seq);
        }
    }

    fn told_until(&self, asked: Duration) {
        self.replica.hold(asked.saturating_add(LEASE));
    }
}

/// Loads the replica.
pub(super) async fn load(store: &Store, replica: &Replica) -> Result<(), StoreError> {
    let (snapshot, head) = store.read(everything).await?;
    replica.load(snapshot, head);
    Ok(())
}

/// The newest state of every thing, and the change that it is as of.
pub(crate) fn everything(rows: &dyn Reads) -> Result<(Vec<ChangeBody>, u64), StoreError> {
    let mut all: Vec<ChangeBody> = Vec::new();
    all.extend(rows.agents()?.into_iter().map(ChangeBody::Agent));
    all.extend(rows.servers()?.into_iter().map(ChangeBody::Server));
    all.extend(rows.tools(None)?.into_iter().map(ChangeBody::Tool));
    all.extend(rows.items(None)?.into_iter().map(ChangeBody::Item));
    let evidence = rows.all_artefact_evidence()?;
    all.extend(evidence.into_iter().map(ChangeBody::Evidence));
    all.extend(rows.live_instances()?.into_iter().map(ChangeBody::Instance));
    // Open tasks carry authority. The newest of the others let a late caller hear that its task has ended, not that it never was.
    let open = rows.open_tasks()?;
    let known: HashSet<_> = open.iter().map(|task| task.id).collect();
    let recent = rows.tasks(&TaskFilter::default(), None, MAX_PAGE)?;
    let ended = recent.into_iter().filter(|task| !known.contains(&task.id));
    all.extend(ended.map(ChangeBody::Task));
    all.extend(open.into_iter().map(ChangeBody::Task));
    all.extend(rows.fences()?.into_iter().map(ChangeBody::Fence));
    all.extend(
        rows.active_policy()?
            .map(|active| ChangeBody::Policy(active.digest)),
    );
    all.push(ChangeBody::Rollout(rows.rollout()?));
    all.extend(rows.meta("task_jwks")?.map(ChangeBody::TokenKeys));
    Ok((all, rows.head()))
}
