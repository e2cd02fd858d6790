//! What names a secret without telling it; it is [`bailiwick_crypto`]'s, since a node knows its leases' secrets by the same.

pub use bailiwick_crypto::fingerprint::{Fingerprint, FingerprintKey, SecretDigest as Digest};
