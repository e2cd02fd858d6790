//! SARIF 2.1.0 (OASIS) of any scanner: what counts, and how bad it is.

use std::collections::BTreeMap;

use bailiwick_core::artefact::{ArtefactSubject, Open, ReportKind};
use bailiwick_core::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{Says, Unfit, parsed};
use crate::secrets::Severity;

/// Runs of one document.
const MAX_RUNS: usize = 64;

/// What each scanner says. Several runs of one scanner are one: their results together, as old as the oldest.
pub(super) fn read(document: &[u8], subject: &ArtefactSubject) -> Result<Vec<Says>, Unfit> {
    let log: Log = parsed(document)?;
    if log.runs.is_empty() {
        return Err(Unfit::Form("it has no runs".to_owned()));
    }
    if log.runs.len() > MAX_RUNS {
        return Err(Unfit::Many("64 runs"));
    }
    let mut by_tool: BTreeMap<String, Says> = BTreeMap::new();
    for run in log.runs {
        let says = run.says(subject)?;
        let Some(known) = by_tool.get_mut(&says.tool) else {
            by_tool.insert(says.tool.clone(), says);
            continue;
        };
        known.ended = [known.ended, says.ended].into_iter().flatten().min();
        known.accepted = known.accepted.saturating_add(says.accepted);
        known.open = Open {
            critical: known.open.critical.saturating_add(says.open.critical),
            high: known.open.high.saturating_add(says.open.high),
            medium: known.open.medium.saturating_add(says.open.medium),
            low: known.open.low.saturating_add(says.open.low),
        };
    }
    Ok(by_tool.into_values().collect())
}

impl Run {
    fn says(self, subject: &ArtefactSubject) -> Result<Says, Unfit> {
        let mut says = Says::new(ReportKind::Sarif, &self.tool.driver.name)?;
        self.is_about(subject)?;
        // Without `results` nothing was looked for; what failed on its way looked at a part.
        let failed = self.invocations.iter().any(|one| !one.execution_successful);
        let Some(results) = &self.results else {
            return Err(Unfit::Failed(says.tool));
        };
        if failed {
            return Err(Unfit::Failed(says.tool));
        }
        for ended in self
            .invocations
            .iter()
            .filter_map(|one| one.end_time_utc.as_deref())
        {
            let ended: Timestamp = ended
                .parse()
                .map_err(|error| Unfit::Time(format!("endTimeUtc: {error}")))?;
            says.ended = says.ended.max(Some(ended));
        }
        for result in results.iter().filter(|result| result.counts()) {
            if result.is_accepted() {
                says.accepted += 1;
                continue;
            }
            match result.severity(self.tool.rule_of(result)) {
                Severity::Critical => says.open.critical += 1,
                Severity::High => says.open.high += 1,
                Severity::Medium => says.open.medium += 1,
                Severity::Low | Severity::Info => says.open.low += 1,
            }
        }
        Ok(says)
    }

    /// A scan that names the revision it read is of no use for another one.
    fn is_about(&self, subject: &ArtefactSubject) -> Result<(), Unfit> {
        let ArtefactSubject::Commit(commit) = subject else {
            return Ok(());
        };
        let revisions = self.version_control_provenance.iter();
        let named: Vec<_> = revisions
            .filter_map(|one| one.revision_id.as_ref())
            .collect();
        match named.first() {
            Some(first) if !named.contains(&commit) => {
                Err(Unfit::Other(format!("revision {first}")))
            }
            _ => Ok(()),
        }
    }
}

impl Found {
    /// Failures of the code as it is.
    fn counts(&self) -> bool {
        self.kind.as_deref().unwrap_or("fail") == "fail"
            && self.baseline_state.as_deref() != Some("absent")
    }

    /// Suppressed, and no suppression is under review or was rejected.
    fn is_accepted(&self) -> bool {
        let accepted = |one: &Suppression| {
            let status = one.status.as_deref();
            status.is_none_or(|status| status == "accepted")
        };
        let suppressions = self.suppressions.as_deref().unwrap_or_default();
        !suppressions.is_empty() && suppressions.iter().all(accepted)
    }

    /// By `security-severity` of the result or its rule, the worse of them; where neither has one, by level.
    fn severity(&self, rule: Option<&Rule>) -> Severity {
        let scores = [
            score(&self.properties),
            rule.and_then(|rule| score(&rule.properties)),
        ];
        let worst = scores.into_iter().flatten().reduce(f64::max);
        if let Some(score) = worst {
            return match score {
                score if score >= 9.0 => Severity::Critical,
                score if score >= 7.0 => Severity::High,
                score if score >= 4.0 => Severity::Medium,
                _ => Severity::Low,
            };
        }
        let default = rule.and_then(|rule| rule.default_configuration.as_ref()?.level.as_deref());
        match self.level.as_deref().or(default) {
            Some("error") => Severity::High,
            Some("warning") | None => Severity::Medium,
            Some(_) => Severity::Low,
        }
    }
}

/// 0 to 10, a number or its text. A text that is none is as bad as can be.
fn score(properties: &BTreeMap<String, Value>) -> Option<f64> {
    let score = match properties.get("security-severity")? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    Some(score.filter(|score| score.is_finite()).unwrap_or(10.0))
}

impl Tool {
    /// The rule that a result refers to: by place, else by id, in the driver or in the extension that it names.
    fn rule_of(&self, result: &Found) -> Option<&Rule> {
        let reference = result.rule.as_ref();
        let extension = reference
            .and_then(|rule| rule.tool_component.as_ref()?.index)
            .and_then(|index| self.extensions.get(usize::try_from(index).ok()?));
        let component = extension.unwrap_or(&self.driver);
        let index = reference.and_then(|rule| rule.index).or(result.rule_index);
        let by_place = index
            .and_then(|index| usize::try_from(index).ok())
            .and_then(|index| component.rules.get(index));
        let id = reference
            .and_then(|rule| rule.id.as_ref())
            .or(result.rule_id.as_ref());
        by_place.or_else(|| {
            let id = id?;
            component.rules.iter().find(|rule| rule.id == *id)
        })
    }
}

#[derive(Deserialize)]
struct Log {
    runs: Vec<Run>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    results: Option<Vec<Found>>,
    #[serde(default)]
    invocations: Vec<Invocation>,
    #[serde(default)]
    version_control_provenance: Vec<Revision>,
}

#[derive(Deserialize)]
struct Tool {
    driver: Component,
    #[serde(default)]
    extensions: Vec<Component>,
}

#[derive(Deserialize)]
struct Component {
    name: String,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: String,
    default_configuration: Option<Configuration>,
    #[serde(default)]
    properties: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Configuration {
    level: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    end_time_utc: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Revision {
    revision_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    rule_id: Option<String>,
    rule_index: Option<i64>,
    rule: Option<RuleReference>,
    kind: Option<String>,
    level: Option<String>,
    baseline_state: Option<String>,
    suppressions: Option<Vec<Suppression>>,
    #[serde(default)]
    properties: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuleReference {
    id: Option<String>,
    index: Option<i64>,
    tool_component: Option<ComponentReference>,
}

#[derive(Deserialize)]
struct ComponentReference {
    index: Option<i64>,
}

#[derive(Deserialize)]
struct Suppression {
    status: Option<String>,
}
