//! What goes on, what comes back, and where redirects lead.

use bailiwick_core::Secret;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use super::{back, is_encoded, location, onward};
use crate::egress::redactor::Patterns;
use crate::egress::slot::Slot;

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

#[test]
fn nothing_of_the_connection_nor_of_who_asks_goes_on() {
    let slot: Slot = "header x-api-key: {secret}".parse().unwrap();
    let received = map(&[
        ("accept", "application/json"),
        ("content-type", "text/plain"),
        ("user-agent", "curl"),
        ("x-mine", "1"),
        ("x-api-key", "the caller's"),
        ("connection", "close, X-Hop"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("content-length", "7"),
        ("host", "evil.example"),
        ("te", "trailers"),
        ("upgrade", "websocket"),
        ("expect", "100-continue"),
        ("proxy-authorization", "Basic x"),
        ("authorization", "DPoP x"),
        ("dpop", "x"),
        ("cookie", "a=b"),
        ("forwarded", "for=1.2.3.4"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-host", "evil.example"),
        ("x-real-ip", "1.2.3.4"),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/admin"),
        ("x_forwarded_for", "1.2.3.4"),
        ("x_http_method_override", "DELETE"),
        ("x-http_method-override", "DELETE"),
        ("content_length", "7"),
        ("x_mine", "1"),
        ("x_api_key", "the caller's"),
        ("x-forwarded", "1.2.3.4"),
        ("x-original-uri", "/admin"),
        ("x-envoy-original-path", "/admin"),
        ("x-http-method", "DELETE"),
        ("x-method-override", "DELETE"),
        ("range", "bytes=0-9"),
        ("if-range", "\"x\""),
        ("request-range", "bytes=0-9"),
        ("x-rewrite-url", "/admin"),
        ("origin", "http://x"),
        ("referer", "http://x"),
        ("accept-encoding", "gzip, br"),
    ]);
    let sent = onward(&received, &slot);
    let mut names: Vec<&str> = sent.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "accept-encoding",
            "content-type",
            "user-agent",
            "x-mine"
        ]
    );
    assert_eq!(sent["accept-encoding"], "identity");
}

#[test]
fn what_comes_back_has_no_secret_and_no_cookie() {
    let patterns = Patterns::of(&Secret::new("canary-0123456789".to_owned())).unwrap();
    let received = map(&[
        ("content-type", "text/plain"),
        ("x-echo", "Bearer canary-0123456789!"),
        ("canary-0123456789", "x"),
        ("set-cookie", "a=b"),
        ("content-length", "3"),
        ("transfer-encoding", "chunked"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("alt-svc", "h3=\":443\""),
        ("access-control-allow-origin", "*"),
    ]);
    let (sent, hits) = back(&received, &patterns);
    assert_eq!(hits, 2);
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_eq!(sent["x-echo"], "Bearer [redacted:lease]!");
}

#[test]
fn redirects_within_the_upstream_come_back_here() {
    let origin = reqwest::Url::parse("https://api.example:8443").unwrap();
    for (written, seen) in [
        ("/b", "/p/api/b"),
        ("c?x=1#y", "/p/api/a/c?x=1#y"),
        ("https://api.example:8443/b?x", "/p/api/b?x"),
        ("//api.example:8443/b", "/p/api/b"),
        ("https://api.example/b", "https://api.example/b"),
        ("http://api.example:8443/b", "http://api.example:8443/b"),
        ("https://evil.example/b", "https://evil.example/b"),
        ("//evil.example/b", "//evil.example/b"),
    ] {
        let found = location(written, &origin, "/a/b", "api");
        assert_eq!(found.as_deref(), Some(seen), "{written}");
    }
    assert_eq!(location("https://[", &origin, "/", "api"), None);
}

#[test]
fn an_answer_is_read_only_as_it_is() {
    for plain in [
        &[][..],
        &[("content-encoding", "identity")],
        &[("content-encoding", "")],
        &[("transfer-encoding", "Chunked ")],
    ] {
        assert!(!is_encoded(&map(plain)), "{plain:?}");
    }
    for encoded in [
        &[("content-encoding", "gzip")][..],
        &[("content-encoding", "identity"), ("content-encoding", "br")],
        &[("transfer-encoding", "gzip, chunked")],
        &[
            ("transfer-encoding", "gzip"),
            ("transfer-encoding", "chunked"),
        ],
        &[("transfer-encoding", "chunked, gzip")],
        &[("transfer-encoding", "identity")],
    ] {
        assert!(is_encoded(&map(encoded)), "{encoded:?}");
    }
}
