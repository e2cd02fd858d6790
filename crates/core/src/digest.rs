//! A SHA-256 value. Computing one is `bailiwick_crypto::hash`'s job; here it is only carried and written.

use std::fmt;
use std::str::FromStr;

use crate::text::text_form;

const PREFIX: &str = "sha256:";

/// A SHA-256 value, written `sha256:<64 hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The 64 lower-case hex digits without prefix.
    pub fn to_hex(self) -> String {
        ascii(&self.digits()).to_owned()
    }

    /// Digit by digit: every leaf of the record carries several digests, and the formatter takes a microsecond for each.
    fn digits(self) -> [u8; 64] {
        let mut digits = [b'0'; 64];
        let (pairs, _) = digits.as_chunks_mut::<2>();
        for (pair, byte) in pairs.iter_mut().zip(self.0) {
            *pair = [byte >> 4, byte & 15]
                .map(|digit| if digit < 10 { b'0' } else { b'a' - 10 } + digit);
        }
        digits
    }

    /// As it is written: `sha256:<64 hex digits>`.
    fn text(self) -> String {
        let mut text = String::with_capacity(PREFIX.len() + 64);
        text.push_str(PREFIX);
        text.push_str(ascii(&self.digits()));
        text
    }
}

/// Digits are ASCII.
fn ascii(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest is written `sha256:` and 64 lower-case hex digits")]
pub struct BadDigest;

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let hex = text.strip_prefix(PREFIX).unwrap_or(text).as_bytes();
        if hex.len() != 64 {
            return Err(BadDigest);
        }
        let mut bytes = [0_u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            let (Some(high), Some(low)) = (
                pair.first().copied().and_then(nibble),
                pair.get(1).copied().and_then(nibble),
            ) else {
                return Err(BadDigest);
            };
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

text_form! { Digest, via text; }
