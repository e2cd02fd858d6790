//! Spellings of one path, and spellings that are no path.

use proptest::prelude::{any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::{Path, escaped, name_of, query};

#[track_caller]
fn is(raw: &str, normal: &str) {
    assert_eq!(Path::normal(raw).unwrap().as_str(), normal, "{raw}");
    // What was normal stays as it is.
    assert_eq!(Path::normal(normal).unwrap().as_str(), normal);
}

#[test]
fn every_spelling_of_a_path_becomes_one() {
    for (raw, normal) in [
        ("/", "/"),
        ("/repos/acme", "/repos/acme"),
        ("/repos/acme/", "/repos/acme/"),
        ("/%72epos/%61cme", "/repos/acme"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/a/../", "/"),
        ("/a/b/../", "/a/"),
        ("/a%3ab", "/a%3Ab"),
        ("/a:b", "/a:b"),
        ("/%e2%82%ac", "/%E2%82%AC"),
        ("/a%20b", "/a%20b"),
        ("/a;v=1/b", "/a;v=1/b"),
        ("/100%25", "/100%25"),
        ("/...", "/..."),
    ] {
        is(raw, normal);
    }
}

#[test]
fn paths_that_two_servers_read_differently_are_refused() {
    for raw in [
        "",
        "repos",
        "*",
        "//",
        "//evil.example/x",
        "/a//b",
        "/a/%2f/b",
        "/a%2Fb",
        "/a%5cb",
        "/a\\b",
        "/a/..;/b",
        "/a/.;x=1/b",
        "/a/%2e%2e;/b",
        "/a/%252e%252e/b",
        "/a%252fb",
        // Escapes that come to be only when other escapes are taken away.
        "/public/%252%65%252%65/admin",
        "/public/%25%32%65%25%32%65/admin",
        "/a/%25%32e",
        "/a%25%32%66b",
        "/a%25%35%63b",
        "/a%25%252e",
        "/a/..%3B/b",
        "/a/..%3bx=1/b",
        "/a/%2e%3b/b",
        "/a/..%3F/b",
        "/a/..%23/b",
        "/..",
        "/../a",
        "/a/../../b",
        "/a%",
        "/a%4",
        "/a%zz",
        "/a%00b",
        "/a%0d%0aHost:x",
        "/a%7f",
        "/a b",
        "/a\"b",
        "/a<b",
        "/a{b}",
        "/a|b",
        "/a^b",
        "/a`b",
        "/é",
        "/a#b",
        "/a?b",
    ] {
        assert!(
            Path::normal(raw).is_err(),
            "{raw:?} passes as {:?}",
            Path::normal(raw)
        );
    }
}

#[test]
fn a_query_keeps_its_meaning() {
    assert_eq!(query("a=1&b=%2f'x'").unwrap(), "a=1&b=%2F%27x%27");
    for raw in ["a=%", "a=%q1", "a b", "a=\u{7f}", "a=é", "a#b"] {
        assert!(query(raw).is_err(), "{raw:?}");
    }
    assert_eq!(name_of("k%65y+x=1=2"), b"key x");
    assert_eq!(escaped("a b/é"), "a%20b%2F%C3%A9");
}

/// As a server decodes a path.
fn decoded(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some((first, rest)) = bytes.split_first() {
        let pair = rest
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        let pair = pair.filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let value = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let value = value.filter(|_| *first == b'%');
        out.push(value.unwrap_or(*first));
        bytes = if value.is_some() { &rest[2..] } else { rest };
    }
    out
}

proptest! {
    /// Pieces that mean something are more often there than by chance.
    #[test]
    fn what_is_accepted_is_normal_and_decodes_once(
        pieces in prop::collection::vec(
            (any::<u8>(), prop::sample::select(vec![
                "/", ".", "..", "%", "%25", "%2", "%32", "2", "e", "%65", "5", "%35", "c", "f", ";", "%3B", "%3b", "\\", "%5c", "a", "+",
            ])),
            0..12,
        ),
    ) {
        let text: String = pieces
            .iter()
            .map(|(byte, piece)| match byte {
                0..8 => format!("%{byte:02X}"),
                8..16 => char::from(byte + 60).to_string(),
                _ => (*piece).to_owned(),
            })
            .collect();
        let raw = format!("/{text}");
        if let Ok(once) = Path::normal(&raw) {
            let again = Path::normal(once.as_str());
            prop_assert_eq!(again.as_ref(), Ok(&once), "{}", raw);
            // Whoever decodes what is sent finds nothing to decode, and no other segments.
            let once_decoded = decoded(once.as_str().as_bytes());
            let twice = decoded(&once_decoded);
            prop_assert_eq!(&twice, &once_decoded, "{} sent as {}", raw, once.as_str());
            let slashes = |bytes: &[u8]| bytes.split(|byte| *byte == b'/').count();
            prop_assert_eq!(slashes(&once_decoded), slashes(once.as_str().as_bytes()));
            prop_assert!(!once_decoded.contains(&b'\\'));
        }
    }
}
