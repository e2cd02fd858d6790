//! Used evidence in SQL.

use bailiwick_core::{Digest, Timestamp};

use super::view::View;
use crate::{SpentMut, StoreError};

const KIND: &str = "evidence";

impl SpentMut for View<'_> {
    fn spend(&mut self, sha256: Digest, expires_at: Timestamp) -> Result<(), StoreError> {
        self.execute(
            KIND,
            "shown",
            "INSERT INTO spent (sha256, expires_at) VALUES (?1, ?2)",
            (sha256.to_hex(), expires_at.as_micros()),
        )?;
        Ok(())
    }

    fn prune_spent(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let gone = self.execute(
            KIND,
            "expired",
            "DELETE FROM spent WHERE expires_at <= ?1",
            [now.as_micros()],
        )?;
        Ok(gone)
    }
}
