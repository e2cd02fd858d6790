//! Headers that lie, and headers that stay here (04 §2, §3).

use bailiwick_core::Code;
use bailiwick_core::json::Limits;
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use super::{check_agreed, onward, standing_alone};
use crate::mcp::envelope::Envelope;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
const LEGACY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get"}}"#;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let parse = |(name, value): &(&str, &str)| {
        (
            name.parse::<HeaderName>().unwrap(),
            value.parse::<HeaderValue>().unwrap(),
        )
    };
    let mut map = HeaderMap::new();
    for (name, value) in pairs.iter().map(parse) {
        map.append(name, value);
    }
    map
}

fn judge(message: &str, pairs: &[(&str, &str)]) -> Result<bool, Code> {
    let envelope = Envelope::parse(
        Bytes::copy_from_slice(message.as_bytes()),
        &Limits::ENVELOPE,
    )
    .unwrap();
    standing_alone(&headers(pairs), &envelope)
        .map(|revision| revision.is_some())
        .map_err(|problem| problem.code)
}

#[test]
fn headers_must_repeat_the_body() {
    let version = ("mcp-protocol-version", "2026-07-28");
    let (method, name) = (("mcp-method", "tools/call"), ("mcp-name", "get"));
    assert_eq!(judge(CALL, &[version, method, name]), Ok(true));
    assert_eq!(
        judge(CALL, &[version, method, ("mcp-name", "=?base64?Z2V0?=")]),
        Ok(true)
    );
    for lie in [
        vec![version, method, ("mcp-name", "put")],
        vec![version, method, ("mcp-name", "=?base64?cHV0?=")],
        vec![version, method, ("mcp-name", "=?base64?!?=")],
        vec![version, method],
        vec![version, ("mcp-method", "tools/list"), name],
        vec![version, name],
        vec![method, name],
        vec![("mcp-protocol-version", "2025-11-25"), method, name],
        vec![version, method, name, ("mcp-name", "put")],
    ] {
        assert_eq!(judge(CALL, &lie), Err(Code::HeaderMismatch), "{lie:?}");
    }
    // The header alone says that the request stands alone; its body must say so too.
    assert_eq!(
        judge(LEGACY, &[version, method, name]),
        Err(Code::EnvelopeInvalid)
    );
    // What the revision does not have is nobody's header to repeat.
    let gone = CALL.replace("tools/call", "resources/subscribe");
    let subscribes = ("mcp-method", "resources/subscribe");
    assert_eq!(judge(&gone, &[version, subscribes]), Ok(true));
    assert_eq!(
        judge(LEGACY, &[("mcp-protocol-version", "1999-01-01")]),
        Err(Code::VersionUnsupported)
    );
    assert_eq!(
        judge(LEGACY, &[("mcp-protocol-version", "2025-11-25")]),
        Ok(false)
    );
    assert_eq!(judge(LEGACY, &[]), Ok(false));
}

#[test]
fn a_handshake_may_ask_for_the_revision_that_has_none() {
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2026-07-28"}}"#;
    assert_eq!(judge(initialize, &[]), Ok(false));
}

#[test]
fn a_session_keeps_its_revision() {
    let named = headers(&[("mcp-protocol-version", "2025-06-18")]);
    assert!(check_agreed(&named, Some("2025-06-18")).is_ok());
    assert!(check_agreed(&named, Some("2025-11-25")).is_err());
    assert!(check_agreed(&HeaderMap::new(), Some("2025-11-25")).is_ok());
}

#[test]
fn the_callers_credentials_do_not_go_on() {
    let all = headers(&[
        ("authorization", "DPoP x"),
        ("dpop", "y"),
        ("cookie", "z"),
        ("mcp-session-id", "s"),
        ("mcp-param-region", "eu"),
        ("x-forwarded-for", "1.2.3.4"),
        ("mcp-name", "get"),
        ("traceparent", "t"),
    ]);
    let on = onward(&all);
    let mut names: Vec<&str> = on.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["mcp-name", "traceparent"]);
}
