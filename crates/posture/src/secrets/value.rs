//! Whether a value is what its name promises: long enough, no placeholder, reference, path, number or word.

use super::bigram::bits_per_pair;
use super::key_name::Promise;
use super::sentence::{is_placeholder, is_reference};

/// Shortest value that is taken for a secret by its name, in bytes.
pub(super) const SHORTEST: usize = 8;
/// Longest one; beyond it a value is a document.
pub(super) const LONGEST: usize = 4_096;

/// How a value is known to be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It was given as a password: on a command line, in `.netrc`.
    Given,
    /// By a name, as a literal: quoted, or in a file of settings.
    Literal(Promise),
    /// By a name, where an expression may stand as well.
    Expression(Promise),
}

/// Whether the value is a secret, as far as can be told from it.
pub(super) fn is_secret(value: &[u8], kind: Kind) -> bool {
    let value = value.trim_ascii();
    let shortest = if kind == Kind::Given { 6 } else { SHORTEST };
    if !(shortest..=LONGEST).contains(&value.len())
        || !value.iter().all(u8::is_ascii_graphic)
        || is_placeholder(value)
        || is_reference(value)
        || is_number(value)
        || is_path(value)
        || is_address(value)
    {
        return false;
    }
    match kind {
        Kind::Given => true,
        Kind::Literal(Promise::Password) => !is_code(value) && is_password(value),
        Kind::Literal(Promise::Token) => !is_code(value) && is_token(value),
        Kind::Expression(Promise::Password | Promise::Token) => {
            !is_code(value) && (is_drawn(value) || (!is_identifier(value) && is_token(value)))
        }
        Kind::Literal(Promise::Perhaps) | Kind::Expression(Promise::Perhaps) => {
            value.len() >= 20 && is_drawn(value)
        }
    }
}

/// Whether a machine drew it, for sure: random by its pairs of characters, or hex, or a UUID.
pub(super) fn is_drawn(value: &[u8]) -> bool {
    if is_placeholder(value) {
        return false;
    }
    if is_hex(value) || is_uuid(value) {
        return true;
    }
    let bits = bits_per_pair(value);
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    match value.len() {
        0..12 => false,
        12..20 => bits > 4.8 && digits > 0,
        _ if digits == 0 => bits > 5.2,
        _ => bits > 4.5,
    }
}

/// Hex of 16 digits or more that is no run and no number.
fn is_hex(value: &[u8]) -> bool {
    value.len() >= 16
        && value.iter().all(u8::is_ascii_hexdigit)
        && value.iter().any(u8::is_ascii_digit)
        && value.iter().any(u8::is_ascii_alphabetic)
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
        && value.iter().any(u8::is_ascii_alphabetic)
}

/// A token under a name that says so: drawn, or with digits among letters in a way that words have not.
fn is_token(value: &[u8]) -> bool {
    if is_drawn(value) {
        return true;
    }
    let kinds = kinds(value);
    let bits = bits_per_pair(value);
    kinds.digits >= 2 && kinds.letters() >= 4 && (bits > 4.2 || kinds.strange > 0 && bits > 3.8)
}

/// A password as a person chooses one: kinds of characters that words and identifiers do not mix.
fn is_password(value: &[u8]) -> bool {
    let kinds = kinds(value);
    if is_drawn(value) || (kinds.strange > 0 && kinds.letters() > 0) {
        return true;
    }
    if kinds.digits > 0 && kinds.letters() > 0 {
        // `step2_form` and `oauth2` are names; `blue42horse` and `Summer2024` are not.
        let jointed = value
            .iter()
            .any(|byte| matches!(byte, b'_' | b'-' | b'.' | b'/'));
        return !jointed || (kinds.digits >= 3 && kinds.upper > 0);
    }
    bits_per_pair(value) > 5.0
}

#[derive(Default)]
struct Kinds {
    lower: usize,
    upper: usize,
    digits: usize,
    /// Signs that no identifier, path or word has.
    strange: usize,
}

impl Kinds {
    fn letters(&self) -> usize {
        self.lower + self.upper
    }
}

fn kinds(value: &[u8]) -> Kinds {
    let mut kinds = Kinds::default();
    for byte in value {
        match byte {
            b'a'..=b'z' => kinds.lower += 1,
            b'A'..=b'Z' => kinds.upper += 1,
            b'0'..=b'9' => kinds.digits += 1,
            b'_' | b'-' | b'.' | b'/' | b':' | b',' => {}
            _ => kinds.strange += 1,
        }
    }
    kinds
}

fn is_number(value: &[u8]) -> bool {
    let hex = value.strip_prefix(b"0x").unwrap_or_default();
    value.iter().all(|byte| {
        byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b':' | b'/' | b',')
    }) || (!hex.is_empty() && hex.len() <= 16 && hex.iter().all(u8::is_ascii_hexdigit))
}

/// A path of a file: `/etc/tls.key`, `./x`, `~/x`, `C:\x`, `certs/tls.key`.
fn is_path(value: &[u8]) -> bool {
    let first = (value.first(), value.get(1), value.get(2));
    let rooted = matches!(
        first,
        (Some(b'.' | b'~'), Some(b'/'), _) | (Some(b'.'), Some(b'.'), Some(b'/')) | (Some(b'a'..=b'z' | b'A'..=b'Z'), Some(b':'), Some(b'\\' | b'/'))
    );
    let slashes = memchr::memchr_iter(b'/', value).count();
    let plain = value.iter().all(|byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'/' | b'.' | b'_' | b'-' | b'~' | b'@' | b':')
    });
    // Base64 has slashes too; its parts do not read like words.
    rooted || (slashes > 0 && plain && bits_per_pair(value) < 4.6)
}

/// A URL, an e-mail address, a name of a host, a MIME type or header list; none of them is a secret by itself.
fn is_address(value: &[u8]) -> bool {
    if memchr::memmem::find(value, b"://").is_some() {
        return true;
    }
    let dotted = value.split(|byte| *byte == b'.');
    let mut labels = 0_usize;
    for label in dotted {
        if label.is_empty()
            || !label
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'@'))
        {
            return false;
        }
        labels += 1;
    }
    let at_signs = memchr::memchr_iter(b'@', value).count();
    let last = value
        .rsplit(|byte| *byte == b'.')
        .next()
        .unwrap_or_default();
    let ends_as_name = (2..=10).contains(&last.len()) && last.iter().all(u8::is_ascii_alphabetic);
    labels >= 2 && ends_as_name && at_signs <= 1 && bits_per_pair(value) < 4.6
}

/// What a language computes: calls, members, generics.
fn is_code(value: &[u8]) -> bool {
    let has = |wanted: &[u8]| memchr::memmem::find(value, wanted).is_some();
    let open = value.iter().position(|byte| *byte == b'(');
    let called = open.is_some_and(|at| {
        at > 0
            && value.get(..at).is_some_and(|name| {
                name.iter().all(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'!' | b'$')
                })
            })
    });
    called
        || has(b"=>")
        || has(b"->")
        || has(b"::")
        || has(b"&&")
        || has(b"||")
        || value.starts_with(b"&")
        || has(b"();")
        || (value.ends_with(b"]") && has(b"["))
}

/// One name, or names joined by dots.
fn is_identifier(value: &[u8]) -> bool {
    value
        .first()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'@' | b'$'))
        && value.iter().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'.' | b'@' | b'$' | b'-' | b'?' | b'!')
        })
}

#[cfg(test)]
mod tests;
