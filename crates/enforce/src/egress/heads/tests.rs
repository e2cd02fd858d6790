//! What goes on, what comes back, and where redirects lead.

use bailiwick_core::Secret;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use super::{back, location, onward};
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
