//! Slots as they are written, filled and read.

use bailiwick_core::Secret;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};

use super::{Filled, Slot};

fn filled(slot: &str) -> String {
    let slot: Slot = slot.parse().unwrap();
    match slot.fill(&Secret::new("s3cr/t+x".to_owned())).unwrap() {
        Filled::Header(name, value) => {
            assert!(value.is_sensitive());
            format!("{name}: {}", value.to_str().unwrap())
        }
        Filled::Query(pair) => pair.expose().clone(),
    }
}

#[test]
fn a_secret_goes_where_the_slot_says() {
    assert_eq!(
        filled("header authorization: Bearer {secret}"),
        "authorization: Bearer s3cr/t+x"
    );
    assert_eq!(filled("header X-Api-Key: {secret}"), "x-api-key: s3cr/t+x");
    assert_eq!(
        filled("basic bot:{secret}"),
        "authorization: Basic Ym90OnMzY3IvdCt4"
    );
    assert_eq!(
        filled("basic {secret}:"),
        "authorization: Basic czNjci90K3g6"
    );
    assert_eq!(filled("query api key"), "api%20key=s3cr%2Ft%2Bx");
}

#[test]
fn what_a_caller_put_into_a_slot_is_read_there() {
    let shown = |slot: &str, name: &HeaderName, value: &'static str, query: &str| {
        let slot: Slot = slot.parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        slot.shown(&headers, query)
    };
    let some = |text: &str| Some(text.to_owned());
    let bearer = "header authorization: Bearer {secret}";
    assert_eq!(shown(bearer, &AUTHORIZATION, "Bearer tok", ""), some("tok"));
    assert_eq!(shown(bearer, &AUTHORIZATION, "Basic tok", ""), None);
    let basic = "basic bot:{secret}";
    assert_eq!(
        shown(basic, &AUTHORIZATION, "Basic Ym90OnRvaw==", ""),
        some("tok")
    );
    assert_eq!(shown(basic, &AUTHORIZATION, "Basic %%%", ""), None);
    assert_eq!(
        shown("query key", &AUTHORIZATION, "x", "a=1&k%65y=tok&b=2"),
        some("tok")
    );
    let slot: Slot = "query key".parse().unwrap();
    assert_eq!(slot.emptied("a=1&k%65y=tok&key=2&b=2"), "a=1&b=2");
}

#[test]
fn what_is_no_slot_is_told() {
    for text in [
        "",
        "header",
        "header authorization",
        "header authorization: Bearer",
        "header authorization: {secret}{secret}",
        "header bad name: {secret}",
        "header host: {secret}",
        "header content-length: {secret}",
        "header connection: {secret}",
        "header x: {secret}\r\ny: z",
        "basic {secret}",
        "basic bot",
        "query",
        "cookie x",
    ] {
        assert!(text.parse::<Slot>().is_err(), "{text:?} is a slot");
    }
}
