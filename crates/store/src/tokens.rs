//! Issued task tokens: what introspection, revocation and exchange need to know; never the token itself.

use bailiwick_core::id::{InstanceId, TaskId, TokenId};
use bailiwick_core::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// One issued token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    /// Its id.
    pub jti: TokenId,
    /// The task it acts in.
    pub task: TaskId,
    /// Who may present it.
    pub instance: InstanceId,
    /// RFC 7638 thumbprint of the key it is bound to, if it is bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jkt: Option<String>,
    /// Thumbprint of the certificate it is bound to, if it is bound to one (RFC 8705 §3.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x5t: Option<String>,
    /// The resource it is good for.
    pub aud: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends.
    pub exp: Timestamp,
    /// Feed head that the issuing transaction read.
    pub seq: u64,
    /// Digest of its scope.
    pub scope_digest: Digest,
}

/// Reads of tokens.
pub trait Tokens {
    /// The token with this id, unless it was pruned.
    fn token(&self, jti: TokenId) -> Result<Option<TokenRow>, StoreError>;

    /// The tokens of a task that have not been pruned, oldest first.
    fn tokens_of_task(&self, task: TaskId) -> Result<Vec<TokenRow>, StoreError>;
}

/// Writes of tokens.
pub trait TokensMut {
    /// Stores a token; [`StoreError::AlreadyExists`] if its id was used. Its task has to be there.
    fn put_token(&mut self, token: &TokenRow) -> Result<(), StoreError>;

    /// Removes tokens whose `exp` is not after `now`; how many.
    fn prune_tokens(&mut self, now: Timestamp) -> Result<u64, StoreError>;
}
