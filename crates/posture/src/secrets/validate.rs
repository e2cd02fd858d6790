//! What no expression can check: checksums, encodings, and the public parts of a credential. Offline, all of it.

mod aws;
pub(super) mod bech32;
pub(super) mod checksum;
mod jwt;

use super::bigram::bits_per_pair;
use super::find::{Public, Severity};
use super::fingerprint::Digest;
use super::pem;
use super::sentence::{is_made_up, is_placeholder, is_reference};
use super::value::{Kind, is_drawn, is_secret};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// Base64 with or without padding, in either alphabet.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
pub(super) const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
pub(super) const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// A check beyond a rule's expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// The expression says it all.
    Shape,
    /// Six digits of base 62 at the end: CRC-32 of what follows the first `_`, as GitHub and npm write.
    Crc62,
    /// An AWS key id: tells its account.
    AwsKeyId,
    /// Forty characters of base64 that are no hash in hex.
    AwsSecret,
    /// A private key in PEM; its end is looked for.
    Pem,
    /// A private key of PuTTY.
    Putty,
    /// Bech32 as age writes it.
    Bech32,
    /// Three parts, two of them JSON.
    Jwt,
    /// It must look drawn by a machine.
    Random,
    /// Four groups of four letters that are no words.
    RandomWords,
    /// Base64 of `user:password`.
    Basic,
    /// A password as a person or a machine may choose it.
    Password,
}

/// What a check says.
pub(super) enum Verdict {
    /// It is none.
    No,
    /// It is one.
    Yes(Confirmed),
}

/// What a check knows of a secret.
pub(super) struct Confirmed {
    pub(super) digest: Digest,
    pub(super) length: usize,
    pub(super) severity: Option<Severity>,
    pub(super) public: Vec<Public>,
    /// Bytes of the text that belong to it, from where the match begins, if that is more than the match.
    pub(super) extent: usize,
}

impl Confirmed {
    fn plain(secret: &[u8]) -> Self {
        Self {
            digest: Digest::of(secret),
            length: secret.len(),
            severity: None,
            public: Vec::new(),
            extent: secret.len(),
        }
    }

    fn with(mut self, public: Vec<Public>) -> Self {
        self.public = public;
        self
    }
}

impl Check {
    /// The check of this name in a rule file.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "crc62" => Self::Crc62,
            "aws-key-id" => Self::AwsKeyId,
            "aws-secret" => Self::AwsSecret,
            "pem" => Self::Pem,
            "putty" => Self::Putty,
            "bech32" => Self::Bech32,
            "jwt" => Self::Jwt,
            "random" => Self::Random,
            "random-words" => Self::RandomWords,
            "basic" => Self::Basic,
            "password" => Self::Password,
            _ => return None,
        })
    }

    /// Whether `secret` is one; `rest` is the text from its first byte on.
    pub(super) fn verdict(self, secret: &[u8], rest: &[u8]) -> Verdict {
        let confirmed = match self {
            Self::Pem => pem::read(rest),
            Self::Putty => pem::putty(rest),
            Self::Jwt => jwt::read(secret).map(|public| Confirmed::plain(secret).with(public)),
            Self::Basic => basic(secret),
            _ if is_made_up(secret) => None,
            Self::Shape => looks_real(secret).then(|| Confirmed::plain(secret)),
            Self::Crc62 => checksum::ends_in_crc62(secret).then(|| Confirmed::plain(secret)),
            Self::AwsKeyId => aws::account(secret)
                .map(|account| Confirmed::plain(secret).with(vec![("account", account)])),
            Self::AwsSecret => (!secret.iter().all(u8::is_ascii_hexdigit)
                && bits_per_pair(secret) > 4.6)
                .then(|| Confirmed::plain(secret)),
            Self::Bech32 => bech32::is_valid(secret).then(|| Confirmed::plain(secret)),
            Self::Random => is_drawn(secret).then(|| Confirmed::plain(secret)),
            Self::RandomWords => (bits_per_pair(secret) > 4.8).then(|| Confirmed::plain(secret)),
            Self::Password => is_secret(secret, Kind::Given).then(|| Confirmed::plain(secret)),
        };
        confirmed.map_or(Verdict::No, Verdict::Yes)
    }
}

/// A token's drawn part is long; where it is of letters alone, it must not read like words.
fn looks_real(token: &[u8]) -> bool {
    token.iter().any(u8::is_ascii_digit) || bits_per_pair(token) > 4.6
}

/// `user:password` in base64: what is secret is the password.
fn basic(encoded: &[u8]) -> Option<Confirmed> {
    let decoded = decoded_base64(encoded)?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (user, password) = (decoded.get(..colon)?, decoded.get(colon + 1..)?);
    let readable = |part: &[u8]| part.iter().all(|byte| (0x20..0x7f).contains(byte));
    if user.is_empty() || password.len() < 4 || !readable(user) || !readable(password) {
        return None;
    }
    if is_placeholder(password) || is_reference(password) {
        return None;
    }
    Some(Confirmed {
        extent: encoded.len(),
        ..Confirmed::plain(password)
            .with(vec![("user", String::from_utf8_lossy(user).into_owned())])
    })
}

/// Base64 in whichever alphabet fits.
pub(super) fn decoded_base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let url_safe = text.iter().any(|byte| matches!(byte, b'-' | b'_'));
    let engine = if url_safe { &URL_SAFE } else { &STANDARD };
    engine.decode(text).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests;
