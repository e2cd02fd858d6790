//! What rules allow, and what is none.

use super::Rule;
use crate::egress::path::Path;

fn allows(rule: &str, method: &str, path: &str) -> bool {
    let rule: Rule = rule.parse().unwrap();
    rule.allows(method, &Path::normal(path).unwrap())
}

#[test]
fn a_rule_allows_what_it_says_and_no_more() {
    for (rule, method, path, yes) in [
        ("GET /repos/**", "GET", "/repos/a/b", true),
        ("GET /repos/**", "HEAD", "/repos/a/b", true),
        ("GET /repos/**", "GET", "/repos", true),
        ("GET /repos/**", "GET", "/repos/", true),
        ("GET /repos/**", "GET", "/reposx", false),
        ("GET /repos/**", "GET", "/Repos/a", false),
        ("GET /repos/**", "POST", "/repos/a", false),
        ("GET /repos/**", "GET", "/repos/../user", false),
        ("GET /repos/**", "GET", "/repos/%2e%2e/user", false),
        (
            "POST /repos/{owner}/{repo}/issues",
            "POST",
            "/repos/a/b/issues",
            true,
        ),
        (
            "POST /repos/{owner}/{repo}/issues",
            "POST",
            "/repos/a/b/issues/",
            false,
        ),
        (
            "POST /repos/{owner}/{repo}/issues",
            "POST",
            "/repos/a/b/c/issues",
            false,
        ),
        ("POST /repos/*/issues", "POST", "/repos/a/issues", true),
        ("HEAD /x", "GET", "/x", false),
        ("* /x", "DELETE", "/x", true),
        ("* /**", "PUT", "/anything/at/all", true),
        ("GET /", "GET", "/", true),
        ("GET /", "GET", "/x", false),
        ("GET /a/", "GET", "/a/", true),
        ("GET /a/", "GET", "/a", false),
    ] {
        assert_eq!(allows(rule, method, path), yes, "{rule}: {method} {path}");
    }
}

#[test]
fn what_is_no_rule_is_told() {
    for text in [
        "",
        "GET",
        "/x",
        "get /x",
        "TRACE /x",
        "CONNECT /x",
        "GET x",
        "GET /a//b",
        "GET /a*",
        "GET /**/b",
        "GET /a/../b",
        "GET /%61",
        "GET /a b",
        "GET /{}",
        "GET /{a}{b}",
        "GET /a\\b",
    ] {
        assert!(text.parse::<Rule>().is_err(), "{text:?} is a rule");
    }
    assert_eq!(
        "GET   /a/**".parse::<Rule>().unwrap().to_string(),
        "GET /a/**"
    );
}
