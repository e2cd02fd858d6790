//! Task tokens in SQL.

use bailiwick_core::Timestamp;
use bailiwick_core::id::{TaskId, TokenId};

use super::view::{View, encode};
use crate::{StoreError, TokenRow, Tokens, TokensMut};

const KIND: &str = "token";

impl Tokens for View<'_> {
    fn token(&self, jti: TokenId) -> Result<Option<TokenRow>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM token WHERE jti = ?1",
            [jti.to_string()],
        )
    }

    fn tokens_of_task(&self, task: TaskId) -> Result<Vec<TokenRow>, StoreError> {
        self.many(
            KIND,
            "SELECT body FROM token WHERE task = ?1 ORDER BY jti",
            [task.to_string()],
        )
    }
}

impl TokensMut for View<'_> {
    fn put_token(&mut self, token: &TokenRow) -> Result<(), StoreError> {
        let jti = token.jti.to_string();
        self.execute(
            KIND,
            &jti,
            "INSERT INTO token (jti, task, exp, body) VALUES (?1, ?2, ?3, ?4)",
            (
                &jti,
                token.task.to_string(),
                token.exp.as_micros(),
                encode(KIND, token)?,
            ),
        )?;
        Ok(())
    }

    fn prune_tokens(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let gone = self.execute(
            KIND,
            "expired",
            "DELETE FROM token WHERE exp <= ?1",
            [now.as_micros()],
        )?;
        Ok(gone)
    }
}
