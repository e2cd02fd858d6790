//! What is shown of a request is what is sent of it.

use std::sync::Arc;

use bailiwick_core::server::{Server, Transport, Trust};
use bailiwick_core::{Digest, Timestamp};
use hyper::Request;
use hyper::header::HeaderValue;

use super::Target;
use crate::egress::{Connector, OnReflection};

fn connector() -> Connector {
    let url = "https://api.example/";
    Connector {
        row: Arc::new(Server {
            name: "api".parse().unwrap(),
            transport: Transport::Http { url: url.into() },
            trust: Trust::Reviewed,
            credential: None,
            labels: bailiwick_core::label::Labels::untrusted(),
            created_at: Timestamp::from_micros(0),
            version: 1,
        }),
        upstream: url.parse().unwrap(),
        credential: "api-key".parse().unwrap(),
        slot: "header authorization: Bearer {secret}".parse().unwrap(),
        allow: vec!["GET /**".parse().unwrap()],
        on_reflection: OnReflection::Redact,
        max_request: 1_000,
        max_response: 1_000,
        digest: Digest([0; 32]),
    }
}

/// Approved as one, sent as the other: both would be shown with the same sign of replacement.
#[test]
fn a_header_that_nobody_can_be_shown_is_refused() {
    let connector = connector();
    let of = |value: &[u8]| {
        let request =
            Request::get("/p/api/x").header("x-to", HeaderValue::from_bytes(value).unwrap());
        let (head, ()) = request.body(()).unwrap().into_parts();
        Target::of(&head, "/x", &connector)
    };
    for value in [&b"caf\xe9"[..], b"caf\xe8", "caf\u{e9}".as_bytes()] {
        let problem = of(value).unwrap_err();
        assert_eq!(problem.code, bailiwick_core::Code::EgressBadRequest);
        assert!(problem.message.contains("x-to"), "{problem}");
    }
    let asked = of(b"cafe \"1\"").unwrap().with(bytes::Bytes::new());
    let words = asked.in_words(&connector);
    assert_eq!(words["headers"]["x-to"][0], "cafe \"1\"");
}
