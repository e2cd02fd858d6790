//! Canonical form of a JSON text (RFC 8785), for digests: keys sorted by UTF-16 code units, no blanks, one way to
//! escape, and numbers either as ECMAScript writes them or as they were written.

use super::reader::Token;
use super::strings::unescape;
use super::text::slice;
use super::{Flaw, JsonError, Text};

/// How canonical form writes numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// As ECMAScript writes a double (RFC 8785 §3.2.2.3): digests that others can recompute.
    Ecmascript,
    /// Digit for digit: no two different texts become one where integers pass 2⁵³.
    AsWritten,
}

impl Text<'_> {
    /// The canonical bytes. Fails only on a number that no double holds, and only with [`Numbers::Ecmascript`].
    pub fn canonical(&self, numbers: Numbers) -> Result<Vec<u8>, JsonError> {
        let mut reader = self.reader();
        // One buffer per open container; an object's are kept apart until it closes and can be sorted.
        let mut open: Vec<Open> = Vec::new();
        let mut done = Vec::new();
        while let Some((token, range)) = reader.next()? {
            let own = slice(self.as_str(), &range);
            let value = match token {
                Token::ObjectStart => {
                    open.push(Open::Object(Vec::new()));
                    continue;
                }
                Token::ArrayStart => {
                    open.push(Open::Array(Vec::new()));
                    continue;
                }
                Token::Key => {
                    if let Some(Open::Object(members)) = open.last_mut() {
                        members.push((unescape(own).into_owned(), Vec::new()));
                    }
                    continue;
                }
                Token::ObjectEnd | Token::ArrayEnd => match open.pop() {
                    Some(container) => container.close(),
                    None => Vec::new(),
                },
                Token::String => quote(&unescape(own)),
                Token::Number if numbers == Numbers::Ecmascript => ecmascript(own)
                    .ok_or(JsonError::new(Flaw::NumberRange, range.start))?
                    .into_bytes(),
                Token::Number | Token::Bool(_) | Token::Null => own.as_bytes().to_vec(),
            };
            match open.last_mut() {
                None => done = value,
                Some(Open::Array(elements)) => {
                    if !elements.is_empty() {
                        elements.push(b',');
                    }
                    elements.extend(value);
                }
                Some(Open::Object(members)) => {
                    if let Some(member) = members.last_mut() {
                        member.1 = value;
                    }
                }
            }
        }
        Ok(done)
    }
}

enum Open {
    Object(Vec<(String, Vec<u8>)>),
    Array(Vec<u8>),
}

impl Open {
    fn close(self) -> Vec<u8> {
        match self {
            Self::Array(elements) => [b"[", elements.as_slice(), b"]"].concat(),
            Self::Object(mut members) => {
                members.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
                let mut out = vec![b'{'];
                for (position, (name, value)) in members.iter().enumerate() {
                    if position > 0 {
                        out.push(b',');
                    }
                    out.extend(quote(name));
                    out.push(b':');
                    out.extend(value);
                }
                out.push(b'}');
                out
            }
        }
    }
}

/// RFC 8785 §3.2.2.2: the two-letter escapes where they exist, `\u00xx` for other controls, all else as it is.
fn quote(text: &str) -> Vec<u8> {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control if control < ' ' => out.extend(unicode_escape(control)),
            other => out.push(other),
        }
    }
    out.push('"');
    out.into_bytes()
}

fn unicode_escape(control: char) -> impl Iterator<Item = char> {
    let digit = |shift: u32| char::from_digit((u32::from(control) >> shift) & 0xf, 16);
    ['\\', 'u', '0', '0']
        .into_iter()
        .chain(digit(4))
        .chain(digit(0))
}

/// `Number::toString` of ECMA-262 §6.1.6.1.20: the shortest digits that read back as the same double.
fn ecmascript(number: &str) -> Option<String> {
    let value: f64 = number.parse().ok()?;
    if !value.is_finite() {
        return None;
    }
    if value == 0.0 {
        return Some("0".to_owned());
    }
    let (digits, exponent) = scientific(&format!("{:e}", value.abs()))?;
    let digits = even_of_two(digits, exponent, value.abs());
    let count = i32::try_from(digits.len()).ok()?;
    let point = exponent + 1;
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let unsigned = if (count..=21).contains(&point) {
        format!("{digits}{}", zeros(point - count))
    } else if (1..=21).contains(&point) {
        let (whole, fraction) = digits.split_at_checked(usize::try_from(point).ok()?)?;
        format!("{whole}.{fraction}")
    } else if (-5..=0).contains(&point) {
        format!("0.{}{digits}", zeros(-point))
    } else {
        let (first, rest) = digits.split_at_checked(1)?;
        let dot = if rest.is_empty() { "" } else { "." };
        let sign = if point > 0 { "+" } else { "-" };
        format!("{first}{dot}{rest}e{sign}{}", (point - 1).abs())
    };
    let minus = if value < 0.0 { "-" } else { "" };
    Some(format!("{minus}{unsigned}"))
}

/// Digits and exponent of a number that Rust wrote in scientific notation.
fn scientific(written: &str) -> Option<(String, i32)> {
    let (mantissa, exponent) = written.split_once('e')?;
    Some((mantissa.replace('.', ""), exponent.parse().ok()?))
}

/// Where `value` lies exactly between two shortest forms, ECMA-262 takes the even one (note 2); Rust promises neither.
fn even_of_two(digits: String, exponent: i32, value: f64) -> String {
    let other = || {
        let shortest: u64 = digits.parse().ok()?;
        let one_more = format!("{value:.*e}", digits.len());
        if shortest.is_multiple_of(2) || !scientific(&one_more)?.0.ends_with('5') {
            return None;
        }
        let (exact, _) = scientific(&format!("{value:.EXACT_DIGITS$e}"))?;
        let (below, rest) = exact.split_at_checked(digits.len())?;
        if rest.trim_end_matches('0') != "5" {
            return None;
        }
        let other = if below == digits {
            shortest + 1
        } else {
            shortest - 1
        };
        let last = exponent - i32::try_from(digits.len()).ok()? + 1;
        let same = format!("{other}e{last}").parse() == Ok(value);
        same.then(|| other.to_string())
    };
    other().unwrap_or(digits)
}

/// No double has more significant decimal digits than this.
const EXACT_DIGITS: usize = 770;
