//! Facts that nobody feeds yet: absent in policy, refused unless asked for first, and closed rather than open.

use bailiwick_core::Code;
use bailiwick_core::decision::Outcome;
use bailiwick_policy::{Bundle, Facts, FlawCode, Provenance, Recorded};

use crate::world::{Given, VERSION, WORLD, bundle, compile, registry};

const READ: &str = "@id(\"read\") @reason(\"r\")\npermit (principal, action in Bailiwick::Action::\"read\", resource);\n";

fn known(weak: &[&str]) -> Facts {
    Facts {
        provenance: Some(Provenance {
            weak: weak.iter().map(|one| (*one).to_owned()).collect(),
            ..Provenance::default()
        }),
        denied: Some(2),
        ..Facts::default()
    }
}

#[test]
fn a_fact_must_be_asked_for_before_it_is_used() {
    for condition in [
        "context.bw.provenance.saturated",
        "context.bw.first_use.destination",
        "context.bw.attested.age_s < 3600",
        "context.bw.evidence.open_high == 0",
        "context.bw.session.network == \"loopback\"",
        "context.bw.budget_left.calls > 3",
        "context.bw.history.tools.contains(\"s/w\")",
        "context.bw.request.hosts.contains(\"x\")",
        "context.bw.task.idle_s < 60",
        "context.bw.task.denied < 3",
    ] {
        let guarded = condition.split(['.', ' ']).collect::<Vec<_>>();
        let depth = if guarded[2] == "task" { 4 } else { 3 };
        let asked = format!(
            "{} has {}",
            guarded[..depth - 1].join("."),
            guarded[depth - 1]
        );
        let text = |condition: &str| {
            format!(
                "@id(\"p\") @reason(\"r\")\npermit (principal, action == Bailiwick::Action::\"s/r\", resource) when {{ {condition} }};"
            )
        };
        let errors =
            Bundle::compile(&bundle(&text(condition)), VERSION, &registry(WORLD)).unwrap_err();
        assert_eq!(
            errors.flaws[0].code,
            FlawCode::OptionalAttribute,
            "{condition}"
        );
        let bundle = compile(&text(&format!("{asked} && {condition}"))).unwrap();
        // Asked for, it lets nothing through while nobody feeds it.
        assert_eq!(
            Given::call("s/r", "{}").decide(&bundle).code,
            Some(Code::NoPermit),
            "{condition}"
        );
    }
}

#[test]
fn a_forbid_can_hold_until_a_fact_is_there() {
    let policies = format!(
        "{READ}@id(\"weak\") @reason(\"r\") @step_up(\"approval:ops\")\nforbid (principal, action, resource)\nunless {{ context.bw has provenance && context.bw.provenance.weak.isEmpty() }};"
    );
    let bundle = compile(&policies).unwrap();
    let outcome = |facts: Facts| {
        let given = Given {
            facts,
            ..Given::call("s/r", "{}")
        };
        given.decide(&bundle).outcome
    };
    assert_eq!(outcome(Facts::default()), Outcome::StepUp);
    assert_eq!(outcome(known(&["object:/path"])), Outcome::StepUp);
    assert_eq!(outcome(known(&[])), Outcome::Allow);
}

#[test]
fn facts_are_recorded_and_decide_again() {
    let policies = format!(
        "{READ}@id(\"often\") @reason(\"r\")\nforbid (principal, action, resource) when {{ context.bw.task has denied && context.bw.task.denied >= 2 }};"
    );
    let bundle = compile(&policies).unwrap();
    let given = Given {
        facts: known(&[]),
        ..Given::call("s/r", "{}")
    };
    let recorded = given.recorded();
    let again = Recorded::opened(&recorded.sealed(), "{}").unwrap();
    assert_eq!(again, recorded);
    assert_eq!(
        bundle.explain_recorded(&again).decision.code,
        Some(Code::Forbidden)
    );
    assert_eq!(given.decide(&bundle).code, Some(Code::Forbidden));
    // Without any, nothing of them is written.
    let none = Given::call("s/r", "{}").recorded().sealed();
    assert!(!String::from_utf8(none).unwrap().contains("facts"));
}
