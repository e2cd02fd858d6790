//! SHA-256 (FIPS 180-4), HMAC-SHA-256 (RFC 2104), HKDF-SHA-256 (RFC 5869) and comparison in constant time.

use aws_lc_rs::{digest, hkdf, hmac};
use bailiwick_core::Digest;
use bailiwick_core::normal::normal;
use bailiwick_core::scope::Scope;
use zeroize::Zeroizing;

/// Bytes of a SHA-256 value, an HMAC-SHA-256 tag and a derived key.
pub const LEN: usize = 32;

/// SHA-256 of the parts, one after the other, with nothing between them.
pub fn sha256(parts: &[&[u8]]) -> Digest {
    if let [whole] = parts {
        // Without a context: half the time where they are few bytes, as nodes of a tree are.
        return Digest(fixed(digest::digest(&digest::SHA256, whole).as_ref()));
    }
    let mut hasher = Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finish()
}

/// SHA-256 of `domain`, a zero byte and `content`: the digest of one kind of thing can never be mistaken for that of another.
/// `domain` is a constant such as `bailiwick/scope/v1`.
pub fn domain_digest(domain: &'static str, content: &[u8]) -> Digest {
    sha256(&[domain.as_bytes(), &[0], content])
}

/// The `scope_digest` of a scope: its canonical form under its own domain.
pub fn scope_digest(scope: &Scope) -> Digest {
    domain_digest("bailiwick/scope/v1", &scope.canonical())
}

/// The id of an item (04 §8 of the design): its name's parts in normal form.
pub fn item_id(parts: &[impl AsRef<str>]) -> Digest {
    let parts: Vec<String> = parts.iter().map(|part| normal(part.as_ref())).collect();
    // Normal forms hold no control characters, so the parts stay apart.
    domain_digest("bailiwick/item/v1", parts.join("\u{1f}").as_bytes())
}

/// What MariaDB keeps of a password (plugin `mysql_native_password`): `*`, then SHA-1 of SHA-1 in capital hexadecimal digits. Weak for what
/// people choose; only for secrets that are drawn with 128 bits or more.
pub fn mysql_native_password(secret: &[u8]) -> String {
    let once = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, secret);
    let twice = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, once.as_ref());
    let digits = twice.as_ref().iter().map(|byte| format!("{byte:02X}"));
    std::iter::once("*".to_owned()).chain(digits).collect()
}

/// HMAC-SHA-256 over the parts, one after the other.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; LEN] {
    let mut mac = Mac::new(key);
    for part in parts {
        mac.update(part);
    }
    mac.finish()
}

/// HKDF-SHA-256 without salt: one 32-byte key from `secret`, bound to `info` (its parts one after the other).
pub fn hkdf_sha256(secret: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; LEN]> {
    Hkdf::new(secret).derive(info)
}

/// HKDF-SHA-256 without salt, for several keys from one secret.
pub struct Hkdf(hkdf::Prk);

impl Hkdf {
    /// Extracts from `secret` (RFC 5869 §2.2).
    pub fn new(secret: &[u8]) -> Self {
        Self(hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(secret))
    }

    /// One 32-byte key bound to `info`, its parts one after the other (RFC 5869 §2.3).
    pub fn derive(&self, info: &[&[u8]]) -> Zeroizing<[u8; LEN]> {
        one_block(&self.0, info)
    }
}

impl std::fmt::Debug for Hkdf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hkdf(…)")
    }
}

/// Whether two byte strings are equal, in time that depends on their lengths only.
pub fn equal(left: &[u8], right: &[u8]) -> bool {
    use subtle::ConstantTimeEq;
    left.ct_eq(right).into()
}

/// SHA-256 of a stream.
#[derive(Clone)]
pub struct Hasher(digest::Context);

impl Hasher {
    /// An empty stream.
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Appends bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes appended.
    pub fn finish(self) -> Digest {
        Digest(fixed(self.0.finish().as_ref()))
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher(…)")
    }
}

/// HMAC-SHA-256 of a stream.
#[derive(Clone)]
pub struct Mac(hmac::Context);

impl Mac {
    /// An empty stream under `key` (any length; 32 random bytes are right).
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Context::with_key(&hmac::Key::new(
            hmac::HMAC_SHA256,
            key,
        )))
    }

    /// Appends bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The tag. Compare it with [`equal`], never with `==`.
    pub fn finish(self) -> [u8; LEN] {
        fixed(self.0.sign().as_ref())
    }
}

impl std::fmt::Debug for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mac(…)")
    }
}

#[expect(
    clippy::expect_used,
    reason = "HKDF-SHA-256 fails only beyond 255 blocks of output (RFC 5869 §2.3); this is one"
)]
fn one_block(prk: &hkdf::Prk, info: &[&[u8]]) -> Zeroizing<[u8; LEN]> {
    let mut key = Zeroizing::new([0_u8; LEN]);
    prk.expand(info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(key.as_mut_slice()))
        .expect("one block");
    key
}

fn fixed(bytes: &[u8]) -> [u8; LEN] {
    let mut out = [0_u8; LEN];
    out.copy_from_slice(bytes);
    out
}

#[cfg(test)]
mod tests;
