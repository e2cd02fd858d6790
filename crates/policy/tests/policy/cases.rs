//! Tests beside policy: what a case can give, what it is told when it cannot be run, and which conditions the cases exercise.

use bailiwick_core::Fault as _;
use bailiwick_core::decision::Outcome;
use bailiwick_policy::{Bundle, BundleSource, Case, Registry, Report};
use expect_test::{Expect, expect};

use crate::world::{WORLD, bundle, compile, registry};

const POLICIES: &str = r#"
@id("read") @reason("r") permit (principal, action in Bailiwick::Action::"read", resource);
@id("paths") @reason("r") forbid (principal, action == Bailiwick::Action::"s/r", resource)
when { context.input has path && context.input.path like "secrets/*" && context.bw.depth >= 0 };
@id("short") @reason("r") @duty("max_ttl:1h")
forbid (principal, action == Bailiwick::Action::"open_task", resource);
@id("leads") @reason("r") forbid (principal, action == Bailiwick::Action::"lower_risk", resource)
unless { context.input.to >= 2 };
"#;

fn with_cases(cases: &str) -> BundleSource {
    let mut source = bundle(POLICIES);
    let text = format!("{WORLD}\n{cases}");
    source.files.insert("tests/t.toml".to_owned(), text);
    source
}

fn run(cases: &str) -> Report {
    Bundle::run_tests(&with_cases(cases), &Registry::default()).unwrap()
}

#[test]
fn built_in_actions_are_tested_as_calls_are() {
    let report = run(r#"
[[case]]
name = "an hour, where it can be cut"
agent = "a"
act = "open_task"
arguments = { life_s = 7200 }
performs = ["max_ttl"]
expect = { outcome = "allow", obligations = ["max_ttl:1h"], policies = ["bailiwick/open-task", "short"] }
[[case]]
name = "nothing, where it cannot"
agent = "a"
act = "open_task"
arguments = { life_s = 7200 }
expect = { outcome = "deny", code = "unsupported_obligation" }
[[case]]
name = "risk stays high"
agent = "a"
account = "anna"
act = "lower_risk"
arguments = { to = 1 }
expect = { outcome = "deny", reasons = ["leads"] }
[[case]]
name = "and may come down to that"
agent = "a"
account = "anna"
act = "lower_risk"
arguments = { to = 2 }
expect = { outcome = "allow" }
[[case]]
name = "to another agent"
agent = "a"
act = "delegate"
arguments = { agent = "b", life_s = 60 }
expect = { outcome = "allow" }
[[case]]
name = "for a server"
agent = "a"
act = "lease"
resource = "github"
arguments = { server = "s" }
expect = { outcome = "allow", policies = ["bailiwick/lease"] }
[[case]]
name = "what nothing permits"
agent = "a"
act = "egress"
resource = "example.com"
arguments = { host = "example.com", port = 443 }
expect = { outcome = "deny", code = "no_permit" }
"#);
    let failures: Vec<_> = report.failures().collect();
    assert!(failures.is_empty(), "{failures:#?}");
    // Nobody has tested the others.
    assert_eq!(report.untested, ["paths", "read"]);
}

#[test]
fn conditions_that_no_case_or_every_case_satisfies_are_named() {
    let untried = |cases: &str| -> Vec<(String, usize, bool, bool)> {
        let untried = run(cases).untried.into_iter();
        let of_paths = untried.filter(|one| one.policy == "paths");
        of_paths
            .map(|one| (one.clause, one.column, one.holds, one.fails))
            .collect()
    };
    let case = |arguments: &str, outcome: &str| {
        format!(
            "[[case]]\nname = \"x\"\nagent = \"a\"\ntool = \"s/r\"\narguments = {arguments}\nexpect = {{ outcome = \"{outcome}\" }}\n"
        )
    };
    let like = "context.input.path like \"secrets/*\"".to_owned();
    let depth = "context.bw.depth >= 0".to_owned();
    let has = "context.input has path".to_owned();
    assert_eq!(
        untried(&case("{}", "allow")),
        [
            (has.clone(), 8, false, true),
            (like.clone(), 34, false, false),
            (depth.clone(), 73, false, false)
        ]
    );
    let all = [
        case("{}", "allow"),
        case("{ path = \"notes/x\" }", "allow"),
        case("{ path = \"secrets/x\" }", "deny"),
    ];
    // What always holds could as well not be there.
    assert_eq!(untried(&all.concat()), [(depth, 73, true, false)]);
}

#[test]
fn arguments_can_be_given_as_the_very_text() {
    let report = run(r#"
[[case]]
name = "a key that is given twice"
agent = "a"
tool = "s/r"
arguments = '{"path":"a","path":"secrets/x"}'
expect = { outcome = "deny", code = "arguments_invalid" }
[[case]]
name = "a letter that is written otherwise"
agent = "a"
tool = "s/r"
arguments = '{"p\u0061th":"s\u0065crets/x"}'
expect = { outcome = "deny", code = "forbidden" }
"#);
    assert!(report.passed(), "{report:#?}");
}

fn refused(case: &str, expected: &Expect) {
    let source = with_cases(&format!("[[case]]\n{case}"));
    let errors = Bundle::run_tests(&source, &Registry::default()).unwrap_err();
    let flaw = &errors.flaws[0];
    assert!(flaw.line > 20, "{flaw}");
    let place = format!("{}:{}: ", flaw.line, flaw.column);
    let said = flaw.to_string().replace(&place, "");
    expected.assert_eq(&format!("{:?} {said}\n  help: {}\n", flaw.code, flaw.help));
}

#[test]
fn a_case_that_cannot_be_run_says_what_it_lacks() {
    let rest = "expect = { outcome = \"deny\" }";
    let call = "name = \"x\"\nagent = \"a\"\ntool = \"s/r\"";
    refused(
        call,
        &expect![[r#"
        Test tests/t.toml:this case expects nothing
          help: add expect = { outcome = "deny" }
    "#]],
    );
    refused(
        &format!("agent = \"a\"\ntool = \"s/r\"\n{rest}"),
        &expect![[r#"
            Test tests/t.toml:this case has no name
              help: say with name = "…" what it shows
        "#]],
    );
    refused(
        &format!("name = \"x\"\nagent = \"a\"\n{rest}"),
        &expect![[r#"
            Test tests/t.toml:what is asked is not clear
              help: give exactly one of `tool` and `act`
        "#]],
    );
    refused(
        &format!("name = \"x\"\nagent = \"c\"\ntool = \"s/r\"\n{rest}"),
        &expect![[r#"
            Test tests/t.toml:there is no agent `c`
              help: did you mean `a`?
        "#]],
    );
    refused(
        &format!("name = \"x\"\nagent = \"a\"\ntool = \"s/rr\"\n{rest}"),
        &expect![[r#"
            Test tests/t.toml:there is no tool `s/rr`
              help: did you mean `s/r`?
        "#]],
    );
    refused(
        &format!("{call}\ntime = \"yesterday\"\n{rest}"),
        &expect![[r#"
            Test tests/t.toml:time: `yesterday` is not an RFC 3339 instant such as 2026-11-23T09:00:00Z
              help: write an instant such as 2026-01-05T10:00:00Z
        "#]],
    );
    refused(
        &format!("{call}\nstag = \"run\"\n{rest}"),
        &expect![[r#"
        Test tests/t.toml:unknown field `stag`, expected one of `name`, `agent`, `tool`, `act`, `account`, `resource`, `arguments`, `effect`, `user`, `workflow`, `stage`, `risk`, `labels`, `requested_by`, `usage`, `facts`, `depth`, `age_s`, `time`, `discharged`, `performs`, `expect`
          help: did you mean `stage`?
    "#]],
    );
    refused(
        &format!("{call}\nexpect = {{ outcom = \"deny\" }}"),
        &expect![[r#"
            Test tests/t.toml:unknown field `outcom`, expected one of `outcome`, `code`, `policies`, `reasons`, `obligations`, `all_of`, `any_of`, `quorum`, `standing`
              help: did you mean `outcome`?
        "#]],
    );
}

#[test]
fn a_case_of_a_built_in_action_that_cannot_be_run_says_what_it_lacks() {
    let rest = "expect = { outcome = \"deny\" }";
    let act = |act: &str, more: &str| {
        format!("name = \"x\"\nagent = \"a\"\nact = \"{act}\"\n{more}\n{rest}")
    };
    refused(
        &act("opentask", ""),
        &expect![[r#"
        Test tests/t.toml:there is no action `opentask`
          help: did you mean `open_task`?
    "#]],
    );
    refused(
        &act("open_task", "arguments = { life = 1 }"),
        &expect![[r#"
            Test tests/t.toml:arguments: there is no `life`
              help: the input of `open_task` is: life_s
        "#]],
    );
    refused(
        &act("open_task", "arguments = { life_s = -1 }"),
        &expect![[r#"
            Test tests/t.toml:arguments: `life_s` is missing or unfit
              help: the input of `open_task` is: life_s
        "#]],
    );
    refused(
        &act("lower_risk", "arguments = { to = 1 }"),
        &expect![[r#"
        Test tests/t.toml:`lower_risk` is done by a person
          help: give the name of an `account`
    "#]],
    );
    refused(
        &act(
            "lease",
            "account = \"anna\"\narguments = { server = \"s\" }",
        ),
        &expect![[r#"
            Test tests/t.toml:`lease` is done by an agent
              help: leave `account` out
        "#]],
    );
    refused(
        &act("lease", "arguments = \"{}\""),
        &expect![[r#"
        Test tests/t.toml:an act has no argument text
          help: write the arguments of an act as a table
    "#]],
    );
}

/// What is asked by hand is decided and explained as the call itself would be.
#[test]
fn a_request_that_is_written_down_is_explained() {
    let registry = registry(WORLD);
    let compiled = compile(POLICIES).unwrap();
    let ask = |text: &str| serde_json::from_str::<Case>(text).unwrap();
    let case = ask(r#"{"agent": "a", "tool": "s/r", "arguments": {"path": "secrets/x"}}"#);
    let explanation = compiled.explain_recorded(&case.recorded(&registry).unwrap());
    assert_eq!(explanation.decision.outcome, Outcome::Deny);
    assert_eq!(explanation.because[0].policy, "paths");
    assert!(!explanation.would_allow.is_empty());
    for (text, message) in [
        (r#"{"agent": "z", "tool": "s/r"}"#, "there is no agent `z`"),
        (
            r#"{"agent": "a", "act": "open_task", "arguments": {"life_s": 1}}"#,
            "calls of tools are explained, built-in actions are not",
        ),
    ] {
        let error = ask(text).recorded(&registry).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(!error.help().is_empty());
    }
    assert!(serde_json::from_str::<Case>(r#"{"agent": "a", "tol": "s/r"}"#).is_err());
}
