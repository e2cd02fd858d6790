//! Rule files of other scanners are read, and what they may not do is named.

use super::ForeignRules;
use crate::secrets::engine::{Engine, Load, Unit};
use crate::secrets::memo::Memo;

const RULES: &str = r#"
title = "site"
[[rules]]
id = "site-token"
description = "a token of ours"
regex = '''site_([a-z0-9]{16})'''
keywords = ["SITE_"]
entropy = 3.0
[[rules.allowlists]]
regexTarget = "line"
regexes = ['''# known$''']
[[rules]]
id = "by-group"
regex = '''(a)(b[0-9]{4})'''
secretGroup = 2
path = '''\.conf$'''
[[rules]]
id = "by-condition"
regex = '''cond_[a-z0-9]{16}'''
filter = '''entropy(finding["secret"]) <= 3.0 || containsAny(finding["line"], ["skip"])'''
validate = '''http.get("https://provider.example/" + finding["secret"])'''
[allowlist]
paths = ['''^vendor/''']
stopwords = ["0000"]
"#;

fn found(text: &str, path: &str) -> Vec<(String, usize)> {
    let (rules, flaws) = ForeignRules::parse("site.toml", RULES).unwrap();
    assert_eq!(flaws, []);
    assert_eq!(rules.len(), 3);
    let engine = Engine::new(Load::Little, Some(rules)).unwrap();
    let mut finds = Vec::new();
    let unit = Unit {
        text: text.as_bytes(),
        path,
        key: None,
    };
    engine.scan(&unit, &mut Memo::default(), &mut finds);
    finds
        .iter()
        .map(|find| (find.check.to_string(), find.length))
        .collect()
}

#[test]
fn rules_of_others_find_as_they_say() {
    let token = "q8zjx0vkw3hgfp2m";
    let one = |check: &str, length: usize| vec![(check.to_owned(), length)];
    assert_eq!(
        found(&format!("x site_{token}"), "a"),
        one("site-token", 16)
    );
    assert_eq!(found("x site_aaaaaaaabbbbbbbb", "a"), []);
    assert_eq!(found(&format!("x site_{token} # known"), "a"), []);
    assert_eq!(found(&format!("x site_{token} gitleaks:allow"), "a"), []);
    assert_eq!(found(&format!("x site_{token}"), "vendor/a"), []);
    assert_eq!(found("x site_q8zjx0vkw30000p2", "a"), []);
    assert_eq!(found("ab1234", "a.conf"), one("by-group", 5));
    assert_eq!(found("ab1234", "a.txt"), []);
    assert_eq!(
        found(&format!("cond_{token}"), "a"),
        one("by-condition", 21)
    );
    assert_eq!(found(&format!("cond_{token} skip"), "a"), []);
}

#[test]
fn what_cannot_be_used_is_left_out_and_named() {
    let text = r#"
[[rules]]
id = "good"
regex = "x"
[[rules]]
id = "no-expression"
path = "x"
[[rules]]
id = "broken"
regex = "("
[[rules]]
id = "composite"
regex = "x"
[[rules.required]]
id = "good"
[[rules]]
id = "no-group"
regex = "x"
secretGroup = 3
[[rules]]
id = "tokens"
regex = "x"
filter = 'tokenRatio(finding["secret"]) >= 2.5'
"#;
    let (rules, flaws) = ForeignRules::parse("x.toml", text).unwrap();
    assert_eq!(rules.len(), 1);
    let named: Vec<_> = flaws
        .iter()
        .map(|flaw| (flaw.rule.as_deref().unwrap(), flaw.unsupported))
        .collect();
    assert_eq!(
        named,
        [
            ("no-expression", true),
            ("broken", false),
            ("composite", true),
            ("no-group", false),
            ("tokens", true)
        ]
    );
    assert!(
        ForeignRules::parse("x.toml", "[extend]\nuseDefault = true")
            .unwrap_err()
            .unsupported
    );
    assert!(
        !ForeignRules::parse("x.toml", "not toml")
            .unwrap_err()
            .unsupported
    );
    assert!(ForeignRules::parse("x.toml", &"#".repeat(9 << 20)).is_err());
}
