//! Follows the feed: what other nodes commit reaches this one's observers in order, at the latest a moment after a notification was lost.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::Clock;
use bailiwick_core::change::Change;

use super::engine::Stop;
use super::link::{Link, Opener, as_error};
use super::migrate;
use crate::observers::Observers;
use crate::sql::{Connection as _, Failed, Row, understand};
use crate::{MAX_PAGE, StoreError};

/// The database is asked at least this often; its notifications are only hints.
const POLL: Duration = Duration::from_millis(100);
/// Pause after a failure.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) struct Follower {
    pub(super) opener: Opener,
    pub(super) observers: Arc<Observers>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: Arc<Stop>,
}

impl Follower {
    /// Until it is stopped.
    pub(super) fn run(self) {
        let mut failing = false;
        while !self.stop.is_set() {
            let Err(error) = self.follow() else {
                return;
            };
            if !failing {
                tracing::error!(%error, "the feed of the database cannot be followed");
            }
            failing = !self.stop.wait(PAUSE);
        }
    }

    /// Follows on one connection until it fails.
    fn follow(&self) -> Result<(), StoreError> {
        let link = self.opener.open()?;
        migrate::is_known(&link)?;
        link.command("LISTEN bailiwick_feed")?;
        while !self.stop.is_set() {
            let asked = self.clock.monotonic();
            while catch_up(&link, &self.observers)? {}
            self.observers.told_until(asked);
            link.wait_for_news(POLL);
        }
        Ok(())
    }
}

/// Tells what was committed after the newest change that was told; whether there may be more.
pub(super) fn catch_up(link: &Link, observers: &Observers) -> Result<bool, StoreError> {
    let head = observers.head();
    let (from, most) = (
        i64::try_from(head).unwrap_or(i64::MAX),
        i64::try_from(MAX_PAGE + 1).unwrap_or(i64::MAX),
    );
    let mut found: Vec<Change> = Vec::new();
    let each = &mut |row: &Row<'_>| {
        found.push(understand(row)?);
        Ok(ControlFlow::Continue(()))
    };
    link.query(
        "SELECT seq, body, event FROM change WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
        &[&from, &most],
        each,
    )
    .map_err(|failed: Failed| as_error(failed))?;
    // The newest one told must still be there: a database that was restored or failed over to an older copy has lost it.
    let known = found.first().is_some_and(|first| first.seq == head);
    if head > 0 && !known {
        return Err(StoreError::Unavailable(format!(
            "the database has lost change {head}, which this node has seen: it is an older copy of itself"
        )));
    }
    if let Some(gap) = gap(&found) {
        return Err(StoreError::Unavailable(format!(
            "the database has lost change {gap}, and has later ones"
        )));
    }
    observers.tell(&found);
    Ok(found.len() > MAX_PAGE)
}

/// The first number that is missing.
fn gap(changes: &[Change]) -> Option<u64> {
    let pairs = changes.iter().zip(changes.iter().skip(1));
    let next = |before: &Change| before.seq.saturating_add(1);
    pairs
        .filter(|(before, after)| after.seq != next(before))
        .map(|(before, _)| next(before))
        .next()
}
