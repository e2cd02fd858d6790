//! P1: the golden corpus in `conformance/policy/`. Each file holds bundle, registry, input and decision in full, so that any
//! implementation, on any node and at any time, can be held against it.

use std::path::Path;

use bailiwick_core::Digest;
use bailiwick_core::decision::Decision;
use bailiwick_policy::{Bundle, BundleSource, Registry, starter};
use expect_test::{ExpectFile, expect_file};
use serde::{Deserialize, Serialize};

use crate::world::{Given, VERSION, WORLD, bundle, registry};

/// One file of the corpus.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    about: String,
    version: Digest,
    bundle: BundleSource,
    registry: Registry,
    input: Given,
    decision: Decision,
}

fn record(about: &str, source: BundleSource, registry: Registry, input: Given, file: &ExpectFile) {
    let compiled = Bundle::compile_lenient(&source, VERSION, &registry).unwrap();
    let recorded = Recorded {
        about: about.to_owned(),
        version: VERSION,
        decision: input.decide(&compiled),
        bundle: source,
        registry,
        input,
    };
    file.assert_eq(&format!(
        "{}\n",
        serde_json::to_string_pretty(&recorded).unwrap()
    ));
}

fn demo(tool: &str, arguments: &str) -> (BundleSource, Registry, Given) {
    let source = starter::demo();
    let registry = bailiwick_policy::fixtures(&source).unwrap();
    let given = Given::on(&registry, "demo-agent", tool, arguments);
    (source, registry, given)
}

#[test]
fn allowed_read() {
    let (source, registry, given) = demo("workspace/read_file", r#"{"path":"notes/plan.md"}"#);
    record(
        "a hard permit allows",
        source,
        registry,
        given,
        &expect_file!["../../../../conformance/policy/allow-read.json"],
    );
}

#[test]
fn forbidden_secret() {
    let (source, registry, given) =
        demo("workspace/read_file", r#"{"path":"secrets/api-key.txt"}"#);
    record(
        "a hard forbid on an argument denies",
        source,
        registry,
        given,
        &expect_file!["../../../../conformance/policy/deny-forbidden.json"],
    );
}

#[test]
fn order_step_up() {
    let (source, registry, given) =
        demo("workspace/update_order", r#"{"id":7,"status":"shipped"}"#);
    record(
        "a soft permit asks",
        source.clone(),
        registry.clone(),
        given.clone(),
        &expect_file!["../../../../conformance/policy/step-up.json"],
    );
    let given = given.discharge(&["approval:approver"]);
    record(
        "its token opens it",
        source,
        registry,
        given,
        &expect_file!["../../../../conformance/policy/step-up-discharged.json"],
    );
}

#[test]
fn refused_arguments() {
    let (source, registry, given) = demo("workspace/read_file", r#"{"path":"a","mode":"raw"}"#);
    record(
        "an argument outside the schema denies",
        source,
        registry,
        given,
        &expect_file!["../../../../conformance/policy/deny-arguments.json"],
    );
}

#[test]
fn failed_forbid() {
    let policies = "@id(\"all\") @reason(\"Everything.\")\npermit (principal, action, resource);\n@id(\"sum\") @reason(\"Small numbers only.\")\nforbid (principal, action, resource) when { context.input has n && context.input.n + 1 > 10 };\n";
    let given = Given::call("s/r", r#"{"n":9223372036854775807}"#);
    record(
        "a forbid that overflows denies",
        bundle(policies),
        registry(WORLD),
        given,
        &expect_file!["../../../../conformance/policy/deny-policy-error.json"],
    );
}

#[test]
fn duties() {
    let policies = "@id(\"all\") @reason(\"Everything.\")\npermit (principal, action, resource);\n@id(\"mask\") @reason(\"Masked.\") @duty(\"redact:pii\")\nforbid (principal, action, resource);\n@id(\"short\") @reason(\"Short.\") @duty(\"max_ttl:5m\")\nforbid (principal, action, resource);\n@id(\"shorter\") @reason(\"Shorter.\") @duty(\"max_ttl:60s\")\nforbid (principal, action, resource);\n";
    let mut given = Given::call("s/r", "{}");
    record(
        "a duty that nobody performs denies",
        bundle(policies),
        registry(WORLD),
        given.clone(),
        &expect_file!["../../../../conformance/policy/deny-duty.json"],
    );
    given.performs = vec!["max_ttl".to_owned(), "redact".to_owned()];
    record(
        "duties that are performed are obligations",
        bundle(policies),
        registry(WORLD),
        given,
        &expect_file!["../../../../conformance/policy/allow-duties.json"],
    );
}

#[test]
fn the_corpus_replays() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/policy");
    let mut replayed = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let recorded: Recorded =
                serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let compiled =
                Bundle::compile_lenient(&recorded.bundle, recorded.version, &recorded.registry)
                    .unwrap();
            assert_eq!(
                recorded.input.decide(&compiled),
                recorded.decision,
                "{}",
                path.display()
            );
            replayed += 1;
        }
    }
    assert!(replayed >= 8, "{replayed} cases");
}
