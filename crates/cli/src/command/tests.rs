//! The tree of commands is sound, and every verb shows examples that parse.

use clap::{CommandFactory as _, Parser as _};

use super::Cli;

#[test]
fn clap_finds_no_contradiction() {
    Cli::command().debug_assert();
}

fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, String)>) {
    let mut is_leaf = true;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        // `demo` has hidden subcommands and is a verb itself.
        is_leaf = false;
        leaves(sub, &format!("{path} {}", sub.get_name()), found);
    }
    if is_leaf {
        let help = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        found.push((path.to_owned(), help));
    }
}

#[test]
fn every_verb_has_an_example_that_parses() {
    let mut found = Vec::new();
    leaves(&Cli::command(), "bailiwick", &mut found);
    assert!(found.len() > 40, "{}", found.len());
    for (path, help) in found {
        let examples = match (
            help.strip_prefix("Example: "),
            help.strip_prefix("Examples:\n"),
        ) {
            (Some(one), _) => vec![one],
            (_, Some(some)) => some.lines().take_while(|line| !line.is_empty()).collect(),
            _ => panic!("{path} has no example: {help}"),
        };
        for example in examples.into_iter().map(str::trim_start) {
            assert!(example.starts_with(&path), "{path}: {example}");
            let words = words(example);
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{example}\n{words:?}\n{error}");
            }
        }
    }
}

/// Words as a shell splits them; enough for quotes around a whole word or its tail, a redirection and a pipe.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' | '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => {
                if let Some(word) = words.last_mut() {
                    word.push(c);
                }
            }
        }
    }
    words
        .into_iter()
        .take_while(|word| !matches!(word.as_str(), "<" | ">" | "|"))
        .collect()
}

#[test]
fn json_is_seen_before_parsing_is_done() {
    let asks =
        |line: &str, variable| crate::asks_for_json(line.split(' ').map(str::to_owned), variable);
    assert!(asks("bailiwick agent nonsense --json", None));
    assert!(asks("bailiwick --output json agent nonsense", None));
    assert!(asks("bailiwick --output=json agent nonsense", None));
    assert!(asks("bailiwick agent nonsense", Some("json")));
    assert!(!asks("bailiwick agent nonsense --output table", None));
}

/// What a report tells people to run to see the same is a command that there is.
#[test]
fn what_evidence_says_to_run_parses() {
    use bailiwick_posture::evidence::{Basis, FrameworkName, report};
    let mut seen = 0;
    for name in FrameworkName::ALL {
        let basis = Basis {
            since: bailiwick_core::Timestamp::from_secs(0),
            until: bailiwick_core::Timestamp::from_secs(1),
            issued_at: bailiwick_core::Timestamp::from_secs(1),
            origin: "o".to_owned(),
            size: 0,
            complete: true,
        };
        let report = report(name, &std::collections::BTreeMap::new(), basis).unwrap();
        for found in report.facts {
            for command in found.fact.query.iter().flat_map(|query| query.split("; ")) {
                seen += 1;
                if let Err(error) = Cli::try_parse_from(words(command)) {
                    panic!("{} {command}: {error}", found.fact.id);
                }
            }
        }
    }
    assert!(seen > 20, "{seen}");
}
