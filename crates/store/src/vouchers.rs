//! What a client exchanges for a token at the token endpoint: authorization codes and refresh tokens (RFC 6749 §1.3.1, §1.5), kept as
//! SHA-256, never in the clear. A used one is kept, so that its second use is seen.

use bailiwick_core::client::ClientId;
use bailiwick_core::id::{InstanceId, TaskId};
use bailiwick_core::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// One code or refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voucher {
    /// SHA-256 of it.
    pub sha256: Digest,
    /// What it is, and what only that kind is bound to.
    pub form: VoucherForm,
    /// Whom it was given to.
    pub client: ClientId,
    /// The task that its user consented to.
    pub task: TaskId,
    /// The instance that the client is in that task.
    pub instance: InstanceId,
    /// The resource that tokens are for.
    pub resource: String,
    /// Thumbprint of the key that tokens are bound to, once that is settled.
    pub jkt: Option<String>,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When the task ends: until then it is remembered.
    pub keep_until: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

/// A code or a refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum VoucherForm {
    /// An authorization code.
    Code {
        /// The redirect URI that it was sent to.
        redirect_uri: String,
        /// The challenge whose verifier has to be shown (RFC 7636, S256).
        challenge: String,
    },
    /// A refresh token.
    Refresh,
}

/// Reads of vouchers.
pub trait Vouchers {
    /// The voucher with this digest, used or not, also if it has ended: the caller compares.
    fn voucher(&self, sha256: Digest) -> Result<Option<Voucher>, StoreError>;

    /// Codes that ended before `now` without having been used.
    fn abandoned_codes(&self, now: Timestamp) -> Result<Vec<Voucher>, StoreError>;
}

/// Writes of vouchers.
pub trait VouchersMut {
    /// Stores a voucher; a used one stays used ([`StoreError::Refused`]). Its task has to be there.
    fn put_voucher(&mut self, voucher: &Voucher) -> Result<(), StoreError>;

    /// Removes vouchers whose `keep_until` is not after `now`; how many.
    fn prune_vouchers(&mut self, now: Timestamp) -> Result<u64, StoreError>;
}
