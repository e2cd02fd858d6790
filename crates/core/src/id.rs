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
    RevocationKind RevocationId "rev" "one revocation, with all fences it set";
    AccountKind AccountId "acct" "a person's or service's account";
    RequestKind RequestId "req" "one API request";
    DecisionKind DecisionId "dec" "one decision";
    SessionKind SessionId "mcps" "an MCP session";
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
        let mut text = String::with_capacity(SUFFIX_LEN);
        for position in (0..SUFFIX_LEN).rev() {
            let digit = usize::try_from(self.bits >> (position * 5) & 0x1f).unwrap_or(0);
            text.push(ALPHABET.get(digit).map_or('0', |byte| char::from(*byte)));
        }
        text
    }
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
            let digit = ALPHABET
                .iter()
                .position(|letter| *letter == byte)
                .ok_or_else(bad)?;
            bits = bits << 5 | digit as u128;
        }
        Ok(Self::from_bits(bits))
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, self.suffix())
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
        serializer.collect_str(self)
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
