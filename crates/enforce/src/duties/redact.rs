//! Takes labelled leaves out of an answer (`redact:<label>`): exactly their bytes are replaced, all else stays as it was.

use std::ops::Range;

use bailiwick_core::binding::Binding;
use bailiwick_core::json::{Kind, Limits, Text, check};
use bailiwick_core::label::Label;
use bytes::Bytes;
use serde_json::json;

use crate::content::Content;
use crate::mcp::splice::Splices;

/// An answer with words that have no path: what should be taken out could stand anywhere in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not all JSON, so what should be taken out cannot be found in it")]
pub(crate) struct Unredactable;

/// The answer without the leaves that the binding labels so. `whole` is the JSON-RPC response as received.
pub(crate) fn redact(
    raw: &Bytes,
    result: &Text<'_>,
    binding: &Binding,
    labels: &[Label],
) -> Result<Bytes, Unredactable> {
    if !Content::of(result).is_structured() {
        return Err(Unredactable);
    }
    let paths: Vec<(Vec<&str>, &Label)> = binding
        .paths
        .iter()
        .filter(|(_, label)| labels.contains(label))
        .map(|(path, label)| (path.as_str().split('/').skip(1).collect(), label))
        .collect();
    let mut splices = Splices::default();
    if let Some(value) = result.member("structuredContent") {
        for (range, bytes) in cuts(&value, &paths) {
            splices.replace(range, bytes);
        }
    }
    let blocks = result
        .member("content")
        .and_then(|content| content.elements());
    for block in blocks.unwrap_or_default() {
        let embedded = || {
            block
                .member("resource")
                .and_then(|resource| resource.member("text"))
        };
        let Some(own) = block.member("text").or_else(embedded) else {
            continue;
        };
        // It was read as a value a moment ago; what cannot be read now is not released.
        let inner = own.string().ok_or(Unredactable)?;
        let value = check(inner.as_bytes(), &LIMITS).map_err(|_| Unredactable)?;
        let mut within = Splices::default();
        for (range, bytes) in cuts(&value, &paths) {
            within.replace(range, bytes);
        }
        if !within.is_empty() {
            let text = within.apply(inner.as_bytes());
            let text = String::from_utf8(text).map_err(|_| Unredactable)?;
            splices.replace(own.range(), json!(text).to_string());
        }
    }
    if splices.is_empty() {
        return Ok(raw.clone());
    }
    Ok(Bytes::from(splices.apply(raw)))
}

/// The places to replace, and by what. Places inside others are replaced with them.
fn cuts(value: &Text<'_>, paths: &[(Vec<&str>, &Label)]) -> Vec<(Range<usize>, Vec<u8>)> {
    let mut cuts: Vec<(Range<usize>, Vec<u8>)> = Vec::new();
    for (path, label) in paths {
        at(value, path, &mut |found| {
            let bytes = match found.kind() {
                Kind::String => json!(format!("[redacted: {label}]"))
                    .to_string()
                    .into_bytes(),
                _ => b"null".to_vec(),
            };
            cuts.push((found.range(), bytes));
        });
    }
    cuts.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let mut end = 0;
    cuts.retain(|(range, _)| {
        let apart = range.start >= end;
        end = end.max(range.end);
        apart
    });
    cuts
}

/// Visits every value at a path, and all of what is there if that is no leaf.
fn at<'a>(value: &Text<'a>, path: &[&str], visit: &mut impl FnMut(&Text<'a>)) {
    let Some((segment, rest)) = path.split_first() else {
        visit(value);
        return;
    };
    if *segment == "*" {
        for element in value.elements().unwrap_or_default() {
            at(&element, rest, visit);
        }
        return;
    }
    let name = match *segment {
        "~2" => "*".to_owned(),
        name => name.replace("~1", "/").replace("~0", "~"),
    };
    if let Some(member) = value.member(&name) {
        at(&member, rest, visit);
    }
}

/// As [`Content`] reads text.
const LIMITS: Limits = Limits {
    bytes: 16 << 20,
    ..Limits::ENVELOPE.case_sensitive()
};
