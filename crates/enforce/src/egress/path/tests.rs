//! Spellings of one path, and spellings that are no path.

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
