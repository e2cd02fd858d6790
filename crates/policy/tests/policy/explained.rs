//! P7: what an explanation says would allow a call does allow it; and it says which policy, which clause, with which values.

use bailiwick_core::decision::Outcome;
use bailiwick_policy::{
    Bundle, BundleSource, Explanation, Recorded, Registry, Remedy, Step, fixtures, starter,
};
use expect_test::{Expect, expect};
use proptest::prelude::{ProptestConfig, Strategy, prop, prop_assert, proptest};

use crate::oracle::{Generated, given, policy, text};
use crate::world::{Given, VERSION, WORLD, bundle, compile, compile_on, registry};

/// Applies a change to the call, and if it asks for that to the bundle, and decides.
fn outcome_of(
    remedy: &Remedy,
    call: &Recorded,
    source: &BundleSource,
    registry: &Registry,
) -> Outcome {
    let changed = remedy.apply(call).unwrap();
    let mut source = source.clone();
    for step in &remedy.steps {
        match step {
            Step::Without { policies } => {
                for text in source.files.values_mut() {
                    *text = without(text, policies);
                }
            }
            Step::Permit { cedar, .. } => {
                source
                    .files
                    .insert("permit.cedar".to_owned(), cedar.clone());
            }
            _ => {}
        }
    }
    let bundle = compile_on(&source, registry).unwrap();
    bundle.explain_recorded(&changed).decision.outcome
}

/// The text without the policies of these ids. Each policy of these bundles ends in `;` at the end of a line.
fn without(text: &str, policies: &[String]) -> String {
    let kept = text.split_inclusive(";\n").filter(|policy| {
        !policies
            .iter()
            .any(|id| policy.contains(&format!("@id(\"{id}\")")))
    });
    kept.collect()
}

fn words(explanation: &Explanation) -> String {
    let mut lines: Vec<String> = explanation
        .because
        .iter()
        .map(|because| {
            let values = because.values.iter();
            let values: Vec<String> = values
                .map(|shown| format!("{} = {}", shown.name, shown.value))
                .collect();
            format!(
                "{}:{}:{} {} {}: {} [{}]",
                because.file,
                because.line,
                because.column,
                because.policy,
                match because.holds {
                    Some(true) => "holds",
                    Some(false) => "does not hold",
                    None => "cannot be evaluated",
                },
                because.clause.as_deref().unwrap_or("whatever the call"),
                values.join(", ")
            )
        })
        .collect();
    let would = explanation.would_allow.iter().map(Remedy::words);
    lines.extend(would.map(|words| format!("> {words}")));
    lines.join("\n")
}

fn check(policies: &str, given: &Given, expected: &Expect) {
    let explanation = given.with(|input| compile(policies).unwrap().explain(input));
    expected.assert_eq(&words(&explanation));
    let (source, registry) = (bundle(policies), registry(WORLD));
    for remedy in &explanation.would_allow {
        let outcome = outcome_of(remedy, &given.recorded(), &source, &registry);
        assert_eq!(outcome, Outcome::Allow, "{remedy:?}");
    }
}

const READ: &str = "@id(\"read\") @reason(\"r\")\npermit (principal, action in Bailiwick::Action::\"read\", resource);\n";

#[test]
fn a_forbid_says_what_held_and_what_would_lift_it() {
    let secrets = format!(
        "{READ}@id(\"secrets\") @reason(\"r\")\nforbid (principal, action, resource == Bailiwick::Server::\"s\")\nwhen {{ context.input has path && context.input.path like \"secrets/*\" }}\nunless {{ principal.base_risk == 3 }};\n"
    );
    check(
        &secrets,
        &Given::call("s/r", r#"{"path":"secrets/key"}"#),
        &expect![[r#"
            p.cedar:5:8 secrets holds: context.input has path [context.input.path = "secrets/key"]
            p.cedar:5:34 secrets holds: context.input.path like "secrets/*" [context.input.path = "secrets/key"]
            p.cedar:6:1 secrets holds: !(principal.base_risk == 3) [principal.base_risk = 0]
            > the call without `path`
            > another `path`, such as "x", so that `context.input.path like "secrets/*"` does not hold"#]],
    );
    let always =
        format!("{READ}@id(\"no\") @reason(\"r\")\nforbid (principal, action, resource);\n");
    check(
        &always,
        &Given::call("s/r", "{}"),
        &expect![[r#"
        p.cedar:3:1 no holds: whatever the call []
        > a bundle whose `no` does not forbid it"#]],
    );
    let fails = format!(
        "{READ}@id(\"sum\") @reason(\"r\")\nforbid (principal, action, resource) when {{ context.input has n && context.input.n + 1 > 10 }};\n"
    );
    check(
        &fails,
        &Given::call("s/r", r#"{"n":9223372036854775807}"#),
        &expect![[r#"
            p.cedar:4:68 sum cannot be evaluated: context.input.n + 1 > 10 [context.input.n = 9223372036854775807]
            > the call without `n`"#]],
    );
}

#[test]
fn a_missing_permit_says_which_was_near() {
    check(
        "",
        &Given::call("s/r", "{}"),
        &expect!["> a policy that permits s/r (read) to agent a"],
    );
    let near = "@id(\"staged\") @reason(\"r\")\npermit (principal, action, resource)\nwhen { context.bw.task.stage == \"plan\" && context.bw.task.risk == 2 }\nunless { context.bw.task.labels.contains(\"pii\") };\n\
        @id(\"small\") @reason(\"r\") @step_up(\"approval:ops\")\npermit (principal, action == Bailiwick::Action::\"s/r\", resource) when { context.input has n && context.input.n < 10 && context.input has path && context.input.path like \"notes/*.md\" };\n";
    check(
        near,
        &Given::call("s/r", r#"{"n":12}"#),
        &expect![[r#"
        p.cedar:3:8 staged does not hold: context.bw.task.stage == "plan" [context.bw.task.stage = "run"]
        p.cedar:3:43 staged does not hold: context.bw.task.risk == 2 [context.bw.task.risk = 0]
        p.cedar:6:96 small does not hold: context.input.n < 10 [context.input.n = 12]
        p.cedar:6:120 small does not hold: context.input has path [context.input.path = absent]
        p.cedar:6:146 small cannot be evaluated: context.input.path like "notes/*.md" [context.input.path = absent]
        > a task in stage plan, and a task at risk high"#]],
    );
}

#[test]
fn a_step_up_says_whose_word_is_needed() {
    let two = format!(
        "{READ}@id(\"look\") @reason(\"r\") @step_up(\"approval:ops\") @quorum(\"2\")\nforbid (principal, action, resource) when {{ context.bw.task.risk < 3 && context.bw.user == Bailiwick::User::\"user:test:alice\" }};\n"
    );
    check(
        &two,
        &Given::call("s/r", "{}"),
        &expect![[r#"
        p.cedar:4:45 look holds: context.bw.task.risk < 3 [context.bw.task.risk = 0]
        p.cedar:4:73 look holds: context.bw.user == Bailiwick::User::"user:test:alice" [context.bw.user = the user of the task]
        > approval by ops (2 people)"#]],
    );
    let duty = format!(
        "{READ}@id(\"mask\") @reason(\"r\") @duty(\"redact:pii\")\nforbid (principal, action, resource);\n"
    );
    check(
        &duty,
        &Given::call("s/r", "{}"),
        &expect![[r#"
        p.cedar:3:1 mask holds: whatever the call []
        > an enforcement point that performs redact"#]],
    );
}

#[test]
fn arguments_that_do_not_fit_are_mended() {
    for arguments in [
        r#"{"path":7,"extra":1}"#,
        r#"{"n":1.5}"#,
        "[]",
        "not json",
        r#"{"path":"a","path":"b"}"#,
    ] {
        let given = Given::call("s/r", arguments);
        let explanation = given.with(|input| compile(READ).unwrap().explain(input));
        let (source, registry) = (bundle(READ), registry(WORLD));
        assert!(!explanation.would_allow.is_empty(), "{arguments}");
        for remedy in &explanation.would_allow {
            let outcome = outcome_of(remedy, &given.recorded(), &source, &registry);
            assert_eq!(outcome, Outcome::Allow, "{arguments}: {remedy:?}");
        }
    }
}

/// Values are those of the condition; who the user is, is not said, and long texts are cut.
#[test]
fn an_explanation_does_not_tell_who_the_user_is() {
    let policies = "@id(\"p\") @reason(\"r\")\npermit (principal, action in Bailiwick::Action::\"s\", resource) when { context.bw.user == Bailiwick::User::\"user:test:bob\" && context.input has path && context.input.path == \"x\" };";
    let long = format!(r#"{{"path":"{}"}}"#, "é".repeat(5_000));
    let given = Given::call("s/w", &long);
    let explanation = given.with(|input| compile(policies).unwrap().explain(input));
    let text = format!("{:?}", explanation.because);
    assert!(
        !text.contains("alice") && text.contains("the user of the task"),
        "{text}"
    );
    assert!(explanation.because.iter().all(|because| {
        because
            .values
            .iter()
            .all(|shown| shown.value.chars().count() < 90)
    }));
    // Nothing of the caller's own values is in what would allow it.
    let would = explanation.decision.would_allow.concat();
    assert!(!would.contains('é') && !would.contains("alice"), "{would}");
}

/// Every way in which the demo's policy denies or holds a call.
#[test]
fn p7_each_denial_of_the_demo_says_what_would_allow_it() {
    let source = starter::demo();
    let registry = fixtures(&source).unwrap();
    let bundle = Bundle::compile(&source, VERSION, &registry).unwrap();
    for (tool, arguments, policy) in [
        (
            "workspace/read_file",
            r#"{"path":"secrets/prod.env"}"#,
            "demo/no-secrets",
        ),
        (
            "workspace/read_file",
            r#"{"path":"notes/../secrets/prod.env"}"#,
            "demo/plain-paths",
        ),
        (
            "workspace/read_file",
            r#"{"path":"/etc/passwd"}"#,
            "demo/plain-paths",
        ),
        (
            "workspace/write_file",
            r#"{"path":"secrets/x","content":"y"}"#,
            "demo/no-secrets",
        ),
        (
            "workspace/update_order",
            r#"{"id":7,"status":"paid"}"#,
            "demo/orders-with-approval",
        ),
    ] {
        let given = Given::on(&registry, "demo-agent", tool, arguments);
        let explanation = given.with(|input| bundle.explain(input));
        assert_ne!(explanation.decision.outcome, Outcome::Allow, "{arguments}");
        let because = explanation
            .because
            .iter()
            .find(|because| because.policy == policy);
        let because = because.unwrap_or_else(|| panic!("{arguments}: {explanation:?}"));
        assert!(because.line > 1 && because.file == "workspace.cedar");
        if because.clause.is_some() {
            assert!(!because.values.is_empty());
        }
        assert!(!explanation.would_allow.is_empty(), "{arguments}");
        for remedy in &explanation.would_allow {
            assert!(!remedy.steps.iter().any(Step::is_of_bundle), "{remedy:?}");
            let outcome = outcome_of(remedy, &given.recorded(), &source, &registry);
            assert_eq!(outcome, Outcome::Allow, "{arguments}: {remedy:?}");
        }
    }
}

fn policies() -> impl Strategy<Value = Vec<Generated>> {
    prop::collection::vec(policy(), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 60 } else { 2_000 }))]

    /// P7: whatever the bundle and the call, what would allow it does, and there is always something.
    #[test]
    fn p7_what_would_allow_a_call_does(policies in policies(), given in given()) {
        let policies = text(&policies);
        let explanation = given.with(|input| compile(&policies).unwrap().explain(input));
        let (source, registry) = (bundle(&policies), registry(WORLD));
        let allowed = explanation.decision.outcome == Outcome::Allow;
        prop_assert!(allowed == explanation.would_allow.is_empty(), "{:?}", explanation);
        for remedy in &explanation.would_allow {
            let outcome = outcome_of(remedy, &given.recorded(), &source, &registry);
            prop_assert!(outcome == Outcome::Allow, "{:?} {:?}", remedy, explanation.decision);
        }
    }
}
