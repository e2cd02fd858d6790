//! Revocations in SQL.

use bailiwick_core::id::RevocationId;

use super::view::{View, encode, page};
use crate::{RevocationRow, Revocations, RevocationsMut, StoreError};

const KIND: &str = "revocation";

impl Revocations for View<'_> {
    fn revocation(&self, id: RevocationId) -> Result<Option<RevocationRow>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM revocation WHERE id = ?1",
            [id.to_string()],
        )
    }

    fn revocations(
        &self,
        after: Option<RevocationId>,
        limit: usize,
    ) -> Result<Vec<RevocationRow>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM revocation WHERE id < ?1 OR ?1 IS NULL ORDER BY id DESC LIMIT ?2",
            (after.map(|id| id.to_string()), page(limit)),
        )
    }
}

impl RevocationsMut for View<'_> {
    fn put_revocation(&mut self, revocation: &RevocationRow) -> Result<(), StoreError> {
        let id = revocation.id.to_string();
        self.execute(
            KIND,
            &id,
            "INSERT INTO revocation (id, body) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (&id, encode(KIND, revocation)?),
        )?;
        Ok(())
    }
}
