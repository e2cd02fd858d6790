//! The outbox in SQL. Each node has its own in it: it is the log of that node which the events are for.

use bailiwick_core::id::EventId;

use super::view::{View, damaged, page, unsigned};
use crate::{Outbox, OutboxMut, Pending, StoreError};

const KIND: &str = "event";

impl Outbox for View<'_> {
    fn outbox_pending(&self, limit: usize) -> Result<Vec<Pending>, StoreError> {
        let rows: Vec<(String, Vec<u8>)> = self.rows(
            "SELECT event, bytes FROM outbox WHERE node = ?1 ORDER BY seq LIMIT ?2",
            (self.node(), page(limit)),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        rows.into_iter()
            .map(|(event, bytes)| {
                let event = event.parse().map_err(|error| damaged(KIND, &error))?;
                Ok(Pending { event, bytes })
            })
            .collect()
    }

    fn outbox_len(&self) -> Result<u64, StoreError> {
        Ok(self
            .row(
                "SELECT count(*) FROM outbox WHERE node = ?1",
                [self.node()],
                |row| row.get(0),
            )?
            .map_or(0, unsigned))
    }
}

impl OutboxMut for View<'_> {
    fn outbox_push(&mut self, event: EventId, bytes: &[u8]) -> Result<(), StoreError> {
        self.told_by(event)?;
        let event = event.to_string();
        // Commit order, as one transaction writes at a time.
        self.execute(
            KIND,
            &event,
            "INSERT INTO outbox (seq, node, event, bytes)
             VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM outbox), ?1, ?2, ?3)",
            (self.node(), &event, bytes),
        )?;
        Ok(())
    }

    fn outbox_done(&mut self, events: &[EventId]) -> Result<(), StoreError> {
        for event in events {
            let event = event.to_string();
            self.execute(
                KIND,
                &event,
                "DELETE FROM outbox WHERE event = ?1",
                [&event],
            )?;
        }
        Ok(())
    }
}
