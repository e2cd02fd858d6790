//! What follows a durable fence: streams and leases of what ended go, and how far that got is kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::event::EventType;
use bailiwick_core::id::LeaseId;
use bailiwick_core::receipt::{How, Leases, Point};
use bailiwick_store::{Reach, RevocationRow, StoreError};

use super::{Committed, Cut, Order, RevocationReport, Wait};
use crate::Control;

/// How long an order waits for each of its leases to be verified dead, if asked to.
const MAX_WAIT_DEAD: Duration = Duration::from_mins(1);
/// How often it looks.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

impl Control {
    /// Cuts what hangs on the tasks that ended, takes the leases away, and keeps how far it got.
    pub(super) async fn close(
        &self,
        order: Order,
        committed: Committed,
        mut report: RevocationReport,
        wait: Wait,
    ) -> RevocationReport {
        let elsewhere = self.parts.points.closed(report.seq, committed.since);
        let streams = self.cut_streams(&committed.tasks);
        report.cut.streams += u64::try_from(streams).unwrap_or(u64::MAX);
        let swept = self.parts.clock.monotonic().saturating_sub(committed.since);
        let ((), elsewhere) = tokio::join!(self.finish_leases(&committed.leases), elsewhere);
        // The fence held here before it was durable.
        report.points = vec![Point {
            id: self.parts.point.clone(),
            how: How::Acked,
            applied_ms: 0,
            swept_ms: u64::try_from(swept.as_millis()).unwrap_or(u64::MAX),
        }];
        report.points.extend(elsewhere);
        let until = self.parts.clock.monotonic() + MAX_WAIT_DEAD;
        loop {
            report.pending = self.still_live(&committed.leases).await;
            let over = self.parts.clock.monotonic() >= until;
            if report.pending.is_empty() || wait != Wait::Dead || over {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let count = |leases: &[LeaseId]| leases.len() as u64;
        let leases = Leases {
            fenced: count(&committed.leases),
            dead: count(&committed.leases) - count(&report.pending),
            pending: count(&report.pending),
        };
        report.cut.leases = leases.dead;
        let reach = Reach {
            committed_at: committed.at,
            points: report.points.clone(),
            leases,
        };
        self.finish(&order, report.cut, reach).await;
        report
    }

    /// Those of `leases` that are not verified dead. What cannot be asked counts as live.
    async fn still_live(&self, leases: &[LeaseId]) -> Vec<LeaseId> {
        let asked = leases.to_vec();
        let live = self.parts.store.read(move |rows| {
            let live: Vec<LeaseId> = rows.live_leases()?.iter().map(|lease| lease.id).collect();
            Ok::<_, StoreError>(live)
        });
        match live.await {
            Ok(live) => asked.into_iter().filter(|id| live.contains(id)).collect(),
            Err(error) => {
                tracing::error!(%error, "what became of leases cannot be read");
                asked
            }
        }
    }

    /// Keeps what was cut with the order. A failure loses the counts, not the fence.
    async fn finish(&self, order: &Order, cut: Cut, reach: Reach) {
        let counts = [
            ("tasks", cut.tasks),
            ("approvals", cut.approvals),
            ("instances", cut.instances),
            ("leases", cut.leases),
            ("streams", cut.streams),
        ];
        let mut event = self.change_event(
            EventType::FenceReached,
            &order.actor,
            "revoke",
            "revocation",
            &order.id,
        );
        event.cause = Some(order.event);
        if let Some(change) = &mut event.change {
            change.after = Some(
                counts
                    .map(|(name, count)| format!("{name}={count}"))
                    .join(" "),
            );
        }
        let (journal, id) = (Arc::clone(&self.parts.journal), order.id);
        let cut = counts
            .into_iter()
            .map(|(name, count)| (name.to_owned(), count));
        let cut: BTreeMap<String, u64> = cut.collect();
        let kept = self
            .parts
            .store
            .write(move |tx| {
                if let Some(row) = tx.revocation(id)? {
                    tx.put_revocation(&RevocationRow {
                        cut: cut.clone(),
                        reach: Some(reach.clone()),
                        ..row
                    })?;
                }
                journal.push(tx, &event)
            })
            .await;
        if let Err(error) = kept {
            let error: StoreError = error;
            tracing::error!(%error, revocation = %order.id, "what a revocation cut could not be kept");
        }
        self.carry();
    }
}
