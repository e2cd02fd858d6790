//! Headers that repeat arguments, and headers that lie.

use bailiwick_core::json::{Limits, check};
use hyper::HeaderMap;
use hyper::header::HeaderName;

use super::{MAX_HEADERS, candidates, parameters};

const DEFINITION: &str = r#"{"name":"run","inputSchema":{"type":"object","properties":{
    "region":{"type":"string","x-mcp-header":"Region"},"query":{"type":"string"},
    "place":{"type":"object","properties":{"floor":{"type":"integer","x-mcp-header":"Floor"}}},
    "dry":{"type":"boolean","x-mcp-header":"dry"}}}}"#;

fn sent(headers: &[(&str, &str)], arguments: &str) -> Result<Vec<String>, String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    let arguments = check(arguments.as_bytes(), &Limits::ENVELOPE).unwrap();
    match parameters(&candidates(&map), DEFINITION, &arguments) {
        Ok(onward) => Ok(onward.keys().map(ToString::to_string).collect()),
        Err(problem) => Err(problem.code.to_string()),
    }
}

#[test]
fn what_repeats_an_argument_goes_on_and_nothing_else_does() {
    let arguments = r#"{"region":"us-west1","query":"x","place":{"floor":-7},"dry":true}"#;
    let all = [
        ("mcp-param-region", "us-west1"),
        ("Mcp-Param-Floor", "-7"),
        ("mcp-param-dry", "true"),
        ("mcp-param-query", "x"),
        ("mcp-param-unknown", "y"),
        ("cookie", "z"),
    ];
    let onward = sent(&all, arguments).unwrap();
    assert_eq!(
        onward,
        ["mcp-param-region", "mcp-param-floor", "mcp-param-dry"]
    );
    let coded = [("mcp-param-region", "=?base64?SGVsbG8sIOS4lueVjA==?=")];
    assert_eq!(
        sent(&coded, r#"{"region":"Hello, 世界"}"#).unwrap().len(),
        1
    );
    let many: Vec<String> = (0..=MAX_HEADERS)
        .map(|at| format!("mcp-param-x{at}"))
        .collect();
    let mut many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1")).collect();
    many.push(("mcp-param-region", "us-west1"));
    assert!(sent(&many, arguments).unwrap().is_empty());
}

#[test]
fn a_header_that_says_something_else_is_refused() {
    for (headers, arguments) in [
        (
            vec![("mcp-param-region", "eu-west1")],
            r#"{"region":"us-west1"}"#,
        ),
        (vec![("mcp-param-region", "us-west1")], "{}"),
        (
            vec![("mcp-param-region", "=?base64?!!?=")],
            r#"{"region":"=?base64?!!?="}"#,
        ),
        (
            vec![("mcp-param-region", "a"), ("mcp-param-region", "b")],
            r#"{"region":"a"}"#,
        ),
        (vec![("mcp-param-floor", "7")], r#"{"place":{"floor":7.0}}"#),
        (vec![("mcp-param-dry", "True")], r#"{"dry":true}"#),
        (vec![("mcp-param-region", "null")], r#"{"region":null}"#),
    ] {
        assert_eq!(
            sent(&headers, arguments),
            Err("header_mismatch".to_owned()),
            "{headers:?} {arguments}"
        );
    }
}
