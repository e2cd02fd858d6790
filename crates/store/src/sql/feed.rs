//! The change feed in SQL.

use bailiwick_core::change::Change;

use super::connection::Row;
use super::view::{View, damaged, decode, page, signed, unsigned};
use crate::{Feed, StoreError};

impl Feed for View<'_> {
    fn head(&self) -> u64 {
        View::head(self)
    }

    fn changes(&self, after: u64, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.rows(
            "SELECT seq, body, event FROM change WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            (signed("change", after)?, page(limit)),
            understand,
        )
    }
}

/// A change, of a row of its number, its body and its event.
pub(crate) fn understand(row: &Row<'_>) -> Result<Change, StoreError> {
    let (seq, body): (i64, String) = (row.get(0)?, row.get(1)?);
    let event = row.get::<Option<String>>(2)?;
    let event = event.map(|event| event.parse()).transpose();
    Ok(Change {
        seq: unsigned(seq),
        body: decode("change", &body)?,
        event: event.map_err(|error| damaged("change", &error))?,
    })
}
