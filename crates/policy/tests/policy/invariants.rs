//! P1 to P6 of the design, over generated bundles and calls. P8 is in `hostile`.

use bailiwick_core::Code;
use bailiwick_core::decision::Outcome;
use bailiwick_policy::Bundle;
use proptest::prelude::{
    ProptestConfig, Strategy, prop, prop_assert, prop_assert_eq, prop_assume, proptest,
};

use crate::oracle::{Generated, compare, given, policy, text};
use crate::world::{Given, VERSION, bundle, compile, rank, registry};

fn policies() -> impl Strategy<Value = Vec<Generated>> {
    prop::collection::vec(policy(), 0..8)
}

fn forbid() -> impl Strategy<Value = Generated> {
    policy().prop_map(|policy| Generated {
        permit: false,
        ..policy
    })
}

/// One that no call of `s/r` with `n` gets past: it overflows whatever else it says.
fn failing(permit: bool) -> Generated {
    Generated {
        permit,
        token: None,
        scope: "(principal, action == Bailiwick::Action::\"s/r\", resource)".to_owned(),
        clauses: " when { context.input has n && context.input.n + 9223372036854775807 > 0 }"
            .to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 40 } else { 1_000 }))]

    /// P1: the same input and bundle give the same decision: compiled twice, in either order of policies, asked twice, by two
    /// threads.
    #[test]
    fn p1_the_same_input_and_bundle_give_the_same_decision(policies in policies(), given in given()) {
        let mut lines: Vec<String> = policies.iter().enumerate().map(|(id, policy)| policy.ours(id)).collect();
        lines.reverse();
        let forward = compile(&text(&policies)).unwrap();
        let backward = compile(&lines.concat()).unwrap();
        let decision = given.decide(&forward);
        prop_assert_eq!(&decision, &given.decide(&forward));
        prop_assert_eq!(&decision, &given.decide(&backward));
        let elsewhere = std::thread::scope(|scope| scope.spawn(|| given.decide(&backward)).join().unwrap());
        prop_assert_eq!(&decision, &elsewhere);
    }

    /// P2: what the index finds is what Cedar finds by asking every policy; every subset of tokens decides as Cedar does on the
    /// rewritten bundle.
    #[test]
    fn p2_indexed_is_full_evaluation(policies in policies(), calls in prop::collection::vec(given(), 1..3)) {
        let compared = compare(&policies, &calls);
        prop_assert!(compared.is_ok(), "{}", compared.err().unwrap_or_default());
    }

    /// P3: without a satisfied permit nothing is allowed or asked for.
    #[test]
    fn p3_no_way_to_allow_without_a_permit(policies in policies(), given in given()) {
        let decision = given.discharge(&["approval:one", "approval:two", "redact:pii", "label:x"]).decide(&compile(&text(&policies)).unwrap());
        let permits: Vec<String> = (0..).zip(&policies).filter(|(_, policy)| policy.permit).map(|(id, _)| format!("p{id}")).collect();
        if decision.outcome != Outcome::Deny {
            prop_assert!(decision.policies.iter().any(|id| permits.contains(id)));
        }
    }

    /// P4: one forbid more never lets more through.
    #[test]
    fn p4_a_forbid_more_never_allows_more(policies in policies(), extra in forbid(), given in given(), approved: bool) {
        let given = if approved { given.discharge(&["approval:one", "label:x"]) } else { given };
        let before = given.decide(&compile(&text(&policies)).unwrap());
        let longer: Vec<Generated> = policies.into_iter().chain([extra]).collect();
        let after = given.decide(&compile(&text(&longer)).unwrap());
        prop_assert!(rank(&after) <= rank(&before));
    }

    /// P5: tokens only ever turn a step-up into an allow; they lift no deny but that of an unperformed duty. (That a token is of
    /// exactly this call is the enforcement point's to know: approvals are bound to the digest of the call.)
    #[test]
    fn p5_approvals_lift_nothing_but_step_ups(policies in policies(), given in given()) {
        let bundle = compile(&text(&policies)).unwrap();
        let before = given.decide(&bundle);
        let after = given.clone().discharge(&["approval:one", "approval:two"]).decide(&bundle);
        match before.outcome {
            Outcome::Deny => prop_assert_eq!(after.outcome, Outcome::Deny),
            Outcome::StepUp | Outcome::Allow => prop_assert_eq!(after.outcome, Outcome::Allow),
        }
        // A token of the same name but for one letter is another token.
        let other = given.discharge(&["approval:onE", "approval:two ", "one", "approval:"]).decide(&bundle);
        prop_assert_eq!(other, before);
    }

    /// P6: a permit that fails counts for nothing, a forbid that fails denies.
    #[test]
    fn p6_errors_never_widen(policies in policies(), given in given(), approved: bool) {
        let given = if approved { given.discharge(&["approval:one", "approval:two"]) } else { given };
        let before = given.decide(&compile(&text(&policies)).unwrap());
        // With a negative number nothing overflows.
        prop_assume!(!given.arguments.contains('-'));
        let fails = given.tool.tool.to_string() == "s/r" && given.arguments.contains("\"n\":");
        for permit in [true, false] {
            let longer: Vec<Generated> = policies.iter().cloned().chain([failing(permit)]).collect();
            let after = given.decide(&compile(&text(&longer)).unwrap());
            let expected = if fails && !permit { Outcome::Deny } else { before.outcome };
            prop_assert_eq!(after.outcome, expected);
        }
    }
}

/// P6: neither do policies that no longer fit the registry, nor calls that the bundle was not compiled for.
#[test]
fn p6_what_does_not_fit_never_widens() {
    let changed =
        crate::world::WORLD.replacen("n = { type = \"integer\" }", "n = { type = \"string\" }", 1);
    let changed = registry(&changed);
    let all = "@id(\"all\") @reason(\"r\") permit (principal, action, resource);\n";
    let n = "when { context.input has n && context.input.n > 5 };\n";
    let forbid = format!("{all}@id(\"n\") @reason(\"r\") forbid (principal, action, resource) {n}");
    let permit = format!("@id(\"n\") @reason(\"r\") permit (principal, action, resource) {n}");
    for (policies, code) in [(forbid, Code::PolicyError), (permit, Code::NoPermit)] {
        let source = bundle(&policies);
        let lenient = Bundle::compile_lenient(&source, VERSION, &changed).unwrap();
        for arguments in ["{}", r#"{"n":"7"}"#, r#"{"n":7}"#] {
            let decision = Given::on(&changed, "a", "s/r", arguments).decide(&lenient);
            let refused = [Some(code), Some(Code::ArgumentsInvalid)];
            assert!(refused.contains(&decision.code), "{decision:?}");
        }
        // The other tool is as it was.
        let other = Given::on(&changed, "a", "s/w", r#"{"n":7}"#).decide(&lenient);
        assert_ne!(other.code, Some(Code::PolicyError));
    }
}
