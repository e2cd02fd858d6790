//! Signatures of task tokens that were verified already (02 §8): a token comes with each call, and its signature says the same each time.
//! Only that is remembered; whom it is for, its time, its key and all that it names are looked at anew.

use std::sync::Arc;

use bailiwick_core::{Digest, Timestamp};
use bailiwick_crypto::jwk::Jwk;
use bailiwick_crypto::token::task::{TaskClaims, TaskToken};
use bailiwick_crypto::token::{KeySet, TaskKeys, Verified};
use quick_cache::sync::Cache;

/// Tokens remembered; beyond this those that were not shown of late are verified again.
const MAX: usize = 4_096;

/// What is remembered, by SHA-256 of the token.
pub(super) struct Verdicts(Cache<Digest, Arc<Verdict>>);

/// One token that was verified.
pub(super) struct Verdict {
    pub(super) claims: TaskClaims,
    pub(super) expires: Timestamp,
    key: Jwk,
}

impl Default for Verdicts {
    fn default() -> Self {
        Self(Cache::new(MAX))
    }
}

impl Verdicts {
    /// What this token says, if its key, which signed it, is still among `keys`, it is for `audience`, and its time is not over.
    pub(super) fn find(
        &self,
        token: &Digest,
        keys: &KeySet<TaskKeys>,
        audience: &str,
        now: Timestamp,
    ) -> Option<Arc<Verdict>> {
        let verdict = self.0.get(token)?;
        let kid = verdict.key.kid.as_deref()?;
        let stands = keys.key(kid).is_some_and(|key| *key.jwk() == verdict.key)
            && verdict.claims.aud == audience
            && now < verdict.expires
            // A clock that was set back may make a token one of the future.
            && Timestamp::from_secs(verdict.claims.iat) <= now;
        stands.then_some(verdict)
    }

    /// Remembers a token.
    pub(super) fn keep(
        &self,
        token: Digest,
        keys: &KeySet<TaskKeys>,
        verified: Verified<TaskToken>,
    ) -> Option<Arc<Verdict>> {
        let key = keys.key(verified.kid())?.jwk().clone();
        let expires = verified.expires();
        let verdict = Arc::new(Verdict {
            claims: verified.into_claims(),
            expires,
            key,
        });
        self.0.insert(token, Arc::clone(&verdict));
        Some(verdict)
    }
}
