//! Accounts and their API tokens (kept as SHA-256, never in the clear).

use bailiwick_core::account::Account;
use bailiwick_core::id::AccountId;
use bailiwick_core::name::AccountName;
use bailiwick_core::{Digest, Timestamp};

use crate::StoreError;

/// What is kept of an API token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// SHA-256 of the token.
    pub sha256: Digest,
    /// Whose it is.
    pub account: AccountId,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Who minted it.
    pub minted_by: String,
}

/// Reads of accounts.
pub trait Accounts {
    /// The account with this id.
    fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError>;

    /// The account of this name.
    fn account_named(&self, name: &AccountName) -> Result<Option<Account>, StoreError>;

    /// All accounts, by name.
    fn accounts(&self) -> Result<Vec<Account>, StoreError>;

    /// The API token with this digest, even if it has ended: the caller compares `expires_at`.
    fn api_token(&self, sha256: Digest) -> Result<Option<ApiToken>, StoreError>;
}

/// Writes of accounts.
pub trait AccountsMut {
    /// Stores an account. A name that another account has is [`StoreError::AlreadyExists`].
    fn put_account(&mut self, account: &Account) -> Result<(), StoreError>;

    /// Stores an API token. Its account has to be there.
    fn put_api_token(&mut self, token: &ApiToken) -> Result<(), StoreError>;

    /// Removes an API token; [`StoreError::NotFound`] if there is none.
    fn remove_api_token(&mut self, sha256: Digest) -> Result<(), StoreError>;

    /// Removes all API tokens of an account; how many.
    fn remove_api_tokens_of(&mut self, account: AccountId) -> Result<u64, StoreError>;

    /// Removes API tokens whose `expires_at` is not after `now`; how many.
    fn prune_api_tokens(&mut self, now: Timestamp) -> Result<u64, StoreError>;
}
