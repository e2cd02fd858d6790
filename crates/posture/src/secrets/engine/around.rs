//! What is round a hit: the piece that a rule sees, the line, the name, and where a token begins and ends.

use std::ops::Range;

use crate::secrets::find::Severity;
use crate::secrets::key_name;
use crate::secrets::rule::Rule;
use crate::secrets::validate::Check;

/// Bytes before a hit, on its line, and after it, up to the end of the next line, that a rule sees.
const BEFORE: usize = 256;
const AFTER: usize = 1_024;
/// Bytes after the literal of a private key, a token of many kilobytes.
const AFTER_LONG: usize = 12 * 1_024;

/// The piece that a rule sees round a hit, and up to where it has looked then.
pub(super) fn region(text: &[u8], hit: &Range<usize>, rule: &Rule) -> (Range<usize>, usize) {
    let (start, _) = line_round(text, hit.start);
    let long =
        matches!(rule.check, Check::Jwt) || rule.severity == Severity::Critical || rule.group == 0;
    let after = hit.end + if long { AFTER_LONG } else { AFTER };
    let after = after.min(text.len());
    let rest = text.get(hit.end..after).unwrap_or_default();
    let line_end = memchr::memchr2(b'\n', 0, rest).map_or(after, |end| hit.end + end);
    let rest = text
        .get((line_end + 1).min(after)..after)
        .unwrap_or_default();
    let next_end = memchr::memchr2(b'\n', 0, rest).map_or(after, |end| line_end + 1 + end);
    let end = next_end.min(line_end + AFTER).max(line_end.min(after));
    // A line that was cut is looked at again from the next hit on.
    let looked = if line_end == after && after < text.len() {
        hit.end
    } else {
        line_end
    };
    (start..end, looked)
}

/// The line of a place, at most so far on each side.
pub(super) fn line_round(text: &[u8], at: usize) -> (usize, usize) {
    let from = at.saturating_sub(BEFORE);
    let before = text.get(from..at).unwrap_or_default();
    let start = memchr::memrchr2(b'\n', 0, before).map_or(from, |end| from + end + 1);
    let to = (at + AFTER).min(text.len());
    let after = text.get(at..to).unwrap_or_default();
    let end = memchr::memchr2(b'\n', 0, after).map_or(to, |end| at + end);
    (start, end)
}

/// The name that a bearing word belongs to.
pub(super) fn name_around(text: &[u8], hit: &Range<usize>) -> Option<Range<usize>> {
    let is_part =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$');
    let most = key_name::LONGEST / 2;
    let before = text.get(hit.start.saturating_sub(most + 1)..hit.start)?;
    let left = before.iter().rev().take_while(|byte| is_part(byte)).count();
    let after = text.get(hit.end..(hit.end + most + 1).min(text.len()))?;
    let right = after.iter().take_while(|byte| is_part(byte)).count();
    // Longer than any name: it is in the middle of base64 or a minified file.
    if left > most || right > most {
        return None;
    }
    let mut end = hit.end + right;
    // The dot at the end of a sentence.
    while end > hit.end && matches!(text.get(end - 1), Some(b'.' | b'-')) {
        end -= 1;
    }
    Some(hit.start - left..end)
}

/// Whether a token may begin here: after what is no letter or digit, or after an escape that ends in one.
pub(super) fn begins_token(text: &[u8], at: usize) -> bool {
    let byte = |back: usize| at.checked_sub(back).and_then(|at| text.get(at)).copied();
    let starts_as_word = text.get(at).is_some_and(u8::is_ascii_alphanumeric);
    match byte(1) {
        Some(before) if starts_as_word && before.is_ascii_alphanumeric() => {
            let escape = byte(2) == Some(b'\\') && matches!(before, b'n' | b'r' | b't');
            let percent = byte(3) == Some(b'%')
                && before.is_ascii_hexdigit()
                && byte(2).is_some_and(|byte| byte.is_ascii_hexdigit());
            escape || percent
        }
        _ => true,
    }
}

/// Whether the token ends where the match does.
pub(super) fn ends_token(text: &[u8], range: &Range<usize>) -> bool {
    let last_is_word = range
        .end
        .checked_sub(1)
        .and_then(|at| text.get(at))
        .is_some_and(u8::is_ascii_alphanumeric);
    !(last_is_word && text.get(range.end).is_some_and(u8::is_ascii_alphanumeric))
}
