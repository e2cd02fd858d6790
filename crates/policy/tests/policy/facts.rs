//! Facts of a call: absent in policy where nobody knows them, refused unless asked for first, and closed rather than open.

use bailiwick_core::Code;
use bailiwick_core::decision::Outcome;
use bailiwick_policy::{
    Bundle, Evidence, Facts, FlawCode, ItemIds, Items, Provenance, Recorded, Step,
};

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
        "context.bw.session.network == \"loopback\"",
        "context.bw.budget_left.calls > 3",
        "context.bw.history.tools.contains(\"s/w\")",
        "context.bw.request.hosts.contains(\"x\")",
        "context.bw.items.labels.contains(\"pii\")",
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

/// What a careful operator writes about code: scanned within an hour, nothing high found, built by somebody known.
const CLEAN: &str = r#"
@id("clean") @reason("r")
forbid (principal, action, resource) unless {
  context.bw has evidence && context.bw.evidence.provenance == "signed" && context.bw.evidence.open_high == 0
  && context.bw.evidence has scan_age_s && context.bw.evidence.scan_age_s < 3600
};"#;

#[test]
fn what_is_known_of_code_can_only_forbid() {
    let careful = compile(&format!("{READ}{CLEAN}")).unwrap();
    let outcome = |evidence: Option<Evidence>| {
        let given = Given {
            facts: Facts {
                evidence,
                ..Facts::default()
            },
            ..Given::call("s/r", "{}")
        };
        given.decide(&careful).outcome
    };
    let known = |provenance: &str, scan_age_s: Option<u64>, open_high: u64| {
        Some(Evidence {
            provenance: provenance.to_owned(),
            scan_age_s,
            open_high,
            ..Evidence::default()
        })
    };
    assert_eq!(outcome(known("signed", Some(3_599), 0)), Outcome::Allow);
    for denied in [
        None,
        known("signed", None, 0),
        known("signed", Some(3_600), 0),
        known("signed", Some(10), 1),
        known("submitted", Some(10), 0),
    ] {
        assert_eq!(outcome(denied.clone()), Outcome::Deny, "{denied:?}");
    }
    // It is asked for first, as any fact, and so is the age of a scan that may not have been.
    for missing in [
        "context.bw has evidence && ",
        "context.bw.evidence has scan_age_s\n  && ",
    ] {
        let text = CLEAN
            .replace(missing, "")
            .replace("context.bw.evidence has scan_age_s && ", "");
        let errors = compile(&format!("{READ}{text}")).unwrap_err();
        assert_eq!(errors.flaws[0].code, FlawCode::OptionalAttribute);
    }
    // No permit may rest on it, not even where it only asks whether there is any.
    for condition in [
        "when { context.bw has evidence && context.bw.evidence.open_high == 0 }",
        "when { context.bw has evidence }",
        "unless { context.bw has evidence && context.bw.evidence.sbom }",
        "when { context.input has path && (if context.bw has evidence then true else false) }",
    ] {
        let text = format!(
            "@id(\"p\") @reason(\"r\")\npermit (principal, action == Bailiwick::Action::\"s/r\", resource) {condition};"
        );
        let checked = Bundle::compile(&bundle(&text), VERSION, &registry(WORLD));
        let errors = checked.map(drop).unwrap_err();
        assert_eq!(
            errors.flaws[0].code,
            FlawCode::EvidenceInPermit,
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

/// One tool may be used on two repositories, one of which is closed to writes, and nothing confidential is written over.
const ITEMS: &str = r#"
@id("ours") @reason("These two are ours.")
permit (principal, action == Bailiwick::Action::"s/w", resource)
when {
  context.bw has items &&
  [Bailiwick::Item::"s/repo/acme/web", Bailiwick::Item::"s/repo/acme/api"].containsAll(context.bw.items.names)
};
@id("frozen") @reason("It is frozen.")
forbid (principal, action == Bailiwick::Action::"s/w", resource)
when { context.bw has items && context.bw.items.names.contains(Bailiwick::Item::"s/repo/acme/api") };
@id("pii") @reason("It holds personal data.")
forbid (principal, action == Bailiwick::Action::"s/w", resource)
when { context.bw has items && context.bw.items.labels.contains("pii") };
"#;

fn about(names: &[&str], labels: &[&str]) -> Given {
    let texts = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
    Given {
        facts: Facts {
            items: Some(Items {
                names: ItemIds(texts(names)),
                kinds: texts(&["repo"]),
                labels: texts(labels),
            }),
            ..Facts::default()
        },
        ..Given::call("s/w", r#"{"path":"README"}"#)
    }
}

#[test]
fn policies_ask_what_a_call_is_about() {
    let bundle = compile(ITEMS).unwrap();
    let code = |names: &[&str], labels: &[&str]| about(names, labels).decide(&bundle).code;
    assert_eq!(code(&["s/repo/acme/web"], &[]), None);
    assert_eq!(code(&["s/repo/acme/web"], &["pii"]), Some(Code::Forbidden));
    // Of several things each counts: one that is forbidden forbids, one that is not permitted is not.
    for names in [
        &["s/repo/acme/api"][..],
        &["s/repo/acme/api", "s/repo/acme/web"],
    ] {
        assert_eq!(code(names, &[]), Some(Code::Forbidden), "{names:?}");
    }
    for names in [
        &["s/repo/acme/web", "s/repo/evil/web"][..],
        &["s/server"],
        &["s/repo/acme/web", "s/server"],
        &["s/repo/acme/Web"],
        &["s/repo/acme%2Fweb"],
    ] {
        assert_eq!(code(names, &[]), Some(Code::NoPermit), "{names:?}");
    }
    let unknown = Given::call("s/w", "{}");
    assert_eq!(unknown.decide(&bundle).code, Some(Code::NoPermit));
    // On record as they were.
    let recorded = about(&["s/repo/acme/api"], &["pii"]).recorded();
    let again = Recorded::opened(&recorded.sealed(), r#"{"path":"README"}"#).unwrap();
    assert_eq!(again, recorded);
}

/// A name that looks like a forbidden one is forbidden, and none that looks like a permitted one is permitted.
#[test]
fn look_alikes_of_items_get_no_more() {
    let any = ITEMS.replace(
        "[Bailiwick::Item::\"s/repo/acme/web\", Bailiwick::Item::\"s/repo/acme/api\"].containsAll(context.bw.items.names)",
        "!context.bw.items.names.isEmpty()",
    );
    let (narrow, wide) = (compile(ITEMS).unwrap(), compile(&any).unwrap());
    for (name, argument) in [
        ("acme/\u{430}pi", "\u{430}pi"),
        ("acme/a\u{200b}pi", "a\u{200b}pi"),
    ] {
        let id = format!("s/repo/{name}");
        let given = Given {
            arguments: format!(r#"{{"path":"{argument}"}}"#),
            ..about(&[&id], &[])
        };
        assert_eq!(given.decide(&wide).code, Some(Code::Forbidden), "{name:?}");
    }
    let like_web = Given {
        arguments: "{\"path\":\"w\u{435}b\"}".to_owned(),
        ..about(&["s/repo/acme/w\u{435}b"], &[])
    };
    assert_eq!(like_web.decide(&narrow).code, Some(Code::NoPermit));
}

/// With other arguments a call is about other items, and what those carry nobody knows: no such change is offered.
#[test]
fn explanations_do_not_guess_what_other_items_carry() {
    let policies = format!(
        "{ITEMS}@id(\"path\") @reason(\"r\") forbid (principal, action == Bailiwick::Action::\"s/w\", resource) when {{ context.input has path && context.input.path == \"README\" }};"
    );
    let bundle = compile(&policies).unwrap();
    let given = about(&["s/repo/acme/web"], &[]);
    let explanation = given.with(|input| bundle.explain(input));
    assert_eq!(explanation.decision.code, Some(Code::Forbidden));
    assert!(!explanation.would_allow.is_empty());
    let steps = explanation.would_allow.iter().flat_map(|one| &one.steps);
    for step in steps {
        assert!(
            !matches!(step, Step::Argument { .. } | Step::Arguments(_)),
            "{step:?}"
        );
    }
    let pii = about(&["s/repo/acme/web"], &["pii"]);
    let explanation = pii.with(|input| bundle.explain(input));
    let ours = explanation.because.iter().filter(|one| one.policy == "pii");
    let values: Vec<_> = ours.flat_map(|one| &one.values).collect();
    assert!(
        values
            .iter()
            .any(|shown| { shown.name == "context.bw.items.labels" && shown.value == "[\"pii\"]" }),
        "{values:?}"
    );
}
