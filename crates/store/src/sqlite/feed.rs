//! The change feed in SQLite.

use bailiwick_core::change::Change;

use super::view::{View, damaged, decode, page, signed, unsigned};
use crate::{Feed, StoreError};

impl Feed for View<'_> {
    fn head(&self) -> u64 {
        View::head(self)
    }

    fn changes(&self, after: u64, limit: usize) -> Result<Vec<Change>, StoreError> {
        let rows: Vec<(i64, String, Option<String>)> = self.rows(
            "SELECT seq, body, event FROM change WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            (signed("change", after)?, page(limit)),
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        rows.into_iter()
            .map(|(seq, body, event)| {
                let event = event.map(|event| event.parse()).transpose();
                Ok(Change {
                    seq: unsigned(seq),
                    body: decode("change", &body)?,
                    event: event.map_err(|error| damaged("change", &error))?,
                })
            })
            .collect()
    }
}
