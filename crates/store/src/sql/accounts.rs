//! Accounts and API tokens in SQL.

use bailiwick_core::account::Account;
use bailiwick_core::id::AccountId;
use bailiwick_core::name::AccountName;
use bailiwick_core::{Digest, Timestamp};

use super::view::{View, damaged, encode, time};
use crate::{Accounts, AccountsMut, ApiToken, StoreError};

const KIND: &str = "account";
const TOKEN: &str = "API token";

impl Accounts for View<'_> {
    fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM account WHERE id = ?1",
            [id.to_string()],
        )
    }

    fn account_named(&self, name: &AccountName) -> Result<Option<Account>, StoreError> {
        self.one(
            KIND,
            "SELECT body FROM account WHERE name = ?1",
            [name.as_str()],
        )
    }

    fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.many(KIND, "SELECT body FROM account ORDER BY name", ())
    }

    fn api_token(&self, sha256: Digest) -> Result<Option<ApiToken>, StoreError> {
        let row: Option<(String, i64, String)> = self.row(
            "SELECT account, expires_at, minted_by FROM api_token WHERE sha256 = ?1",
            [sha256.to_hex()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        row.map(|(account, expires_at, minted_by)| {
            let account = account.parse().map_err(|error| damaged(TOKEN, &error))?;
            Ok(ApiToken {
                sha256,
                account,
                expires_at: time(expires_at),
                minted_by,
            })
        })
        .transpose()
    }
}

impl AccountsMut for View<'_> {
    fn put_account(&mut self, account: &Account) -> Result<(), StoreError> {
        self.execute(
            KIND,
            account.name.as_str(),
            "INSERT INTO account (id, name, body) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, body = excluded.body",
            (
                account.id.to_string(),
                account.name.as_str(),
                encode(KIND, account)?,
            ),
        )?;
        Ok(())
    }

    fn put_api_token(&mut self, token: &ApiToken) -> Result<(), StoreError> {
        self.execute(
            TOKEN,
            // Not its digest: that would put a credential's fingerprint into messages.
            &token.account.to_string(),
            "INSERT INTO api_token (sha256, account, expires_at, minted_by) VALUES (?1, ?2, ?3, ?4)",
            (token.sha256.to_hex(), token.account.to_string(), token.expires_at.as_micros(), &token.minted_by),
        )?;
        Ok(())
    }

    fn remove_api_token(&mut self, sha256: Digest) -> Result<(), StoreError> {
        self.remove(
            TOKEN,
            "with this digest",
            "DELETE FROM api_token WHERE sha256 = ?1",
            [sha256.to_hex()],
        )
    }

    fn remove_api_tokens_of(&mut self, account: AccountId) -> Result<u64, StoreError> {
        let account = account.to_string();
        let gone = self.execute(
            TOKEN,
            &account,
            "DELETE FROM api_token WHERE account = ?1",
            [&account],
        )?;
        Ok(gone)
    }

    fn prune_api_tokens(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let gone = self.execute(
            TOKEN,
            "expired",
            "DELETE FROM api_token WHERE expires_at <= ?1",
            [now.as_micros()],
        )?;
        Ok(gone)
    }
}
