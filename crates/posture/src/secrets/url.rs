//! Passwords in URLs (RFC 3986 §3.2.1): `scheme://user:password@host`.

use std::ops::Range;

use super::decode::percent;
use super::sentence::{is_placeholder, is_reference};
use zeroize::Zeroizing;

/// Longest user or password, in bytes.
const LONGEST: usize = 512;
/// Schemes that have a check of their own; the others are `url-password`.
const SCHEMES: [(&str, &str); 14] = [
    ("postgres", "postgres-url"),
    ("postgresql", "postgres-url"),
    ("mysql", "mysql-url"),
    ("mariadb", "mysql-url"),
    ("mongodb", "mongodb-url"),
    ("mongodb+srv", "mongodb-url"),
    ("redis", "redis-url"),
    ("rediss", "redis-url"),
    ("amqp", "amqp-url"),
    ("amqps", "amqp-url"),
    ("smtp", "smtp-url"),
    ("smtps", "smtp-url"),
    ("ftp", "ftp-url"),
    ("ldap", "ldap-url"),
];

/// A URL that carries a password.
pub(super) struct Password {
    pub(super) check: &'static str,
    /// Where it is, still encoded.
    pub(super) range: Range<usize>,
    pub(super) secret: Zeroizing<Vec<u8>>,
    pub(super) user: String,
    pub(super) host: String,
}

/// Reads the URL whose `://` is at `at`.
pub(super) fn password(text: &[u8], at: usize) -> Option<Password> {
    let start = text
        .get(..at)?
        .iter()
        .rev()
        .take(32)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        .count();
    let scheme = text.get(at - start..at)?;
    // `jdbc:postgresql` and `url=postgres` end in the scheme; letters only begin one.
    let scheme = String::from_utf8_lossy(scheme).to_ascii_lowercase();
    if scheme.is_empty() {
        return None;
    }
    let from = at + 3;
    let rest = text.get(from..(from + 2 * LONGEST).min(text.len()))?;
    let end = rest
        .iter()
        .position(|byte| ends_authority(*byte))
        .unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    // A password may hold an unencoded `@`: the last one ends it.
    let at_sign = authority.iter().rposition(|byte| *byte == b'@')?;
    let userinfo = authority.get(..at_sign)?;
    let colon = userinfo.iter().position(|byte| *byte == b':')?;
    let (user, encoded) = (userinfo.get(..colon)?, userinfo.get(colon + 1..)?);
    let host = authority.get(at_sign + 1..)?;
    let secret = percent(encoded).unwrap_or_else(|| Zeroizing::new(encoded.to_vec()));
    if secret.len() < 4
        || is_placeholder(&secret)
        || is_reference(encoded)
        || secret.as_slice() == user
        || !secret.iter().all(u8::is_ascii_graphic)
    {
        return None;
    }
    let says_nothing = [
        b"pass".as_slice(),
        b"pwd",
        b"passw",
        b"pword",
        b"mypass",
        b"your",
        b"user",
        b"secret",
    ];
    if says_nothing
        .iter()
        .any(|word| secret.eq_ignore_ascii_case(word))
        || encoded.contains(&b'{')
        || encoded.contains(&b'<')
        || encoded.contains(&b'$') && encoded.contains(&b'(')
    {
        return None;
    }
    let check = SCHEMES
        .iter()
        .find(|(name, _)| *name == scheme)
        .map_or("url-password", |(_, check)| check);
    let host = host
        .split(|byte| matches!(byte, b','))
        .next()
        .unwrap_or_default();
    let shown = |part: &[u8]| {
        part.iter()
            .take(100)
            .map(|byte| char::from(*byte))
            .filter(char::is_ascii_graphic)
            .collect()
    };
    Some(Password {
        check,
        range: from + colon + 1..from + at_sign,
        secret,
        user: shown(user),
        host: shown(host),
    })
}

fn ends_authority(byte: u8) -> bool {
    byte.is_ascii_whitespace()
        || byte.is_ascii_control()
        || matches!(byte, b'/' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\')
}
