//! In-toto statements (Attestation Framework v1): who says what of which subjects.

use std::collections::BTreeMap;

use bailiwick_core::artefact::{ArtefactSubject, MAX_COMMITS, ReportKind, is_commit};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Form, Says, Unfit, bare, parsed};

/// Both versions have the members that are read here, with the same meaning.
const STATEMENTS: [&str; 2] = [
    "https://in-toto.io/Statement/v1",
    "https://in-toto.io/Statement/v0.1",
];
const SLSA: &str = "https://slsa.dev/provenance/v1";
/// Subjects of one statement.
const MAX_SUBJECTS: usize = 10_000;
/// Materials of one provenance.
const MAX_DEPENDENCIES: usize = 100_000;

pub(super) fn read(payload: &[u8], subject: &ArtefactSubject) -> Result<Vec<Says>, Unfit> {
    let statement: Statement<'_> = parsed(payload)?;
    if !STATEMENTS.contains(&statement.kind.as_str()) {
        return Err(Unfit::Form(format!("`_type` is {}", statement.kind)));
    }
    if statement.subject.len() > MAX_SUBJECTS {
        return Err(Unfit::Many("10,000 subjects"));
    }
    if !statement.subject.iter().any(|one| one.is(subject)) {
        let named = statement.subject.first().and_then(|one| one.name.clone());
        return Err(Unfit::Other(
            named.map_or_else(|| "nothing".to_owned(), |name| format!("`{name}`")),
        ));
    }
    let predicate = statement.predicate.get().as_bytes();
    if statement.predicate_type == SLSA {
        return Ok(vec![provenance(predicate)?]);
    }
    let form: Form = parsed(predicate)?;
    bare(&form, predicate, subject).map_err(|error| match error {
        Unfit::Form(_) => Unfit::Predicate(statement.predicate_type),
        other => other,
    })
}

/// SLSA provenance v1: who built it, from which commits.
fn provenance(predicate: &[u8]) -> Result<Says, Unfit> {
    let provenance: Provenance = parsed(predicate)?;
    let mut says = Says::new(ReportKind::Slsa, &provenance.run_details.builder.id)?;
    let from = provenance.build_definition.resolved_dependencies;
    if from.len() > MAX_DEPENDENCIES {
        return Err(Unfit::Many("100,000 resolved dependencies"));
    }
    let commits = from.into_iter().filter_map(Dependency::commit);
    says.commits = commits.filter(|commit| is_commit(commit)).collect();
    says.commits.sort_unstable();
    says.commits.dedup();
    if says.commits.len() > MAX_COMMITS {
        return Err(Unfit::Many("64 commits that it was built from"));
    }
    Ok(says)
}

#[derive(Deserialize)]
struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    subject: Vec<Subject>,
    #[serde(borrow)]
    predicate: &'a RawValue,
}

#[derive(Deserialize)]
struct Subject {
    name: Option<String>,
    digest: BTreeMap<String, String>,
}

impl Subject {
    fn is(&self, subject: &ArtefactSubject) -> bool {
        let has = |algorithm: &str, value: &str| {
            let named = self.digest.get(algorithm);
            named.is_some_and(|named| named == value)
        };
        match subject {
            ArtefactSubject::Code(digest) => has("sha256", &digest.to_hex()),
            ArtefactSubject::Commit(commit) => has("gitCommit", commit),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Provenance {
    build_definition: BuildDefinition,
    run_details: RunDetails,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BuildDefinition {
    #[serde(default)]
    resolved_dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    uri: Option<String>,
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

impl Dependency {
    /// `gitCommit`, or `sha1` of what is fetched by git (SLSA v1, *Digest*).
    fn commit(mut self) -> Option<String> {
        let by_git = self.uri.is_some_and(|uri| uri.starts_with("git+"));
        let named = self.digest.remove("gitCommit");
        named.or_else(|| self.digest.remove("sha1").filter(|_| by_git))
    }
}

#[derive(Deserialize)]
struct RunDetails {
    builder: Builder,
}

#[derive(Deserialize)]
struct Builder {
    id: String,
}
