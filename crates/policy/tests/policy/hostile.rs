//! Arguments made to break the evaluation: they never panic and never get more than plain ones.

use bailiwick_core::Code;
use bailiwick_core::decision::Outcome;
use bailiwick_policy::MAX_CANDIDATES;
use proptest::prelude::*;

use crate::world::{Given, compile, rank};

const POLICIES: &str = r#"
@id("all") @reason("r") permit (principal, action, resource);
@id("secrets") @reason("r") forbid (principal, action in [Bailiwick::Action::"read", Bailiwick::Action::"write"], resource)
when { context.input has path && context.input.path like "secrets/*" };
@id("sum") @reason("r") forbid (principal, action, resource)
when { context.input has n && context.input.n * 2 > 100 };
"#;

fn code(tool: &str, arguments: &str) -> Option<Code> {
    Given::call(tool, arguments)
        .decide(&compile(POLICIES).unwrap())
        .code
}

#[test]
fn bounds_deny() {
    let deep = format!(r#"{{"path":{}1{}}}"#, "[".repeat(100), "]".repeat(100));
    assert_eq!(code("t/e", &deep), Some(Code::PolicyLimit));
    assert_eq!(
        code("s/r", &format!(r#"{{"path":"{}"}}"#, "a".repeat(70_000))),
        Some(Code::PolicyLimit)
    );
    let many = vec!["\"x\""; 10_000].join(",");
    assert_eq!(code("s/w", &format!(r#"{{"tags":[{many}]}}"#)), None);
    let too_many = vec!["1"; 20_000].join(",");
    assert_eq!(
        code("t/e", &format!(r#"{{"path":[{too_many}]}}"#)),
        Some(Code::PolicyLimit)
    );
}

#[test]
fn numbers_out_of_range_deny() {
    for n in [
        "9223372036854775808",
        "-9223372036854775809",
        "1e400",
        "1.5",
        "0x10",
        "1E2",
    ] {
        assert_eq!(
            code("s/r", &format!(r#"{{"n":{n}}}"#)),
            Some(Code::ArgumentsInvalid),
            "{n}"
        );
    }
    assert_eq!(
        code("s/r", r#"{"n":9223372036854775807}"#),
        Some(Code::PolicyError)
    );
    assert_eq!(
        code("s/r", r#"{"n":-9223372036854775808}"#),
        Some(Code::PolicyError)
    );
}

#[test]
fn keys_that_hide_an_argument_deny() {
    for arguments in [
        r#"{"path":"a","path":"secrets/x"}"#,
        r#"{"path":"a","p\u0061th":"secrets/x"}"#,
        r#"{"Path":"secrets/x"}"#,
        r#"{"path ":"secrets/x"}"#,
        r#"{"path":{"x":"secrets/x"}}"#,
        r#"["secrets/x"]"#,
        "null",
        "",
        "{\"path\":\"a\"}x",
    ] {
        assert_eq!(
            code("s/r", arguments),
            Some(Code::ArgumentsInvalid),
            "{arguments}"
        );
    }
    assert_eq!(
        code("s/r", r#"{"p\u0061th":"s\u0065crets/x"}"#),
        Some(Code::Forbidden)
    );
}

#[test]
fn too_many_candidates_deny() {
    let one = "@id(\"p#\") @reason(\"r\") permit (principal, action in Bailiwick::Action::\"read\", resource);\n";
    let all: Vec<String> = (0..=MAX_CANDIDATES)
        .map(|n| one.replace('#', &n.to_string()))
        .collect();
    let policies = all.concat();
    let bundle = compile(&policies).unwrap();
    let decision = Given::call("s/r", "{}").decide(&bundle);
    assert_eq!(
        (decision.outcome, decision.code),
        (Outcome::Deny, Some(Code::PolicyLimit))
    );
    assert_eq!(
        Given::call("s/w", "{}").decide(&bundle).code,
        Some(Code::NoPermit)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_text_gets_no_more_than_no_arguments(text in r#"\PC{0,40}|[\{\}\[\]":,0-9a-z\\ ]{0,60}|\{"(path|n|x)":[^a-z]{0,20}\}"#) {
        let bundle = compile(POLICIES).unwrap();
        let plain = rank(&Given::call("s/r", "{}").decide(&bundle));
        prop_assert!(rank(&Given::call("s/r", &text).decide(&bundle)) <= plain);
    }
}

/// Only an admin publishes, yet a bundle must not be able to take the node down with it.
#[test]
fn bundles_made_to_exhaust_the_stack_are_refused() {
    let clause = |condition: &str| {
        format!(
            "@id(\"x\") @reason(\"r\")\npermit (principal, action, resource) when {{ {condition} }};"
        )
    };
    let one = "context.bw.depth == 1";
    for condition in [
        format!("{}{one}{}", "(".repeat(4_000), ")".repeat(4_000)),
        format!("{}{one}{}", "(".repeat(16), ")".repeat(16)),
        format!("{}1{} == 1", "{a:".repeat(50), "}".repeat(50)),
        format!("{}{one}", "!(".repeat(2_000)),
        vec!["true"; 20_000].join(" && "),
        vec![one; 80].join(" && "),
        vec![one; 2_000].join(" || "),
        format!("{}{one}", "if true then true else ".repeat(2_000)),
        format!("{}{one}", "if(true)then true else ".repeat(2_000)),
        format!(
            "\"\\\";\" == \"{}\" && {}{one}",
            ";".repeat(100),
            "[".repeat(3_000)
        ),
        format!("true //\";\n && {}{one}", "(".repeat(3_000)),
    ] {
        let errors = compile(&clause(&condition)).unwrap_err();
        assert_eq!(errors.flaws[0].message, "this policy is too deep");
    }
    // What stays below the bounds is evaluated.
    let deep = format!(
        "{}{}{}",
        "(".repeat(14),
        vec!["context.bw.depth == 0"; 28].join(" && "),
        ")".repeat(14)
    );
    let ifs = format!(
        "{}true",
        "if context.bw.depth == 1 then true else ".repeat(28)
    );
    for condition in [deep, ifs] {
        let decision = Given::call("s/r", "{}").decide(&compile(&clause(&condition)).unwrap());
        assert_eq!(
            decision.outcome,
            Outcome::Allow,
            "{condition}: {:?}",
            decision.reasons
        );
    }
}
