//! One secret at one place of one text, without the secret.

use std::sync::Arc;

pub use bailiwick_core::finding::Severity;

use super::fingerprint::Digest;

/// Something about a secret that is no secret, by the name a validator gave it: `account`, `iss`, `host`.
pub type Public = (&'static str, String);

/// A secret that was found. Its value is not in it.
#[derive(Debug, Clone)]
pub struct Find {
    /// The rule: `github-pat`, `named-password`.
    pub check: Arc<str>,
    /// What it is worth.
    pub severity: Severity,
    /// Where it begins in the text, in bytes from 0; of a decoded one, where its encoding begins.
    pub offset: usize,
    /// The line it is on, from 1.
    pub line: usize,
    /// The column of its first byte, from 1.
    pub column: usize,
    /// The name that stood before it, at most 128 bytes, if it was found by or beside one.
    pub key: Option<String>,
    /// Bytes of the secret.
    pub length: usize,
    /// What it is compared by.
    pub digest: Digest,
    /// What its validator knows and may be shown.
    pub public: Vec<Public>,
    /// How it was wrapped, outermost first: `base64`, `hex`, `percent`, `json`, `gzip`.
    pub wrapped: Vec<&'static str>,
    /// What to do about it.
    pub remedy: Arc<str>,
}
