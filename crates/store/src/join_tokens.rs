//! Join tokens (kept as SHA-256, never in the clear).

use bailiwick_core::id::JoinTokenId;
use bailiwick_core::join_token::{JoinToken, JoinUse};
use bailiwick_core::{Digest, Timestamp};

use crate::StoreError;

/// Reads of join tokens.
pub trait JoinTokens {
    /// The join token with this digest, used and expired ones too: the caller looks.
    fn join_token_with(&self, sha256: Digest) -> Result<Option<JoinToken>, StoreError>;

    /// All that are kept, oldest first.
    fn join_tokens(&self) -> Result<Vec<JoinToken>, StoreError>;
}

/// Writes of join tokens.
pub trait JoinTokensMut {
    /// Stores a new join token under the digest of the token itself.
    fn put_join_token(&mut self, token: &JoinToken, sha256: Digest) -> Result<(), StoreError>;

    /// Writes down the one use of a join token; [`StoreError::Refused`] if it was used.
    fn use_join_token(&mut self, id: JoinTokenId, by: &JoinUse) -> Result<(), StoreError>;

    /// Removes a join token; [`StoreError::NotFound`] if there is none.
    fn remove_join_token(&mut self, id: JoinTokenId) -> Result<(), StoreError>;

    /// Removes join tokens whose `expires_at` is not after `now`; how many.
    fn prune_join_tokens(&mut self, now: Timestamp) -> Result<u64, StoreError>;
}
