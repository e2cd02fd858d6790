//! Tests beside policy: `tests/*.toml` say what is given and what the decision must be.

mod case;
mod coverage;
mod expected;

use bailiwick_core::{Digest, Fault as _};
use serde::{Deserialize, Serialize};

pub use case::{Case, CaseError};
pub use coverage::Untried;

use crate::bundle::Bundle;
use crate::fixtures::{self, Fixtures};
use crate::flaw::{Flaw, FlawCode, PolicyErrors};
use crate::registry::Registry;
use crate::source::BundleSource;
use coverage::Coverage;

/// How one case went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseResult {
    /// Path within the bundle.
    pub file: String,
    /// Line of the case, from 1.
    pub line: usize,
    /// Its name.
    pub name: String,
    /// What was expected and what came instead; none if it passed.
    pub failure: Option<String>,
    /// Policies that were satisfied, sorted.
    pub policies: Vec<String>,
}

/// How all cases of a bundle went.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// In order of file and place.
    pub cases: Vec<CaseResult>,
    /// Policies that no case satisfied, sorted.
    pub untested: Vec<String>,
    /// Conditions that no case, or every case, satisfied; in order of policy.
    #[serde(default)]
    pub untried: Vec<Untried>,
}

impl Report {
    /// Whether every case passed. True for a bundle without tests.
    pub fn passed(&self) -> bool {
        self.failures().next().is_none()
    }

    /// The cases that failed.
    pub fn failures(&self) -> impl Iterator<Item = &CaseResult> {
        self.cases.iter().filter(|case| case.failure.is_some())
    }
}

/// Runs every case of every file.
pub(crate) fn run(source: &BundleSource, registry: &Registry) -> Result<Report, PolicyErrors> {
    let mut report = Report::default();
    let mut coverage = Coverage::default();
    let mut last = None;
    for (path, text) in source.below("tests/", ".toml") {
        let file: File = fixtures::read(path, text)?;
        let whole = |message: String| PolicyErrors {
            flaws: vec![
                Flaw::in_file(path, message)
                    .code(FlawCode::Test)
                    .help("correct what the file declares"),
            ],
        };
        let registry = file.fixtures.over(registry.clone()).map_err(whole)?;
        // Cases never see the version, so any digest will do.
        let bundle = Bundle::compile(source, Digest([0; 32]), &registry)?;
        for case in file.cases {
            let place = Flaw::at(path, text, case.span(), String::new()).code(FlawCode::Test);
            let case = case.into_inner();
            let wrong = |message: &str, help: &str| PolicyErrors {
                flaws: vec![Flaw {
                    message: message.to_owned(),
                    help: help.to_owned(),
                    ..place.clone()
                }],
            };
            let Some(expect) = &case.expect else {
                return Err(wrong(
                    "this case expects nothing",
                    "add expect = { outcome = \"deny\" }",
                ));
            };
            if case.name.is_empty() {
                return Err(wrong(
                    "this case has no name",
                    "say with name = \"…\" what it shows",
                ));
            }
            let decided = case.asked(&registry, |question| {
                coverage.look(&bundle, question);
                question.decide(&bundle)
            });
            let decision = decided.map_err(|error| wrong(&error.to_string(), &error.help()))?;
            report.cases.push(CaseResult {
                file: path.to_owned(),
                line: place.line,
                failure: expect.compare(&decision),
                name: case.name,
                policies: decision.policies,
            });
        }
        last = Some(bundle);
    }
    if let Some(bundle) = last {
        let own = bundle.rules.iter().filter(|rule| !rule.is_of_pack());
        let ids = own.map(|rule| rule.marks.id.clone());
        let tested = |id: &String| report.cases.iter().any(|case| case.policies.contains(id));
        report.untested = ids.filter(|id| !tested(id)).collect();
        report.untried = coverage.untried(&bundle);
    }
    Ok(report)
}

#[derive(Debug, Deserialize)]
struct File {
    #[serde(flatten)]
    fixtures: Fixtures,
    #[serde(default, rename = "case")]
    cases: Vec<toml::Spanned<Case>>,
}
