//! What is refused when a scope is read.

use expect_test::expect;

use super::refused;
use crate::Fault;
use crate::scope::{Draft, Grant};

#[test]
fn what_is_refused_when_a_scope_is_read() {
    let grant = |more: &str| {
        refused(&format!(
            "[[grant]]\nserver = [\"a\"]\ntool = [\"b\"]\neffects = [\"read\"]\n{more}"
        ))
    };
    let mut seen = String::new();
    for more in [
        "colour = 1",
        "args.path = { any = true }",
        r#"args."/a*" = { any = true }"#,
        r#"args."/a~" = { any = true }"#,
        r#"args."/a~2" = { any = true }"#,
        r#"args."/a" = {}"#,
        r#"args."/a" = { any = false }"#,
        r#"args."/a" = { any = true, never = true }"#,
        r#"args."/a" = { in = [1.5] }"#,
        r#"args."/a" = { glob = ["x"] }"#,
        r#"args."/a" = { paths = ["src/**"] }"#,
        r#"args."/a" = { paths = ["../x*"] }"#,
        r#"args."/a" = { paths = ["a//b"] }"#,
        r#"args."/a" = { strings = [""] }"#,
        r#"args."/a" = { strings = ["*.txt"] }"#,
        r#"resources = ["https://example.com*"]"#,
        r#"resources = ["https://example.com/../*"]"#,
    ] {
        seen = format!("{seen}{more}: {}\n", grant(more));
    }
    expect![[r#"
        colour = 1: unknown field `colour`, expected one of `server`, `tool`, `effects`, `args`, `closed`, `resources`
        args.path = { any = true }: `path` is no argument path: it does not start with `/`
        args."/a*" = { any = true }: `/a*` is no argument path: `*` stands for a whole segment, any array position
        args."/a~" = { any = true }: `/a~` is no argument path: `~` is written `~0`, `/` in a name `~1`, a name `*` as `~2`
        args."/a~2" = { any = true }: `/a~2` is no argument path: `~` is written `~0`, `/` in a name `~1`, a name `*` as `~2`
        args."/a" = {}: a constraint has exactly one of any, never, in, ints, strings, paths
        args."/a" = { any = false }: `any` and `never` are true or left out
        args."/a" = { any = true, never = true }: a constraint has exactly one of any, never, in, ints, strings, paths
        args."/a" = { in = [1.5] }: a value is a string, an integer within 64 bits, true, false or null
        args."/a" = { glob = ["x"] }: unknown field `glob`, expected one of `any`, `never`, `in`, `ints`, `strings`, `paths`, `optional`
        args."/a" = { paths = ["src/**"] }: `src/**` is no pattern: `*` may stand at the end only, and means every text that begins so
        args."/a" = { paths = ["../x*"] }: `../x*` is no pattern: a path has no empty, `.` or `..` segment, no `\`, `%` or NUL
        args."/a" = { paths = ["a//b"] }: `a//b` is no pattern: it could never match under the rules for paths
        args."/a" = { strings = [""] }: `` is no pattern: it is empty; `*` matches everything
        args."/a" = { strings = ["*.txt"] }: `*.txt` is no pattern: `*` may stand at the end only, and means every text that begins so
        resources = ["https://example.com*"]: `https://example.com*` is no pattern: a URI prefix ends in `/*`, so that it cannot run on into another name
        resources = ["https://example.com/../*"]: `https://example.com/../*` is no pattern: it has a dot segment or a hidden separator
    "#]].assert_eq(&seen);
    // A repeated path would otherwise keep the last constraint.
    let twice = r#"{"server":["a"],"tool":["b"],"effects":["read"],"args":{"/a":{"never":true},"/a":{"any":true}}}"#;
    let error = serde_json::from_str::<Grant>(twice)
        .unwrap_err()
        .to_string();
    assert!(error.contains("/a occurs twice"), "{error}");
    let twice = format!(r#"{{"grants":[{twice}]}}"#);
    let error = Draft::from_json(twice.as_bytes()).unwrap_err();
    assert_eq!(
        error.problem().message,
        "the scope is not acceptable JSON: duplicate key at byte 87"
    );
}
