//! Arguments that are repeated in headers (2026-07-28, custom headers from tool parameters): what goes on says what the body says, because
//! something between here and the tool may go by the header alone.

use bailiwick_core::Problem;
use bailiwick_core::json::{Kind, Limits, Text, check};
use hyper::HeaderMap;

use super::{decoded, mismatch, single};

/// What the names of these headers begin with.
const PREFIX: &str = "mcp-param-";
/// Headers of one call; beyond this none goes on.
const MAX_HEADERS: usize = 64;
/// How deep an annotated property may lie.
const MAX_DEPTH: usize = 8;

/// The headers of this kind that a request has; none if there are too many.
pub(crate) fn candidates(headers: &HeaderMap) -> HeaderMap {
    let own = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with(PREFIX));
    let mut found = HeaderMap::new();
    for (name, value) in own {
        found.append(name.clone(), value.clone());
    }
    if found.len() > MAX_HEADERS {
        found.clear();
    }
    found
}

/// Those of these headers that the definition's schema asks for, each held against the argument that it repeats. Others stay here.
pub(crate) fn parameters(
    headers: &HeaderMap,
    definition: &str,
    arguments: &Text<'_>,
) -> Result<HeaderMap, Problem> {
    let mut onward = HeaderMap::new();
    if headers.is_empty() {
        return Ok(onward);
    }
    let Ok(definition) = check(definition.as_bytes(), &Limits::ENVELOPE.case_sensitive()) else {
        return Ok(onward);
    };
    let schema = definition.member("inputSchema");
    for name in headers.keys() {
        let wanted = name.as_str().strip_prefix(PREFIX).unwrap_or_default();
        let Some(path) = schema.and_then(|schema| annotated(&schema, wanted, MAX_DEPTH)) else {
            continue;
        };
        let argument = path
            .iter()
            .try_fold(*arguments, |at, key| at.member(key))
            .and_then(|argument| as_header(&argument));
        let said = single(headers, name)?.and_then(|value| decoded(&value));
        if said.is_none() || said != argument {
            let body = argument.as_deref().unwrap_or("(none)");
            return Err(mismatch(name, said.as_deref().unwrap_or("(none)"), body));
        }
        if let Some(value) = headers.get(name) {
            onward.insert(name, value.clone());
        }
    }
    Ok(onward)
}

/// The keys of `properties` that lead to the one annotated with this name, compared without case.
fn annotated(schema: &Text<'_>, wanted: &str, depth: usize) -> Option<Vec<String>> {
    let properties = schema.member("properties")?;
    for property in properties.members()? {
        let own = property.value.member("x-mcp-header");
        let own = own.and_then(|name| name.string());
        if own.is_some_and(|own| own.eq_ignore_ascii_case(wanted)) {
            return Some(vec![property.key.into_owned()]);
        }
        let below = depth
            .checked_sub(1)
            .and_then(|depth| annotated(&property.value, wanted, depth));
        if let Some(mut path) = below {
            path.insert(0, property.key.into_owned());
            return Some(path);
        }
    }
    None
}

/// A value as a header says it; none if no header may.
fn as_header(value: &Text<'_>) -> Option<String> {
    match value.kind() {
        Kind::String => Some(value.string()?.into_owned()),
        Kind::Number | Kind::Bool => Some(value.as_str().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
