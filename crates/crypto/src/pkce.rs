//! Proof Key for Code Exchange (RFC 7636), S256 alone; and random values that stand in URLs, cookies and forms.

use bailiwick_core::{Rng, Secret};

use crate::base64url;
use crate::hash::{equal, sha256};
use crate::system::random;

/// The only `code_challenge_method`: `plain` would put the verifier into the browser.
pub const METHOD: &str = "S256";

/// 256 random bits in 43 characters of base64url: a code, a token, a `state`, a `nonce`, a verifier.
pub fn fresh(rng: &dyn Rng) -> Secret<String> {
    Secret::new(base64url::encode(&random::<32>(rng)))
}

/// The challenge of a verifier (§4.2).
pub fn challenge(verifier: &str) -> String {
    base64url::encode(&sha256(&[verifier.as_bytes()]).0)
}

/// Whether text can be the challenge of a verifier: 32 bytes of base64url.
pub fn is_challenge(text: &str) -> bool {
    base64url::decode(text).is_some_and(|bytes| bytes.len() == 32)
}

/// Whether `verifier` has the form of one (§4.1) and `challenge` is its own.
pub fn verifies(verifier: &str, challenge: &str) -> bool {
    let form = (43..=128).contains(&verifier.len())
        && verifier
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    form && equal(self::challenge(verifier).as_bytes(), challenge.as_bytes())
}

#[cfg(test)]
mod tests;
