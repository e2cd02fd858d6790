//! Changing a JSON text by replacing byte ranges and nothing else: what is not named stays byte for byte (04 §1, the splice rule).

use std::ops::Range;

use bailiwick_core::json::{Kind, Text};

/// Ranges of one text to replace, in any order; they must not overlap.
#[derive(Debug, Default)]
pub struct Splices(Vec<(Range<usize>, Vec<u8>)>);

impl Splices {
    /// Replaces `range` by `bytes`.
    pub fn replace(&mut self, range: Range<usize>, bytes: impl Into<Vec<u8>>) {
        self.0.push((range, bytes.into()));
    }

    /// True if nothing is replaced.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text with all replacements. Ranges that overlap or lie outside are a defect and leave the text's tail out, so that it no
    /// longer parses and goes nowhere.
    pub fn apply(mut self, text: &[u8]) -> Vec<u8> {
        self.0.sort_by_key(|(range, _)| (range.start, range.end));
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        for (range, bytes) in self.0 {
            let Some(kept) = text.get(at..range.start) else {
                return out;
            };
            out.extend_from_slice(kept);
            out.extend(bytes);
            at = range.end;
        }
        out.extend_from_slice(text.get(at..).unwrap_or_default());
        out
    }

    /// Removes the parts of a list or object that `keep` refuses, with exactly the commas that go with them. `parts` are the ranges of
    /// all parts in their order.
    pub fn retain(&mut self, parts: &[Range<usize>], keep: impl Fn(usize) -> bool) -> usize {
        let mut removed = 0;
        let mut kept_before = false;
        for (index, range) in parts.iter().enumerate() {
            if keep(index) {
                kept_before = true;
                continue;
            }
            removed += 1;
            // With something kept before, the comma before goes; otherwise the comma after.
            let previous = index.checked_sub(1).and_then(|before| parts.get(before));
            let next = parts.get(index + 1);
            let range = match (kept_before, previous, next) {
                (true, Some(previous), _) => previous.end..range.end,
                (_, _, Some(next)) => range.start..next.start,
                _ => range.clone(),
            };
            self.replace(range, Vec::new());
        }
        removed
    }

    /// Puts `member` (`"name":value`) at the end of an object.
    pub fn append_member(&mut self, object: &Text<'_>, member: &str) {
        let end = object.range().end.saturating_sub(1);
        let comma = if object.members().is_some_and(|members| !members.is_empty()) {
            ","
        } else {
            ""
        };
        self.replace(end..end, format!("{comma}{member}").into_bytes());
    }
}

/// The ranges of an object's members, name to value.
pub fn member_ranges(object: &Text<'_>) -> Vec<Range<usize>> {
    let members = object.members().unwrap_or_default();
    members
        .iter()
        .map(|member| member.key_range.start..member.value.range().end)
        .collect()
}

/// The object without the members whose name `drop` picks; other values come back as they are.
pub fn without_members(object: &Text<'_>, drop: impl Fn(&str) -> bool) -> Vec<u8> {
    if object.kind() != Kind::Object {
        return object.as_bytes().to_vec();
    }
    let members = object.members().unwrap_or_default();
    let start = object.range().start;
    let ranges: Vec<_> = member_ranges(object)
        .into_iter()
        .map(|range| range.start - start..range.end - start)
        .collect();
    let mut splices = Splices::default();
    splices.retain(&ranges, |index| {
        members.get(index).is_some_and(|member| !drop(&member.key))
    });
    splices.apply(object.as_bytes())
}

/// The same value on one line: what separates tokens may hold line breaks, which end a message on stdio and in server-sent events. Within
/// strings there are none, because the strict scanner refuses raw control characters.
pub fn on_one_line(checked: &[u8]) -> Vec<u8> {
    checked
        .iter()
        .map(|byte| {
            if matches!(byte, b'\n' | b'\r') {
                b' '
            } else {
                *byte
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
