//! Cedar's published corpus (github.com/cedar-policy/cedar-integration-tests, `corpus-tests.tar.gz`, Apache-2.0) through our
//! index: decision, determining policies and errors of each request must be those that Cedar's authors expect.
//!
//! The archive is not part of the repository. It is looked for beside it, in `shared/data/cedar`. An unoptimized build takes
//! every 40th case; `cargo nextest run --release -p bailiwick-policy cedar_corpus` takes all.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cedar_policy_core::ast::{Effect, EntityUID, Request};
use cedar_policy_core::entities::json::err::JsonDeserializationErrorContext;
use cedar_policy_core::entities::{
    ContextJsonParser, Entities, EntityJsonParser, EntityUidJson, TCComputation,
};
use cedar_policy_core::extensions::Extensions;
use cedar_policy_core::validator::{CoreSchema, ValidatorSchema, context_schema_for_action};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use super::Indexed;
use crate::clause::Verdict;
use crate::parties::known;

/// Of the archive that this was written with; each case asks eight times.
const CASES: usize = 7_809;
const REQUESTS_OF_CASE: usize = 8;
/// Every how many-th case is run.
const STEP: usize = if cfg!(debug_assertions) { 40 } else { 1 };

#[derive(Deserialize)]
struct Case {
    requests: Vec<Asked>,
}

/// One request and what Cedar's authors expect of it.
#[derive(Deserialize)]
struct Asked {
    description: String,
    principal: Value,
    action: Value,
    resource: Value,
    context: Value,
    decision: String,
    reason: BTreeSet<String>,
    errors: BTreeSet<String>,
}

#[test]
fn cedar_corpus_decides_the_same() {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/cedar/corpus-tests.tar.gz");
    if !archive.exists() {
        let told = writeln!(
            std::io::stderr(),
            "Cedar's corpus was not run: {} is absent",
            archive.display()
        );
        return told.unwrap();
    }
    let unpacked = Unpacked::new(&archive);
    let names = unpacked.cases();
    assert_eq!(names.len(), CASES, "cases");
    let mut requests = 0;
    let mut refused = Vec::new();
    for name in names.iter().step_by(STEP) {
        match unpacked.run(name) {
            Ok(asked) => requests += asked,
            Err(reason) => refused.push(format!("{name}: {reason}")),
        }
    }
    assert_eq!(refused, Vec::<String>::new());
    assert_eq!(
        requests,
        CASES.div_ceil(STEP) * REQUESTS_OF_CASE,
        "requests"
    );
}

struct Unpacked {
    /// Removed with it.
    _above: TempDir,
    directory: PathBuf,
}

impl Unpacked {
    fn new(archive: &Path) -> Self {
        let above = tempfile::tempdir().unwrap();
        let status = Command::new("tar")
            .arg("-xzf")
            .arg(archive)
            .arg("-C")
            .arg(above.path())
            .status()
            .expect("`tar` unpacks the corpus: apt-get install tar gzip");
        assert!(status.success(), "tar: {status}");
        Self {
            directory: above.path().join("corpus-tests"),
            _above: above,
        }
    }

    fn cases(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()))
            .filter(|name| !name.ends_with(".entities"))
            .collect();
        names.sort_unstable();
        names
    }

    fn text(&self, name: &str, ending: &str) -> String {
        std::fs::read_to_string(self.directory.join(format!("{name}.{ending}"))).unwrap()
    }

    /// How many requests were asked; an error says what this layer cannot take.
    fn run(&self, name: &str) -> Result<usize, String> {
        let case: Case = serde_json::from_str(&self.text(name, "json")).unwrap();
        let extensions = Extensions::all_available();
        let (schema, _) =
            ValidatorSchema::from_cedarschema_str(&self.text(name, "cedarschema"), extensions)
                .map_err(|error| format!("schema: {error}"))?;
        let core = CoreSchema::new(&schema);
        let entities = EntityJsonParser::new(Some(&core), extensions, TCComputation::ComputeNow)
            .from_json_str(&self.text(name, "entities.json"))
            .map_err(|error| format!("entities: {error}"))?;
        let indexed = Indexed::new(&self.text(name, "cedar"));
        for asked in &case.requests {
            let request = asked.request(&schema)?;
            asked.check(name, &indexed, &request, &entities);
        }
        Ok(case.requests.len())
    }
}

impl Asked {
    fn request(&self, schema: &ValidatorSchema) -> Result<Request, String> {
        let uid = |value: &Value| -> EntityUID {
            let json: EntityUidJson = serde_json::from_value(value.clone()).unwrap();
            json.into_euid(&|| JsonDeserializationErrorContext::EntityUid)
                .unwrap()
        };
        let action = uid(&self.action);
        let context = context_schema_for_action(schema, &action)
            .ok_or_else(|| format!("action: {action} is not in the schema"))?;
        let context = ContextJsonParser::new(Some(&context), Extensions::all_available())
            .from_json_value(self.context.clone())
            .map_err(|error| format!("context: {error}"))?;
        Ok(Request::new_unchecked(
            known(&uid(&self.principal)),
            known(&action),
            known(&uid(&self.resource)),
            Some(context),
        ))
    }

    /// Cedar's rule on top of our verdicts: a policy that fails does not count.
    fn check(&self, name: &str, indexed: &Indexed, request: &Request, entities: &Entities) {
        let verdicts = indexed.verdicts(request, entities);
        let with = |wanted: Verdict, effect: Option<Effect>| -> BTreeSet<String> {
            let both = indexed.templates.iter().zip(&verdicts);
            both.filter(|(template, verdict)| {
                **verdict == wanted && effect.is_none_or(|effect| template.effect() == effect)
            })
            .map(|(template, _)| template.id().to_string())
            .collect()
        };
        let forbids = with(Verdict::Satisfied, Some(Effect::Forbid));
        let permits = with(Verdict::Satisfied, Some(Effect::Permit));
        let errors = with(Verdict::Failed, None);
        let (decision, reason) = match (forbids.is_empty(), permits.is_empty()) {
            (false, _) => ("deny", forbids),
            (true, false) => ("allow", permits),
            (true, true) => ("deny", permits),
        };
        assert_eq!(
            (decision, &reason, &errors),
            (self.decision.as_str(), &self.reason, &self.errors),
            "{name}, {}",
            self.description
        );
    }
}
