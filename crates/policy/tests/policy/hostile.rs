//! Arguments made to break the evaluation: they never panic and never get more than plain ones. P8: the bounds.

use std::sync::LazyLock;

use bailiwick_core::Code;
use bailiwick_core::decision::Outcome;
use bailiwick_policy::act::{Act, Told};
use bailiwick_policy::{Bundle, MAX_ARGUMENT_BYTES, MAX_ARGUMENT_DEPTH, MAX_CANDIDATES};
use proptest::prelude::{ProptestConfig, prop_assert, proptest};

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
fn p8_what_is_over_a_bound_is_denied() {
    let deep = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        format!(r#"{{"path":{open}{close}}}"#)
    };
    let long = |length: usize| format!(r#"{{"path":"{}"}}"#, "a".repeat(length - 11));
    let wide = |members: usize| format!(r#"{{"path":[{}]}}"#, vec!["1"; members - 1].join(","));
    // At the bound, and one more.
    for (tool, within, over) in [
        (
            "t/e",
            deep(MAX_ARGUMENT_DEPTH),
            deep(MAX_ARGUMENT_DEPTH + 1),
        ),
        (
            "s/r",
            long(MAX_ARGUMENT_BYTES),
            long(MAX_ARGUMENT_BYTES + 1),
        ),
        ("t/e", wide(16_384), wide(16_385)),
    ] {
        assert_eq!(code(tool, &within), None);
        assert_eq!(code(tool, &over), Some(Code::PolicyLimit));
    }
    // Far over it: nothing is read to the end, or by recursion.
    assert_eq!(code("t/e", &deep(100_000)), Some(Code::PolicyLimit));
    assert_eq!(
        code("s/r", &"{\"path\":".repeat(9_000)),
        Some(Code::PolicyLimit)
    );
    assert_eq!(code("s/r", &long(8 << 20)), Some(Code::PolicyLimit));
}

#[test]
fn sets_of_ten_thousand_elements_are_looked_through() {
    let policies = "@id(\"all\") @reason(\"r\") permit (principal, action, resource);\n\
         @id(\"tag\") @reason(\"r\") forbid (principal, action == Bailiwick::Action::\"s/w\", resource)\n\
         when { context.input has tags && context.input.tags.contains(\"secret\") };";
    let bundle = compile(policies).unwrap();
    let tags = |last: &str| {
        let others = (0x4e00..0x4e00 + 9_999).filter_map(char::from_u32);
        let mut tags: Vec<String> = others.map(|other| format!("\"{other}\"")).collect();
        tags.push(format!("\"{last}\""));
        Given::call("s/w", &format!(r#"{{"tags":[{}]}}"#, tags.join(",")))
            .decide(&bundle)
            .code
    };
    assert_eq!(tags("public"), None);
    assert_eq!(tags("secret"), Some(Code::Forbidden));
    assert_eq!(tags("s\\u0065cret"), Some(Code::Forbidden));
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
        "NaN",
        "Infinity",
        "-Infinity",
        "-0.0",
        "+1",
        "01",
        "1_000",
        "1e-400",
        "\"7\"",
        "\u{0661}",
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
        r#"{"path":"a","":{"path":"secrets/x"}}"#,
        r#"{"path":"a",}"#,
        r#"{"path":"a"}{"path":"secrets/x"}"#,
        "\u{feff}{}",
        "{/**/}",
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

/// Look-alikes are other names: no key passes for another, and no value for one that a permit names.
#[test]
fn look_alikes_are_not_the_same() {
    let only = "@id(\"notes\") @reason(\"r\") permit (principal, action == Bailiwick::Action::\"s/r\", resource)\n\
         when { context.input has path && context.input.path like \"notes/*\" };";
    let bundle = compile(only).unwrap();
    let code = |arguments: &str| Given::call("s/r", arguments).decide(&bundle).code;
    assert_eq!(code(r#"{"path":"notes/a"}"#), None);
    // Cyrillic o, fullwidth n, a zero-width space, a division slash, a combining mark, a right-to-left override.
    for path in [
        "n\u{043e}tes/a",
        "\u{ff4e}otes/a",
        "no\u{200b}tes/a",
        "notes\u{2215}a",
        "note\u{301}s/a",
        "\u{202e}notes/a",
        "NOTES/a",
    ] {
        let arguments = format!(r#"{{"path":"{path}"}}"#);
        assert_eq!(code(&arguments), Some(Code::NoPermit), "{arguments}");
    }
    for key in [
        "p\u{0430}th",
        "\u{ff50}ath",
        "path\u{200b}",
        "pa\u{301}th",
        "pa\\u0000th",
    ] {
        let arguments = format!(r#"{{"{key}":"notes/a"}}"#);
        assert_eq!(
            code(&arguments),
            Some(Code::ArgumentsInvalid),
            "{arguments}"
        );
    }
    for broken in [
        r#"{"path":"notes/\ud800"}"#,
        r#"{"path":"notes/\udc00\ud800"}"#,
        "{\"path\":\"notes/\u{0}\"}",
    ] {
        assert_eq!(code(broken), Some(Code::ArgumentsInvalid), "{broken}");
    }
}

/// What is forbidden by its name is not let through by a name that looks like it: a forbid is asked about the arguments as they
/// were sent and as a person may read them. Explanations know both.
#[test]
fn look_alikes_do_not_get_past_a_forbid() {
    let bundle = compile(POLICIES).unwrap();
    for path in [
        "s\u{435}crets/key",
        "\u{ff53}ecrets/key",
        "sec\u{200b}rets/key",
        "secrets\u{2215}key",
        "\u{202e}secrets/key",
        "\\u0455ecrets/key",
        "secrets/\u{43a}ey",
    ] {
        let given = Given::call("s/r", &format!(r#"{{"path":"{path}"}}"#));
        let explanation = given.with(|input| bundle.explain(input));
        assert_eq!(explanation.decision.code, Some(Code::Forbidden), "{path:?}");
        assert_eq!(explanation.because.len(), 2, "{explanation:?}");
        assert!(!explanation.would_allow.is_empty());
    }
    // Letters of other languages are letters.
    for path in [
        "\u{43e}\u{442}\u{447}\u{451}\u{442}/s",
        "caf\u{e9}",
        "\u{5317}\u{4eac}",
    ] {
        let arguments = format!(r#"{{"path":"{path}"}}"#);
        assert_eq!(code("s/r", &arguments), None, "{arguments}");
    }
    let same = "@id(\"all\") @reason(\"r\") permit (principal, action, resource);\n\
         @id(\"tags\") @reason(\"r\") forbid (principal, action == Bailiwick::Action::\"s/w\", resource)\n\
         when { context.input has tags && context.input.tags.contains(\"secret\") };";
    let bundle = compile(same).unwrap();
    let given = Given::call("s/w", "{\"tags\":[\"a\",\"s\u{435}cret\"]}");
    assert_eq!(given.decide(&bundle).code, Some(Code::Forbidden));
}

/// What is no tool call is asked about in both forms too, and within the same bounds.
#[test]
fn acts_are_looked_at_as_arguments_are() {
    let bundle = compile(
        r#"
@id("read") @reason("r") permit (principal, action == Bailiwick::Action::"resource_read", resource);
@id("no-secrets") @reason("r") forbid (principal, action == Bailiwick::Action::"resource_read", resource)
when { context.input.uri like "file:///secrets/*" };
"#,
    )
    .unwrap();
    let read = |bundle: &Bundle, uri: &str| {
        let given = Given::call("s/r", "{}");
        bundle
            .decide_act(&given.act(Act::ResourceRead, &[("uri", Told::Text(uri))]))
            .code
    };
    assert_eq!(read(&bundle, "file:///notes/a"), None);
    for uri in [
        "file:///secrets/key",
        "file:///s\u{435}crets/key",
        "file:///sec\u{200b}rets/key",
        "\u{ff46}ile:///secrets/key",
        "file:///secrets\u{2215}key",
    ] {
        assert_eq!(read(&bundle, uri), Some(Code::Forbidden), "{uri:?}");
    }
    let long = |bytes: usize| format!("file:///{}", "a".repeat(bytes - 8));
    assert_eq!(read(&bundle, &long(MAX_ARGUMENT_BYTES)), None);
    let over = read(&bundle, &long(MAX_ARGUMENT_BYTES + 1));
    assert_eq!(over, Some(Code::PolicyLimit));
    // As for calls: the work is bounded, whatever the length.
    let one = "@id(\"p#\") @reason(\"r\") permit (principal, action == Bailiwick::Action::\"resource_read\", resource)\n\
         when { context.input.uri like \"*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab*\" };\n";
    let all: Vec<String> = (0..16).map(|n| one.replace('#', &n.to_string())).collect();
    let bundle = compile(&all.concat()).unwrap();
    assert_eq!(read(&bundle, &long(1_000)), Some(Code::NoPermit));
    assert_eq!(read(&bundle, &long(60_000)), Some(Code::PolicyLimit));
}

#[test]
fn p8_more_policies_than_the_bound_deny() {
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

/// Short policies and long arguments, compared again and again: the work is bounded, not the time, so that every node decides
/// the same.
#[test]
fn p8_more_work_than_the_bound_denies() {
    let one = "@id(\"p#\") @reason(\"r\") permit (principal, action == Bailiwick::Action::\"s/r\", resource)\n\
         when { context.input has path && context.input.path like \"*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab*\" };\n";
    let all: Vec<String> = (0..16).map(|n| one.replace('#', &n.to_string())).collect();
    let bundle = compile(&all.concat()).unwrap();
    let code = |length: usize| {
        let arguments = format!(r#"{{"path":"{}"}}"#, "a".repeat(length));
        Given::call("s/r", &arguments).decide(&bundle).code
    };
    assert_eq!(code(1_000), Some(Code::NoPermit));
    assert_eq!(code(60_000), Some(Code::PolicyLimit));
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

/// One permit for one value of each argument.
const NARROW: &str = r#"
@id("narrow") @reason("r") permit (principal, action == Bailiwick::Action::"s/r", resource)
when {
  context.input has path && context.input.path == "notes/a" &&
  context.input has n && context.input.n == 7 &&
  context.input has p && context.input.p == decimal("0.5")
};
"#;

static NARROWED: LazyLock<Bundle> = LazyLock::new(|| compile(NARROW).unwrap());

/// Whether another reader of JSON sees exactly what the permit names. It keeps the last of equal keys, so their number is compared too.
fn is_named(text: &str) -> bool {
    let Ok(serde_json::Value::Object(members)) = serde_json::from_str(text) else {
        return false;
    };
    let number = |name: &str| members.get(name).and_then(serde_json::Value::as_f64);
    members.len() == 3
        && text.matches(':').count() == 3
        && members.get("path").and_then(serde_json::Value::as_str) == Some("notes/a")
        && number("n") == Some(7.0)
        && number("p") == Some(0.5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// What is near to what a permit names, in any way of writing it: allowed only if another reader sees the same values.
    #[test]
    fn a_narrow_permit_lets_nothing_else_through(
        path in r#"notes/a|notes/[ab]|notes/\\u0061|n\u{43e}tes/a|notes//a|\PC{0,8}"#,
        n in "7|7|7|-?7|0?7|7\\.0|7e0|70E-1|0x7|NaN|1e400|-0|\"7\"|\\[7\\]|null|\\{\\}",
        p in "0\\.5|0\\.5|0\\.50{0,5}|5e-1|\\.5|0\\.1|-0\\.5|0\\.5000000000000001|1e-400|null|\"0\\.5\"",
        more in r#"|||,"n":7|,"x":1|,"N":7|,|,"path":"notes/a""#,
    ) {
        let text = format!(r#"{{"path":"{path}","n":{n},"p":{p}{more}}}"#);
        let decision = Given::call("s/r", &text).decide(&NARROWED);
        let allowed = decision.outcome == Outcome::Allow;
        prop_assert!(!allowed || is_named(&text), "{text}");
        let plain = text == r#"{"path":"notes/a","n":7,"p":0.5}"#;
        prop_assert!(allowed || !plain, "{}", text);
    }

    /// Whatever JSON is, deep or wide, it is read without a panic and gets no more.
    #[test]
    fn any_json_gets_no_more_than_a_narrow_permit_gives(
        wrap in proptest::collection::vec(0_usize..4, 0..40),
        leaf in r#"null|true|-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?|"\PC{0,20}""#,
    ) {
        let text = wrap.iter().fold(leaf, |inner, kind| match kind {
            0 => format!("[{inner}]"),
            1 => format!(r#"{{"path":{inner}}}"#),
            2 => format!(r#"{{"n":{inner}}}"#),
            _ => format!("[{inner},{{}}]"),
        });
        for tool in ["s/r", "s/w", "t/e"] {
            let outcome = Given::call(tool, &text).decide(&NARROWED).outcome;
            prop_assert!(outcome == Outcome::Deny || is_named(&text), "{text}");
        }
    }
}

/// Decimals are exact or refused: nothing is rounded to what a policy names.
#[test]
fn decimals_are_exact_or_refused() {
    let bundle =
        compile(&NARROW.replace("context.input has n && context.input.n == 7 &&", "")).unwrap();
    let decide = |p: &str| {
        let given = Given::call("s/r", &format!(r#"{{"path":"notes/a","p":{p}}}"#));
        given.decide(&bundle).code
    };
    for same in ["0.5", "0.50", "0.5000"] {
        assert_eq!(decide(same), None, "{same}");
    }
    for other in [
        "0",
        "-0.5",
        "0.4999",
        "0.1",
        "922337203685477.5807",
        "-0",
        "-0.0",
    ] {
        assert_eq!(decide(other), Some(Code::NoPermit), "{other}");
    }
    for unfit in [
        "0.50000",
        "5e-1",
        "0.49999999999999999",
        "1e400",
        "-1e400",
        "922337203685477.5808",
        "NaN",
        ".5",
        "0.",
        "0.1+0.4",
    ] {
        assert_eq!(decide(unfit), Some(Code::ArgumentsInvalid), "{unfit}");
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
