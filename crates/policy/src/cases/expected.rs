//! What the decision of a case must be; what is not named is not looked at.

use bailiwick_core::Code;
use bailiwick_core::decision::{Decision, Outcome};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    outcome: Outcome,
    code: Option<Code>,
    policies: Option<Vec<String>>,
    reasons: Option<Vec<String>>,
    obligations: Option<Vec<String>>,
    all_of: Option<Vec<String>>,
    any_of: Option<Vec<String>>,
    quorum: Option<u32>,
    standing: Option<u32>,
}

impl Expected {
    /// What differs, if anything.
    pub(super) fn compare(&self, got: &Decision) -> Option<String> {
        let mut differences = Vec::new();
        let mut differ = |what: &str, expected: String, got: String| {
            if expected != got {
                differences.push(format!("{what}: expected {expected}, got {got}"));
            }
        };
        differ(
            "outcome",
            self.outcome.as_str().to_owned(),
            got.outcome.as_str().to_owned(),
        );
        if let Some(code) = self.code {
            differ(
                "code",
                code.to_string(),
                got.code
                    .map_or_else(|| "none".to_owned(), |code| code.to_string()),
            );
        }
        let needs = got.needs.as_ref();
        let obligations: Vec<String> = got
            .obligations
            .iter()
            .map(|duty| format!("{}:{}", duty.kind, duty.argument))
            .collect();
        let sources: Vec<String> = got
            .reasons
            .iter()
            .map(|reason| reason.source.clone())
            .collect();
        let all_of = needs.map(|needs| needs.all_of.clone()).unwrap_or_default();
        let any_of = needs.map(|needs| needs.any_of.clone()).unwrap_or_default();
        let lists = [
            ("policies", &self.policies, &got.policies),
            ("reasons", &self.reasons, &sources),
            ("obligations", &self.obligations, &obligations),
            ("all_of", &self.all_of, &all_of),
            ("any_of", &self.any_of, &any_of),
        ];
        for (what, expected, got) in lists {
            if let Some(expected) = expected {
                differ(what, sorted(expected), sorted(got));
            }
        }
        if let Some(standing) = self.standing {
            let got = needs.map_or(0, |needs| needs.standing);
            differ("standing", standing.to_string(), got.to_string());
        }
        if let Some(quorum) = self.quorum {
            let got = needs.map_or(0, |needs| needs.quorum);
            differ("quorum", quorum.to_string(), got.to_string());
        }
        (!differences.is_empty()).then(|| differences.join("; "))
    }
}

fn sorted(list: &[String]) -> String {
    let mut list: Vec<&str> = list.iter().map(String::as_str).collect();
    list.sort_unstable();
    format!("[{}]", list.join(", "))
}
