//! Our rules hold for their own examples and counter-examples.

use std::collections::HashSet;

use super::{load, parse};
use crate::secrets::engine::{Engine, Load, Unit};
use crate::secrets::memo::Memo;
use crate::secrets::sample::{Seeded, fill};

fn checks(engine: &Engine, text: &str) -> Vec<String> {
    let mut finds = Vec::new();
    let unit = Unit {
        text: text.as_bytes(),
        path: "notes.txt",
        key: None,
    };
    assert!(engine.scan(&unit, &mut Memo::default(), &mut finds));
    finds.iter().map(|find| find.check.to_string()).collect()
}

/// Each example is found by its rule, fifty drawings of it, alone and among others; no miss is.
#[test]
fn rules_have_examples() {
    let engine = Engine::new(Load::Little, None).unwrap();
    let mut random = Seeded::new(1);
    let mut missed: Vec<String> = Vec::new();
    for rule in load().unwrap() {
        let id = rule.id.to_string();
        let has_files = ["private-key", "putty-private-key"].contains(&id.as_str());
        assert!(
            has_files || !rule.examples.is_empty(),
            "`{id}` has no example"
        );
        assert!(has_files || !rule.misses.is_empty(), "`{id}` has no miss");
        for example in &rule.examples {
            let drawn = 50;
            let found = (0..drawn)
                .filter(|_| {
                    let text = fill(example, &mut random);
                    let text = format!("# settings\nA = '1'\nvalue is \"{text}\"\nnext line\n");
                    checks(&engine, &text).contains(&id)
                })
                .count();
            // A drawing that reads like a placeholder or has no digit is refused, as it should be.
            if found < 48 {
                missed.push(format!("{id}: {found} of {drawn} of `{example}`"));
            }
        }
        for miss in &rule.misses {
            for _ in 0..20 {
                let text = fill(miss, &mut random);
                if checks(&engine, &format!("value is \"{text}\"")).contains(&id) {
                    missed.push(format!("{id}: found `{miss}`"));
                }
            }
        }
    }
    assert_eq!(missed, Vec::<String>::new());
}

#[test]
fn every_expression_compiles_and_ids_are_unique() {
    let rules = load().unwrap();
    assert!(rules.len() >= 130, "{}", rules.len());
    let mut ids = HashSet::new();
    for rule in &rules {
        assert!(rule.regex().is_some(), "{}", rule.id);
        assert!(ids.insert(&rule.id));
    }
}

#[test]
fn a_rule_file_that_cannot_be_used_says_why() {
    for (text, what) in [
        (
            "[[rule]]\nid = 'x'\nliterals = []\nregex = 'x'",
            "needs literals",
        ),
        (
            "[[rule]]\nid = 'x'\nliterals = ['xx']\nregex = 'xx'\nvalidate = 'y'",
            "there is no check `y`",
        ),
        (
            "[[rule]]\nid = 'x'\nliterals = ['xx']\nregex = 'xx'\nother = 1",
            "unknown field",
        ),
    ] {
        let error = parse("x.toml", text).unwrap_err();
        assert!(error.what.contains(what), "{error}");
    }
}
