//! Strings of a JSON text: scanning with every escape verified, unescaping, case folding of keys (RFC 8259 §7).

use std::borrow::Cow;

use super::{Flaw, JsonError};

/// Verifies the string whose opening quote is at `start` and returns the offset after its closing quote.
pub(super) fn scan_string(bytes: &[u8], start: usize) -> Result<usize, JsonError> {
    let mut at = start + 1;
    loop {
        match bytes.get(at) {
            None => return Err(JsonError::new(Flaw::End, at)),
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = scan_escape(bytes, at)?,
            Some(0..=0x1f) => return Err(JsonError::new(Flaw::Control, at)),
            Some(_) => at += 1,
        }
    }
}

/// What a string (quotes included, already verified) stands for.
pub(super) fn unescape(quoted: &str) -> Cow<'_, str> {
    let inner = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(quoted);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = escaped.chars();
        let letter = chars.next();
        rest = chars.as_str();
        match letter {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => rest = push_unicode(rest, &mut out),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// A form in which two keys are equal if any common decoder takes one for the other: lower, upper and lower again,
/// so that every letter meets its whole family (`ſ`, `K`, `ẞ`).
pub(super) fn fold(key: &str) -> Cow<'_, str> {
    if key
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
    {
        return Cow::Borrowed(key);
    }
    if key.is_ascii() {
        return Cow::Owned(key.to_ascii_lowercase());
    }
    Cow::Owned(
        key.chars()
            .flat_map(char::to_lowercase)
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase)
            .collect(),
    )
}

fn scan_escape(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    match bytes.get(at + 1) {
        None => Err(JsonError::new(Flaw::End, at + 1)),
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match hex_unit(bytes, at + 2)? {
            0xd800..=0xdbff => {
                let pair = bytes.get(at + 6) == Some(&b'\\') && bytes.get(at + 7) == Some(&b'u');
                if pair && matches!(hex_unit(bytes, at + 8)?, 0xdc00..=0xdfff) {
                    Ok(at + 12)
                } else {
                    Err(JsonError::new(Flaw::Surrogate, at))
                }
            }
            0xdc00..=0xdfff => Err(JsonError::new(Flaw::Surrogate, at)),
            _ => Ok(at + 6),
        },
        Some(_) => Err(JsonError::new(Flaw::Escape, at)),
    }
}

fn hex_unit(bytes: &[u8], start: usize) -> Result<u32, JsonError> {
    let mut unit = 0;
    for at in start..start + 4 {
        let byte = *bytes.get(at).ok_or(JsonError::new(Flaw::End, at))?;
        let digit = char::from(byte)
            .to_digit(16)
            .ok_or(JsonError::new(Flaw::Escape, at))?;
        unit = unit * 16 + digit;
    }
    Ok(unit)
}

/// Appends the character of one `\uXXXX` or surrogate pair and returns what follows it.
fn push_unicode<'a>(after_u: &'a str, out: &mut String) -> &'a str {
    let unit = |text: &str| {
        text.get(..4)
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
    };
    let Some(high) = unit(after_u) else {
        return after_u;
    };
    let mut rest = after_u.get(4..).unwrap_or_default();
    let mut code = high;
    if (0xd800..0xdc00).contains(&high)
        && let Some(low) = rest.strip_prefix("\\u").and_then(unit)
    {
        code = 0x1_0000 + ((high - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff);
        rest = rest.get(6..).unwrap_or_default();
    }
    out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
    rest
}
