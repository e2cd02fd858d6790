//! Join tokens in SQL.

use bailiwick_core::id::JoinTokenId;
use bailiwick_core::join_token::{JoinToken, JoinUse};
use bailiwick_core::{Digest, Timestamp};

use super::view::{View, encode, refused};
use crate::{JoinTokens, JoinTokensMut, StoreError};

const KIND: &str = "join token";

impl JoinTokens for View<'_> {
    fn join_token_with(&self, sha256: Digest) -> Result<Option<JoinToken>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM join_token WHERE sha256 = ?1",
            [sha256.to_hex()],
        )
    }

    fn join_tokens(&self) -> Result<Vec<JoinToken>, StoreError> {
        self.many(KIND, "SELECT body FROM join_token ORDER BY id", ())
    }
}

impl JoinTokensMut for View<'_> {
    fn put_join_token(&mut self, token: &JoinToken, sha256: Digest) -> Result<(), StoreError> {
        let id = token.id.to_string();
        self.execute(
            KIND,
            &id,
            "INSERT INTO join_token (id, sha256, expires_at, body) VALUES (?1, ?2, ?3, ?4)",
            (
                &id,
                sha256.to_hex(),
                token.expires_at.as_micros(),
                encode(KIND, token)?,
            ),
        )?;
        Ok(())
    }

    fn use_join_token(&mut self, id: JoinTokenId, by: &JoinUse) -> Result<(), StoreError> {
        let key = id.to_string();
        let stored: Option<JoinToken> =
            self.one(KIND, "SELECT body FROM join_token WHERE id = ?1", [&key])?;
        let mut token = stored.ok_or_else(|| StoreError::NotFound {
            kind: KIND,
            key: key.clone(),
        })?;
        token.used = Some(by.clone());
        // The condition is the swap: whatever was read before, one use finds the column empty.
        let used = self.execute(
            KIND,
            &key,
            "UPDATE join_token SET used_at = ?2, body = ?3 WHERE id = ?1 AND used_at IS NULL",
            (&key, by.at.as_micros(), encode(KIND, &token)?),
        )?;
        if used == 1 {
            Ok(())
        } else {
            Err(refused(KIND, &key, "it has been used"))
        }
    }

    fn remove_join_token(&mut self, id: JoinTokenId) -> Result<(), StoreError> {
        let key = id.to_string();
        self.remove(KIND, &key, "DELETE FROM join_token WHERE id = ?1", [&key])
    }

    fn prune_join_tokens(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let gone = self.execute(
            KIND,
            "expired",
            "DELETE FROM join_token WHERE expires_at <= ?1",
            [now.as_micros()],
        )?;
        Ok(gone)
    }
}
