//! Heads of requests and answers, made anew: no framing, no word about the connection and no claim of who asked goes on.

use hyper::HeaderMap;
use hyper::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, HeaderName, HeaderValue, TRANSFER_ENCODING,
};

use super::redactor::Patterns;
use super::slot::Slot;

/// Most fields of a request's head.
pub const MAX_FIELDS: usize = 100;

/// Fields that belong to one connection or its framing (RFC 9110 §7.6.1), and those that this node sets itself.
const OURS: [&str; 15] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "host",
    "content-length",
    "expect",
    "accept-encoding",
    "max-forwards",
];

/// Fields of requests that say who asks or by which way, that change what the line of the request said, credentials of the agent's own, and
/// what asks for a part of an answer.
const NOT_ON: [&str; 28] = [
    "authorization",
    "dpop",
    "cookie",
    "cookie2",
    "forwarded",
    "x-forwarded",
    "via",
    "origin",
    "referer",
    "x-real-ip",
    "true-client-ip",
    "client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-original-url",
    "x-original-uri",
    "x-original-host",
    "x-rewrite-url",
    "x-envoy-original-path",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-host",
    // Two answers of parts would let the secret through in two halves.
    "range",
    "if-range",
    "request-range",
];

/// Fields of answers that stay here, beside those of the connection: what browsers keep, and what would lead around this node.
const NOT_BACK: [&str; 6] = [
    "set-cookie",
    "set-cookie2",
    "alt-svc",
    "clear-site-data",
    "dpop-nonce",
    "content-encoding",
];

/// Whether a field belongs to the connection or its framing.
pub fn is_ours(name: &HeaderName) -> bool {
    OURS.contains(&name.as_str())
}

/// The head of the request to the upstream, but for its slot.
pub fn onward(received: &HeaderMap, slot: &Slot) -> HeaderMap {
    let named = named_by_connection(received);
    let mut out = HeaderMap::new();
    for (name, value) in received {
        let text = name.as_str();
        let stays = is_ours(name)
            || NOT_ON.contains(&text)
            || text.starts_with("x-forwarded-")
            // CGI (RFC 3875 §4.1.18), WSGI and PHP read `_` and `-` in a name alike.
            || text.contains('_')
            || named.iter().any(|named| named == text)
            || slot.header() == Some(name);
        if !stays {
            out.append(name.clone(), value.clone());
        }
    }
    out.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    out
}

/// The head of the answer to the caller, without the secret, and how often that stood in it.
pub fn back(received: &HeaderMap, patterns: &Patterns) -> (HeaderMap, u64) {
    let named = named_by_connection(received);
    let mut out = HeaderMap::new();
    let mut hits = 0;
    for (name, value) in received {
        let text = name.as_str();
        let stays = is_ours(name)
            || NOT_BACK.contains(&text)
            || text.starts_with("access-control-")
            || named.iter().any(|named| named == text);
        if stays {
            continue;
        }
        if patterns.stands_in(text.as_bytes()) {
            hits += 1;
            continue;
        }
        let (clean, found) = patterns.redacted(value.as_bytes());
        hits += found;
        // What was visible before and has only visible characters put in stays a header value.
        if let Ok(value) = HeaderValue::from_bytes(&clean) {
            out.append(name.clone(), value);
        }
    }
    (out, hits)
}

/// Whether the bytes of an answer are other ones than those it means, so that nothing could be found in them: a content coding, or a transfer
/// coding beside the framing (RFC 9112 §7).
pub fn is_encoded(received: &HeaderMap) -> bool {
    let other = |name, plain: &[&str]| {
        let values = received.get_all(name).iter();
        values.map(HeaderValue::as_bytes).any(|value| {
            let value = value.trim_ascii();
            !plain
                .iter()
                .any(|plain| value.eq_ignore_ascii_case(plain.as_bytes()))
        })
    };
    other(CONTENT_ENCODING, &["", "identity"]) || other(TRANSFER_ENCODING, &["chunked"])
}

/// Where a redirect leads, seen from the caller: to the same upstream through this node, elsewhere as it is. `origin` is the upstream's
/// scheme, host and port, `path` the path that was asked for.
pub fn location(
    written: &str,
    origin: &reqwest::Url,
    path: &str,
    connector: &str,
) -> Option<String> {
    let base = origin.join(path).ok()?;
    let target = base.join(written).ok()?;
    if target.origin() != origin.origin() {
        return Some(written.to_owned());
    }
    let mut here = format!("/p/{connector}{}", target.path());
    for (mark, part) in [('?', target.query()), ('#', target.fragment())] {
        if let Some(part) = part {
            here.push(mark);
            here.push_str(part);
        }
    }
    Some(here)
}

fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(CONNECTION).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests;
