//! Typed identifiers in TypeID form: a prefix, `_`, and 26 characters of Crockford base32 over a UUIDv7
//! (TypeID 0.3, RFC 9562 §5.7). An id tells its kind and its age, and cannot be passed where another kind is meant.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Clock, Rng, Timestamp};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const SUFFIX_LEN: usize = 26;
/// Digits that a machine word holds.
const WORD_DIGITS: usize = 12;
const WORD: u128 = (1 << (5 * WORD_DIGITS)) - 1;
/// What each byte stands for as a digit.
#[expect(
    clippy::indexing_slicing,
    reason = "of constants: it would not compile"
)]
const DIGITS: [Option<u8>; 256] = {
    let mut digits = [None; 256];
    let mut digit = 0;
    while digit < 32 {
        digits[ALPHABET[digit as usize] as usize] = Some(digit);
        digit += 1;
    }
    digits
};

/// What an [`Id`] identifies; gives its prefix.
pub trait Kind {
    /// Lower-case prefix before the underscore.
    const PREFIX: &'static str;
}

macro_rules! kinds {
    ($($kind:ident $alias:ident $prefix:literal $doc:literal;)*) => {$(
        #[doc = concat!("Marker for ", $doc, ".")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $kind {}
        impl Kind for $kind { const PREFIX: &'static str = $prefix; }
        #[doc = concat!("Id of ", $doc, ", written `", $prefix, "_…`.")]
        pub type $alias = Id<$kind>;
    )*};
}

kinds! {
    TaskKind TaskId "task" "a task";
    InstanceKind InstanceId "inst" "one attested process of an agent";
    EventKind EventId "evt" "an event on the record";
    TokenKind TokenId "tok" "a task token (its `jti`)";
    ApprovalKind ApprovalId "appr" "an approval";
    LeaseKind LeaseId "lease" "a leased credential";
    FenceKind FenceId "fence" "a fence";
    FindingKind FindingId "find" "a finding of a scan";
    RevocationKind RevocationId "rev" "one revocation, with all fences it set";
    AccountKind AccountId "acct" "a person's or service's account";
    JoinTokenKind JoinTokenId "jtok" "a join token; not the token itself";
    RequestKind RequestId "req" "one API request";
    DecisionKind DecisionId "dec" "one decision";
    SessionKind SessionId "mcps" "an MCP session";
    ConsoleSessionKind ConsoleSessionId "sess" "a person's session at the console";
}

/// A typed identifier. 128 bits, ordered by creation time.
pub struct Id<K> {
    bits: u128,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Id<K> {
    /// Draws a new UUIDv7: 48 bits of wall-clock milliseconds, 74 random bits.
    pub fn new(clock: &dyn Clock, rng: &dyn Rng) -> Self {
        let mut random = [0_u8; 16];
        rng.fill(&mut random);
        let millis =
            u128::from(u64::try_from(clock.wall().as_millis()).unwrap_or(0)) & 0xffff_ffff_ffff;
        let noise = u128::from_be_bytes(random);
        let bits = millis << 80
            | 0x7 << 76
            | (noise >> 64 & 0xfff) << 64
            | 0b10 << 62
            | noise & 0x3fff_ffff_ffff_ffff;
        Self::from_bits(bits)
    }

    /// The wall-clock millisecond in which this id was drawn.
    pub fn created_at(self) -> Timestamp {
        Timestamp::from_micros(
            i64::try_from(self.bits >> 80)
                .unwrap_or(0)
                .saturating_mul(1_000),
        )
    }

    /// The 128 bits.
    pub const fn bits(self) -> u128 {
        self.bits
    }

    /// An id with exactly these bits (fixtures, rows).
    pub const fn from_bits(bits: u128) -> Self {
        Self {
            bits,
            kind: PhantomData,
        }
    }

    /// The 26 characters after the prefix.
    pub fn suffix(self) -> String {
        ascii(&self.digits()).to_owned()
    }

    /// In machine words: every leaf of the record carries several ids, and shifts of 128 bits are slow.
    fn digits(self) -> [u8; SUFFIX_LEN] {
        let mut digits = [b'0'; SUFFIX_LEN];
        let mut rest = self.bits;
        for part in digits.rchunks_mut(WORD_DIGITS) {
            let mut word = u64::try_from(rest & WORD).unwrap_or(0);
            rest >>= 5 * WORD_DIGITS;
            for digit in part.iter_mut().rev() {
                let value = usize::try_from(word & 0x1f).unwrap_or(0);
                *digit = ALPHABET.get(value).copied().unwrap_or(b'0');
                word >>= 5;
            }
        }
        digits
    }

    /// As it is written: prefix, `_`, suffix.
    fn text(self) -> String {
        let mut text = String::with_capacity(K::PREFIX.len() + 1 + SUFFIX_LEN);
        text.push_str(K::PREFIX);
        text.push('_');
        text.push_str(ascii(&self.digits()));
        text
    }
}

/// Digits are ASCII.
fn ascii(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
}

/// Text that is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{found}` is not an id of the form {prefix}_ and 26 characters of 0-9 a-z without i l o u"
)]
pub struct BadId {
    prefix: &'static str,
    found: String,
}

impl<K: Kind> FromStr for Id<K> {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId {
            prefix: K::PREFIX,
            found: text.chars().take(64).collect(),
        };
        let suffix = text
            .strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .ok_or_else(bad)?;
        // 26 × 5 = 130 bits: the first character may only carry 3.
        if suffix.len() != SUFFIX_LEN || !matches!(suffix.as_bytes().first(), Some(b'0'..=b'7')) {
            return Err(bad());
        }
        let mut bits = 0_u128;
        for byte in suffix.bytes() {
            let digit = DIGITS.get(usize::from(byte)).copied().flatten();
            bits = bits << 5 | u128::from(digit.ok_or_else(bad)?);
        }
        Ok(Self::from_bits(bits))
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Id<K> {}

impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}

impl<K> Eq for Id<K> {}

impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bits.cmp(&other.bits)
    }
}

impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits.hash(state);
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
