//! Scope: reading, permitting, narrowing; the laws are in `algebra`, against brute force.

use expect_test::{Expect, expect};

use super::{Bounds, Call, Draft, Pattern, Scope, Uris, from_oauth};
use crate::budget::Budget;
use crate::json::{Leaves, Limits, check};
use crate::{Code, Effect, Fault, Timestamp};

mod algebra;
mod delegation;
mod limits;
mod oracle;
mod refusals;

fn draft(toml: &str) -> Draft {
    toml::from_str(toml).unwrap()
}

fn scope(toml: &str) -> Scope {
    draft(toml).fill(&Bounds::WIDEST).unwrap()
}

fn refused(toml: &str) -> String {
    toml::from_str::<Draft>(toml)
        .unwrap_err()
        .message()
        .to_owned()
}

fn leaves(json: &str) -> Leaves<'_> {
    check(json.as_bytes(), &Limits::ENVELOPE.case_sensitive())
        .unwrap()
        .leaves()
        .unwrap()
}

/// A read of `github/get_file` with these arguments.
fn permits(scope: &Scope, arguments: &str) -> bool {
    let arguments = leaves(arguments);
    let call = Call {
        server: "github",
        tool: "get_file",
        effect: Effect::Read,
        arguments: &arguments,
        resources: None,
    };
    scope.permits(&call).is_ok()
}

fn one_argument(constraint: &str) -> Scope {
    scope(&format!(
        r#"[[grant]]
        server = ["github"]
        tool = ["get_*"]
        effects = ["read"]
        closed = true
        args."/x" = {constraint}"#
    ))
}

const EXAMPLE: &str = r#"
depth = 2
deadline = "2026-11-23T12:00:00Z"
[[grant]]
server = ["github"]
tool = ["get_*"]
effects = ["read"]
closed = true
args."/path" = { paths = ["src/*"], optional = true }
args."/count" = { ints = { min = 1, max = 200 }, optional = true }
[[grant]]
server = ["mail"]
tool = ["send"]
effects = ["write"]
args."/to/*" = { in = ["a@example.com"] }
[budget]
calls = 100
"#;

#[test]
fn the_example_of_the_design_in_toml_and_canonical_json() {
    let example = scope(EXAMPLE);
    let canonical = String::from_utf8(example.canonical()).unwrap();
    expect![[r#"{"budget":{"calls":100},"deadline":"2026-11-23T12:00:00.000000Z","depth":2,"grants":[{"args":{"/count":{"ints":{"max":200,"min":1},"optional":true},"/path":{"optional":true,"paths":["src/*"]}},"closed":true,"effects":["read"],"server":["github"],"tool":["get_*"]},{"args":{"/to/*":{"in":["a@example.com"],"optional":false}},"effects":["write"],"server":["mail"],"tool":["send"]}]}"#]]
    .assert_eq(&canonical);
    assert!(
        example
            .digest_input()
            .starts_with(b"bailiwick/scope/v1\0{\"budget\"")
    );
    assert_eq!(serde_json::from_str::<Scope>(&canonical).unwrap(), example);
    assert_eq!(
        Draft::from_json(canonical.as_bytes())
            .unwrap()
            .fill(&Bounds::WIDEST),
        Ok(example)
    );
}

#[test]
fn what_a_draft_leaves_out_comes_from_its_reader() {
    let grant = "[[grant]]\nserver = [\"a\"]\ntool = [\"*\"]\neffects = [\"read\"]\n";
    let parent = scope(EXAMPLE);
    let below = draft(grant).fill(&Bounds::below(&parent)).unwrap();
    assert_eq!(below.budget(), parent.budget());
    assert_eq!((below.deadline(), below.depth()), (parent.deadline(), 1));
    let partial = draft(&format!("{grant}[budget]\nwrites = 3\n"));
    let partial = partial.fill(&Bounds::below(&parent)).unwrap();
    assert_eq!(
        (partial.budget().calls, partial.budget().writes),
        (Some(100), Some(3))
    );
    let widest = scope(grant);
    assert_eq!((*widest.budget(), widest.depth()), (Budget::UNLIMITED, 8));
    assert_eq!(widest.deadline().to_string(), "9999-12-30T22:00:00.000000Z");
    // A whole scope leaves out nothing but budget numbers.
    let whole =
        r#"{"grants":[{"server":["a"],"tool":["*"],"effects":["read"]}],"budget":{},"depth":1}"#;
    assert!(
        serde_json::from_str::<Scope>(whole)
            .unwrap_err()
            .to_string()
            .contains("deadline")
    );
}

/// Invariant: two servers that read a number or text differently never get what was not meant.
#[test]
fn number_and_unicode_args() {
    let ints = one_argument("{ ints = { min = -5, max = 1000 } }");
    let listed = one_argument("{ in = [1, 1000] }");
    for (number, fits) in [
        ("1", true),
        ("1000", true),
        ("1.0", false),
        ("1e0", false),
        ("1E0", false),
        ("10e-1", false),
        ("1000.0", false),
        ("1e3", false),
        ("9223372036854775808", false),
        ("1e400", false),
        ("\"1\"", false),
        ("true", false),
        ("[]", false),
    ] {
        let call = format!(r#"{{"x":{number}}}"#);
        assert_eq!(permits(&ints, &call), fits, "{number}");
        assert_eq!(permits(&listed, &call), fits, "{number}");
    }
    assert!(permits(&ints, r#"{"x":0}"#) && permits(&ints, r#"{"x":-5}"#));
    assert!(!permits(&ints, r#"{"x":-0}"#) && !permits(&ints, r#"{"x":-6}"#));
    let all = one_argument("{ ints = {} }");
    for (number, fits) in [
        ("9223372036854775807", true),
        ("-9223372036854775808", true),
        ("9223372036854775808", false),
        ("-9223372036854775809", false),
        ("18446744073709551617", false),
    ] {
        assert_eq!(
            permits(&all, &format!(r#"{{"x":{number}}}"#)),
            fits,
            "{number}"
        );
    }

    let text = one_argument(r#"{ strings = ["é*", "k"] }"#);
    for (string, fits) in [
        ("é", true),
        ("\\u00e9t\\u00E9", true),
        ("e\\u0301", false),
        ("É", false),
        ("k", true),
        ("\\u006b", true),
        ("K", false),
        ("\\u212a", false),
        ("k\\u0000", false),
        (" k", false),
        ("\\uff4b", false),
        ("k\\u200b", false),
    ] {
        assert_eq!(
            permits(&text, &format!(r#"{{"x":"{string}"}}"#)),
            fits,
            "{string}"
        );
    }
    // The same member by another spelling of its name is the same leaf; by another case it is another.
    assert!(permits(&text, r#"{"\u0078":"k"}"#));
    assert!(!permits(&text, r#"{"X":"k"}"#) && !permits(&text, r#"{"x":"k","X":"k"}"#));
}

#[test]
fn a_path_pattern_cannot_be_left() {
    let paths = one_argument(r#"{ paths = ["src/*", "/repo/*", "README"] }"#);
    for (path, fits) in [
        ("src/main.rs", true),
        ("src/.hidden", true),
        ("src/...", true),
        ("/repo/a/b", true),
        ("README", true),
        ("src/", false),
        ("src/a/", false),
        ("src//a", false),
        ("src/../etc/passwd", false),
        ("src/a/..", false),
        ("src/./a", false),
        ("src/a%2f..", false),
        ("src/a\\\\..\\\\b", false),
        ("src/a\\u0000.png", false),
        ("//repo/a", false),
        ("/repo/../etc", false),
        ("src", false),
        ("srcx/a", false),
        ("./src/a", false),
        ("README/x", false),
    ] {
        assert_eq!(
            permits(&paths, &format!(r#"{{"x":"{path}"}}"#)),
            fits,
            "{path}"
        );
    }
}

#[test]
fn a_uri_prefix_cannot_be_left_and_unknown_resources_are_not_covered() {
    let uris = scope(
        r#"[[grant]]
        server = ["github"]
        tool = ["*"]
        effects = ["read"]
        resources = ["file:///repo/*", "db://orders"]"#,
    );
    let nothing = leaves("{}");
    let covers = |resources: Option<&[&str]>| {
        let call = Call {
            server: "github",
            tool: "read",
            effect: Effect::Read,
            arguments: &nothing,
            resources,
        };
        uris.permits(&call).is_ok()
    };
    assert!(covers(Some(&["file:///repo/a%20b?x=1#y"])));
    assert!(covers(Some(&["db://orders", "file:///repo/a"])));
    assert!(!covers(None) && !covers(Some(&[])));
    for outside in [
        "file:///repo/../etc/passwd",
        "file:///repo/a/%2E%2e/%2e%2E/etc",
        "file:///repo/a%2f..%2f..%2fetc",
        "file:///repo/a\\..\\..\\etc",
        "file:///repo/./a",
        "file:///repo",
        "file:///REPO/a",
        "file:///repository/a",
        "db://orders/x",
        "db://ORDERS",
        "file:///repo/a\n",
    ] {
        assert!(!covers(Some(&[outside])), "{outside}");
        assert!(!covers(Some(&["file:///repo/a", outside])), "{outside}");
    }
}

#[test]
fn open_closed_optional_and_containers() {
    let closed = one_argument(r#"{ paths = ["src/*"], optional = true }"#);
    assert!(permits(&closed, "{}"));
    let absent = Leaves::none();
    let call = Call {
        server: "github",
        tool: "get_file",
        effect: Effect::Read,
        arguments: &absent,
        resources: None,
    };
    assert!(closed.permits(&call).is_ok());
    for arguments in [
        r#"{"x":"src/a","y":1}"#,
        r#"{"x":["src/a"]}"#,
        r#"{"x":{"y":"src/a"}}"#,
        r#"{"x":{}}"#,
        r#"{"x":null}"#,
        r#"{"y":{}}"#,
        r#"{"":"src/a"}"#,
        r#""src/a""#,
    ] {
        assert!(!permits(&closed, arguments), "{arguments}");
    }
    let elements = one_argument(
        r#"{ any = true, optional = true }
        args."/x/*" = { in = ["a", "b"] }
        args."/~2" = { never = true, optional = true }"#,
    );
    assert!(permits(&elements, r#"{"x":["a","b","a"]}"#));
    assert!(!permits(&elements, r#"{"x":["a","c"]}"#) && !permits(&elements, r#"{"x":[]}"#));
    assert!(
        !permits(&elements, r#"{"x":["a",["b"]]}"#) && !permits(&elements, r#"{"x":["a"],"*":1}"#)
    );
    let open = scope(
        r#"[[grant]]
        server = ["github"]
        tool = ["get_*"]
        effects = ["read"]
        args."/secret" = { never = true, optional = true }"#,
    );
    assert!(permits(&open, r#"{"x":[{}],"y":1e9}"#));
    assert!(!permits(&open, r#"{"secret":{}}"#) && permits(&open, r#"{"secret":{"inner":1}}"#));
}

fn explained(
    server: &str,
    tool: &str,
    effect: Effect,
    arguments: &str,
    resources: Option<&[&str]>,
    expected: &Expect,
) {
    let example = scope(&format!(
        "{EXAMPLE}\n[[grant]]\nserver = [\"files\"]\ntool = [\"read\"]\neffects = [\"read\"]\nresources = [\"file:///a/*\"]"
    ));
    let arguments = leaves(arguments);
    let call = Call {
        server,
        tool,
        effect,
        arguments: &arguments,
        resources,
    };
    let problem = example.permits(&call).unwrap_err().problem();
    assert_eq!(problem.code, Code::ScopeExceeded);
    expected.assert_eq(&format!("{}\n{}", problem.message, problem.help));
}

#[test]
fn the_nearest_grant_and_what_is_missing_are_named() {
    explained(
        "jira",
        "get",
        Effect::Read,
        "{}",
        None,
        &expect![[r"
        outside the task's scope: no grant is about server `jira`
        ask for a task whose scope has a grant for this server"]],
    );
    explained(
        "github",
        "delete",
        Effect::Read,
        "{}",
        None,
        &expect![[r"
        outside the task's scope: tool `delete` is not among get_*
        nearest grant: server [github], tool [get_*], effects [read]; stay within it, or ask for a task whose scope is wider in `tool`"]],
    );
    explained(
        "github",
        "get_file",
        Effect::Write,
        "{}",
        None,
        &expect![[r"
        outside the task's scope: effect `write` is not granted
        nearest grant: server [github], tool [get_*], effects [read]; stay within it, or ask for a task whose scope is wider in `effects`"]],
    );
    explained(
        "github",
        "get_file",
        Effect::Read,
        r#"{"path":"/etc/passwd"}"#,
        None,
        &expect![[r#"
        outside the task's scope: argument /path must be a plain path like src/*
        nearest grant: server [github], tool [get_*], effects [read]; stay within it, or ask for a task whose scope is wider in `args."/path"`"#]],
    );
    explained(
        "github",
        "get_file",
        Effect::Read,
        r#"{"path":"src/a","token":"hunter2"}"#,
        None,
        &expect![[r#"
        outside the task's scope: argument /token is not listed, and the grant is closed
        nearest grant: server [github], tool [get_*], effects [read]; stay within it, or ask for a task whose scope is wider in `args."/token"`"#]],
    );
    explained(
        "mail",
        "send",
        Effect::Write,
        r#"{"to":[]}"#,
        None,
        &expect![[r#"
        outside the task's scope: argument /to/* must be there, as one of `a@example.com`
        nearest grant: server [mail], tool [send], effects [write]; stay within it, or ask for a task whose scope is wider in `args."/to/*"`"#]],
    );
    explained(
        "files",
        "read",
        Effect::Read,
        "{}",
        None,
        &expect![[r"
        outside the task's scope: the resources that the call touches are not known, and the grant names resources
        nearest grant: server [files], tool [read], effects [read]; stay within it, or ask for a task whose scope is wider in `resources`"]],
    );
    explained(
        "files",
        "read",
        Effect::Read,
        "{}",
        Some(&["file:///b"]),
        &expect![[r"
        outside the task's scope: a resource of the call is not among file:///a/*
        nearest grant: server [files], tool [read], effects [read]; stay within it, or ask for a task whose scope is wider in `resources`"]],
    );
}

#[test]
fn oauth_words_stand_for_any_tool_with_one_effect() {
    let grants = from_oauth("github:read mail:write").unwrap();
    let scope = Scope::new(grants, Budget::UNLIMITED, Timestamp::from_secs(0), 0).unwrap();
    assert!(scope.names_tool("github", "anything", Effect::Read) && scope.names_server("mail"));
    assert!(!scope.names_tool("github", "anything", Effect::Write) && !scope.names_server("git"));
    assert!(permits(&scope, r#"{"any":["thing"]}"#));
    assert_eq!(scope.to_oauth(), "github:read mail:write");
    for (parameter, message) in [
        ("", "an OAuth scope word has the form server:effect"),
        ("github", "an OAuth scope word has the form server:effect"),
        (
            "github:read  mail:read",
            "an OAuth scope word has the form server:effect",
        ),
        (
            "github:admin",
            "the effect of an OAuth scope word: an effect is read, write or escalate",
        ),
        (
            ":read",
            "the server of an OAuth scope word: `` is no pattern: it is empty; `*` matches everything",
        ),
    ] {
        assert_eq!(
            from_oauth(parameter).unwrap_err().problem().message,
            message
        );
    }
    assert!(from_oauth(&vec!["a:read"; 129].join(" ")).is_err());
}

#[test]
fn integers_beyond_doubles_keep_their_digest_apart() {
    let listed = |number: i64| one_argument(&format!("{{ in = [{number}] }}")).digest_input();
    assert_ne!(listed(9_007_199_254_740_992), listed(9_007_199_254_740_993));
}

#[test]
fn patterns_read_as_they_are_written() {
    for (written, pattern) in [
        ("a", Pattern::Exact("a".to_owned())),
        ("a*", Pattern::Prefix("a".to_owned())),
        ("*", Pattern::Prefix(String::new())),
    ] {
        assert_eq!(written.parse(), Ok(pattern.clone()));
        assert_eq!(pattern.to_string(), written);
    }
    assert!(Uris::parse(["*"]).is_err() && Uris::parse(["x:/*"]).is_ok());
}
