//! MCP's HTTP headers: which go on to the tool server, and that they say what the body says (04 §2, §3).

mod parameters;

use bailiwick_core::json::Text;
use bailiwick_core::{Code, Problem};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::HeaderName;

use super::envelope::Envelope;
use super::revision::{META_CAPABILITIES, META_VERSION, Revision, names, revision};

/// `Mcp-Session-Id`
pub(crate) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// `MCP-Protocol-Version`
pub(crate) const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// `Mcp-Method`
pub(crate) const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// `Mcp-Name`
pub(crate) const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// Headers that go on. Everything else stays here: credentials, cookies, and what we cannot hold against the body.
const ONWARD: &[&str] = &[
    "mcp-protocol-version",
    "mcp-method",
    "mcp-name",
    "traceparent",
    "tracestate",
];

pub(crate) use parameters::{candidates, parameters};

/// The headers for the tool server.
pub(crate) fn onward(headers: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::new();
    for name in ONWARD.iter().map(|name| HeaderName::from_static(name)) {
        if let Some(value) = headers.get(&name) {
            out.insert(name, value.clone());
        }
    }
    out
}

/// The revision of a message that stands alone; none if it belongs to a session with a handshake. Header and body must agree, and both
/// must be there as soon as one of them names such a revision. What is missing in the body is the body's fault, before any header's.
pub(crate) fn standing_alone(
    headers: &HeaderMap,
    envelope: &Envelope,
) -> Result<Option<&'static Revision>, Problem> {
    let header = single(headers, &VERSION)?;
    let body = meta_version(envelope);
    // A handshake names its revision in the body alone, and 2026-07-28 clients may ask for theirs in one.
    if envelope.method() == Some("initialize") {
        return Ok(None);
    }
    let request = envelope.id().is_some() && envelope.method().is_some();
    let name = match (&header, &body) {
        (Some(header), Some(body)) if header != body => {
            return Err(mismatch(&VERSION, header, body));
        }
        (None, Some(body)) if request => return Err(mismatch(&VERSION, "(none)", body)),
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) => return Ok(None),
    };
    let found = revision(name).ok_or_else(|| unsupported(name))?;
    if found.handshake {
        return Ok(None);
    }
    if request && body.is_none() {
        let message = format!("a request of revision {name} names it in `_meta`");
        let help = format!("send `_meta` with {META_VERSION} and {META_CAPABILITIES}");
        return Err(Problem::new(Code::EnvelopeInvalid, message, help));
    }
    check_routing(headers, envelope)?;
    Ok(Some(found))
}

/// Holds `Mcp-Method` and `Mcp-Name` against the body.
fn check_routing(headers: &HeaderMap, envelope: &Envelope) -> Result<(), Problem> {
    let Some(method) = envelope.method() else {
        return Ok(());
    };
    match single(headers, &METHOD)? {
        Some(header) if header == method => {}
        found => {
            return Err(mismatch(
                &METHOD,
                found.as_deref().unwrap_or("(none)"),
                method,
            ));
        }
    }
    let member = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        // Of other methods the header has no meaning.
        _ => return Ok(()),
    };
    let body = envelope
        .params()
        .and_then(|params| params.member(member))
        .and_then(|value| value.string());
    let body = body.as_deref().unwrap_or("(none)");
    match single(headers, &NAME)?.map(|value| decoded(&value)) {
        Some(Some(header)) if header == body => Ok(()),
        found => Err(mismatch(
            &NAME,
            found.flatten().as_deref().unwrap_or("(none)"),
            body,
        )),
    }
}

/// A version header in a session must be the one that was agreed.
pub(crate) fn check_agreed(headers: &HeaderMap, agreed: Option<&str>) -> Result<(), Problem> {
    let header = single(headers, &VERSION)?;
    match (header, agreed) {
        (Some(header), Some(agreed)) if header != agreed => {
            Err(mismatch(&VERSION, &header, agreed))
        }
        (Some(header), None) if revision(&header).is_none() => Err(unsupported(&header)),
        _ => Ok(()),
    }
}

/// The one value of a header; two are refused, because nobody can say which one counts.
pub(crate) fn single(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(mismatch(name, "two values", "one value"));
    }
    match first.map(|value| value.to_str()) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text.to_owned())),
        Some(Err(_)) => Err(mismatch(name, "not visible ASCII", "visible ASCII")),
    }
}

/// The revision that the request's `_meta` names.
pub(crate) fn meta_version(envelope: &Envelope) -> Option<String> {
    let meta: Text<'_> = envelope.params()?.member("_meta")?;
    Some(meta.member(META_VERSION)?.string()?.into_owned())
}

/// Values that are not visible ASCII come as `=?base64?…?=`.
fn decoded(value: &str) -> Option<String> {
    match value
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="))
    {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

fn mismatch(name: &HeaderName, header: &str, body: &str) -> Problem {
    let short = |text: &str| text.chars().take(128).collect::<String>();
    let message = format!(
        "header {name} says `{}`, the message says `{}`",
        short(header),
        short(body)
    );
    Problem::new(
        Code::HeaderMismatch,
        message,
        "send headers that repeat the body",
    )
}

fn unsupported(name: &str) -> Problem {
    let message = format!(
        "MCP revision `{}` is not spoken here",
        name.chars().take(32).collect::<String>()
    );
    Problem::new(
        Code::VersionUnsupported,
        message,
        format!("use one of {}", names().join(", ")),
    )
}

#[cfg(test)]
mod tests;
