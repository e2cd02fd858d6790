//! Encodings that secrets are wrapped in. What comes out is bounded: two layers, eight MiB, four times what went in.

use std::io::Read as _;
use std::ops::Range;

use zeroize::Zeroizing;

use super::validate::decoded_base64;

/// Layers that are unwrapped.
pub(super) const DEEPEST: usize = 2;
/// Bytes that one layer may grow to.
const MOST: usize = 8 * 1024 * 1024;
/// Least length of a run of base64 or hex that is looked into.
const LEAST: usize = 24;
const LEAST_HEX: usize = 32;
/// Longest run that is decoded; longer ones are files, and pictures.
const LONGEST: usize = 1024 * 1024;
/// Bytes that are looked at to see whether a run decodes to text.
const LOOK: usize = 64;

/// A piece of text that was unwrapped.
pub(super) struct Unwrapped {
    pub(super) range: Range<usize>,
    pub(super) how: &'static str,
    pub(super) text: Zeroizing<Vec<u8>>,
}

/// Everything in `text` that decodes to text, in order.
pub(super) fn unwrap(text: &[u8], each: &mut dyn FnMut(Unwrapped)) {
    for range in runs(text) {
        let Some(run) = text.get(range.clone()) else {
            continue;
        };
        if let Some((how, decoded)) = decoded(run) {
            each(Unwrapped {
                range,
                how,
                text: decoded,
            });
        }
    }
}

/// A run of base64 or hex, decoded if text comes out.
fn decoded(run: &[u8]) -> Option<(&'static str, Zeroizing<Vec<u8>>)> {
    if run.len() >= LEAST_HEX
        && run.len().is_multiple_of(2)
        && run.iter().all(u8::is_ascii_hexdigit)
    {
        let bytes = hex(run)?;
        return is_text(&bytes).then_some(("hex", bytes));
    }
    if run.starts_with(b"H4sI") {
        let packed = decoded_base64(run)?;
        return gunzip(&packed, packed.len()).map(|text| ("gzip", text));
    }
    // Most runs are paths, names and hashes: a few characters tell.
    let head = run.get(..LOOK.min(run.len()) / 4 * 4)?;
    if !is_text(&decoded_base64(head)?) {
        return None;
    }
    let bytes = decoded_base64(run)?;
    is_text(&bytes).then_some(("base64", bytes))
}

/// The text that a whole value stands for in base64 or hex, as passwords in manifests do. Twelve characters of base64 that were drawn decode
/// to text once in many thousands.
pub(super) fn of_value(value: &[u8]) -> Option<(&'static str, Zeroizing<Vec<u8>>)> {
    if value.len() >= 16 && value.len().is_multiple_of(2) && value.iter().all(u8::is_ascii_hexdigit)
    {
        let bytes = hex(value)?;
        return is_text(&bytes).then_some(("hex", bytes));
    }
    if value.len() < 12 || !value.len().is_multiple_of(4) {
        return None;
    }
    let bytes = decoded_base64(value)?;
    is_text(&bytes).then_some(("base64", bytes))
}

/// A gzip member (RFC 1952), if it is one and stays within bounds.
pub(super) fn gunzip(packed: &[u8], length: usize) -> Option<Zeroizing<Vec<u8>>> {
    if !packed.starts_with(&[0x1f, 0x8b]) {
        return None;
    }
    // Four times, but small ones may grow more: text of a kilobyte packs well.
    let bound = length.saturating_mul(4).clamp(64 * 1024, MOST);
    let mut text = Zeroizing::new(Vec::new());
    let mut reader = flate2::read::GzDecoder::new(packed).take(u64::try_from(bound).ok()?);
    // A damaged end leaves what came before it.
    let _ = reader.read_to_end(&mut text);
    (!text.is_empty()).then_some(text)
}

/// `%XX` decoded; none if there is none.
pub(super) fn percent(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    memchr::memchr(b'%', text)?;
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut at = 0;
    let mut changed = false;
    while let Some(byte) = text.get(at) {
        let pair = text
            .get(at + 1)
            .zip(text.get(at + 2))
            .and_then(|(high, low)| Some(nibble(*high)? << 4 | nibble(*low)?));
        if let (b'%', Some(value)) = (byte, pair) {
            decoded.push(value);
            changed = true;
            at += 3;
        } else {
            decoded.push(*byte);
            at += 1;
        }
    }
    changed.then_some(decoded)
}

/// The escapes of JSON and most languages decoded; none if there is none.
pub(super) fn unescape(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    memchr::memchr(b'\\', text)?;
    let mut plain = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        if *byte != b'\\' {
            plain.push(*byte);
            continue;
        }
        match text.get(at) {
            Some(b'n') => plain.push(b'\n'),
            Some(b'r') => plain.push(b'\r'),
            Some(b't') => plain.push(b'\t'),
            Some(kind @ (b'u' | b'x')) => {
                let digits = if *kind == b'u' { 4 } else { 2 };
                let value = text.get(at + 1..at + 1 + digits).and_then(|hex| {
                    hex.iter().try_fold(0_u32, |value, digit| {
                        Some(value << 4 | u32::from(nibble(*digit)?))
                    })
                });
                match value.and_then(char::from_u32) {
                    Some(sign) => {
                        plain.extend_from_slice(sign.encode_utf8(&mut [0; 4]).as_bytes());
                        at += digits;
                    }
                    None => plain.push(*kind),
                }
            }
            Some(other) => plain.push(*other),
            None => break,
        }
        at += 1;
    }
    Some(plain)
}

/// UTF-16 with a byte order mark, as other systems write text files; ASCII is kept, all else becomes a blank.
pub(super) fn utf16(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (little, rest) = match text {
        [0xff, 0xfe, rest @ ..] => (true, rest),
        [0xfe, 0xff, rest @ ..] => (false, rest),
        _ => return None,
    };
    let units = rest.as_chunks::<2>().0.iter();
    let plain = units.map(|[first, second]| {
        let (low, high) = if little {
            (first, second)
        } else {
            (second, first)
        };
        if *high == 0 && low.is_ascii() {
            *low
        } else {
            b' '
        }
    });
    Some(Zeroizing::new(plain.collect()))
}

/// Runs of the characters of base64, long enough to hold a secret.
fn runs(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            // A run of LEAST bytes covers every LEAST-th one: look there only.
            let probe = at + LEAST - 1;
            if !is_base64(*text.get(probe)?) {
                at = probe + 1;
                continue;
            }
            let start = (at..probe)
                .rev()
                .find(|before| !text.get(*before).is_some_and(|byte| is_base64(*byte)))
                .map_or(at, |edge| edge + 1);
            let length = text
                .get(probe..)?
                .iter()
                .take_while(|byte| is_base64(**byte))
                .count();
            let mut end = probe + length;
            at = end + 1;
            if end - start < LEAST || end - start > LONGEST {
                continue;
            }
            let padding = text
                .get(end..)
                .unwrap_or_default()
                .iter()
                .take(2)
                .take_while(|byte| **byte == b'=')
                .count();
            end += padding;
            return Some(start..end);
        }
    })
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

fn hex(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (pairs, _) = text.as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?))
        .collect();
    bytes.map(Zeroizing::new)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Text is ASCII that prints, line ends and tabs.
fn is_text(bytes: &[u8]) -> bool {
    bytes.len() >= 8
        && bytes
            .iter()
            .all(|byte| (0x20..0x7f).contains(byte) || matches!(byte, b'\n' | b'\r' | b'\t'))
}

#[cfg(test)]
mod tests;
