//! Tests beside policy: `tests/*.toml` say what is given and what the decision must be.

use std::time::Duration;

use bailiwick_core::budget::Usage;
use bailiwick_core::chain::{Chain, Link};
use bailiwick_core::decision::{Decision, Outcome, Versions};
use bailiwick_core::id::TaskId;
use bailiwick_core::label::Labels;
use bailiwick_core::name::{AgentName, StageName, ToolRef, UserId, WorkflowName};
use bailiwick_core::risk::Risk;
use bailiwick_core::task::{Request, RequestSource, Task, TaskState};
use bailiwick_core::{Code, Digest, Effect, Timestamp};
use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;
use crate::facts::Facts;
use crate::fixtures::{self, Fixtures};
use crate::flaw::{Flaw, PolicyErrors};
use crate::input::Input;
use crate::registry::Registry;
use crate::source::BundleSource;

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
    let mut untested: Option<Vec<String>> = None;
    for (path, text) in source.below("tests/", ".toml") {
        let file: File = fixtures::read(path, text)?;
        let whole = |message: String| PolicyErrors {
            flaws: vec![Flaw::in_file(path, message)],
        };
        let registry = file.fixtures.over(registry.clone()).map_err(whole)?;
        // Cases never see the version, so any digest will do.
        let bundle = Bundle::compile(source, Digest([0; 32]), &registry)?;
        for case in file.cases {
            let span = case.span();
            let case = case.into_inner();
            let place = Flaw::at(path, text, span, String::new());
            let decision = case
                .decide(&bundle, &registry)
                .map_err(|message| PolicyErrors {
                    flaws: vec![Flaw {
                        message,
                        ..place.clone()
                    }],
                })?;
            report.cases.push(CaseResult {
                file: path.to_owned(),
                line: place.line,
                failure: case.expect.compare(&decision),
                name: case.name,
                policies: decision.policies,
            });
        }
        untested.get_or_insert_with(|| bundle.policies().map(str::to_owned).collect());
    }
    let mut untested = untested.unwrap_or_default();
    untested.retain(|id| !report.cases.iter().any(|case| case.policies.contains(id)));
    report.untested = untested;
    Ok(report)
}

#[derive(Debug, Deserialize)]
struct File {
    #[serde(flatten)]
    fixtures: Fixtures,
    #[serde(default, rename = "case")]
    cases: Vec<toml::Spanned<Case>>,
}

/// What is given and what is expected.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    agent: AgentName,
    tool: ToolRef,
    #[serde(default)]
    arguments: toml::Table,
    /// Missing: the tool's own.
    effect: Option<Effect>,
    #[serde(default = "user")]
    user: String,
    #[serde(default = "workflow")]
    workflow: String,
    #[serde(default = "stage")]
    stage: String,
    #[serde(default)]
    risk: Risk,
    #[serde(default)]
    labels: Labels,
    #[serde(default = "requested_by")]
    requested_by: RequestSource,
    #[serde(default)]
    usage: Usage,
    #[serde(default)]
    facts: Facts,
    /// How many tasks are above the task.
    #[serde(default)]
    depth: u8,
    /// Seconds since the task was opened.
    #[serde(default)]
    age_s: u64,
    #[serde(default = "time")]
    time: String,
    #[serde(default)]
    discharged: Vec<String>,
    #[serde(default)]
    performs: Vec<String>,
    expect: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    outcome: Outcome,
    code: Option<Code>,
    policies: Option<Vec<String>>,
    reasons: Option<Vec<String>>,
    obligations: Option<Vec<String>>,
    all_of: Option<Vec<String>>,
    any_of: Option<Vec<String>>,
    quorum: Option<u32>,
}

fn user() -> String {
    "user:test:alice".to_owned()
}

fn workflow() -> String {
    crate::workflow::DEFAULT.to_owned()
}

fn stage() -> String {
    "run".to_owned()
}

fn requested_by() -> RequestSource {
    RequestSource::User
}

fn time() -> String {
    "2026-01-05T10:00:00Z".to_owned()
}

impl Case {
    fn decide(&self, bundle: &Bundle, registry: &Registry) -> Result<Decision, String> {
        let agent = registry
            .agents
            .iter()
            .find(|agent| agent.name == self.agent);
        let agent = agent
            .ok_or_else(|| format!("no agent `{}` is registered or declared here", self.agent))?;
        let tool = registry.tools.iter().find(|tool| tool.tool == self.tool);
        let tool =
            tool.ok_or_else(|| format!("no tool `{}` is registered or declared here", self.tool))?;
        let server = registry
            .servers
            .iter()
            .find(|server| server.name == self.tool.server);
        let server =
            server.ok_or_else(|| format!("no server `{}` is registered", self.tool.server))?;
        let now: Timestamp = self
            .time
            .parse()
            .map_err(|error| format!("time: {error}"))?;
        let task = self.task(now)?;
        let chain = Chain {
            user: task.user.clone(),
            root_born: 0,
            links: vec![Link {
                agent: agent.name.clone(),
                owner: agent.owner.clone(),
                instance: None,
                instance_born: 0,
                task: task.id,
                lineage: Vec::new(),
            }],
        };
        let arguments =
            serde_json::to_string(&self.arguments).map_err(|error| error.to_string())?;
        let performs: Vec<&str> = self.performs.iter().map(String::as_str).collect();
        Ok(bundle.decide(&Input {
            agent,
            instance: None,
            chain: &chain,
            task: &task,
            server,
            tool,
            effect: self.effect.unwrap_or(tool.effect),
            arguments: &arguments,
            now,
            discharged: &self.discharged,
            performs: &performs,
            usage: &self.usage,
            facts: &self.facts,
            versions: Versions {
                bundle: None,
                task: 1,
                fence_seq: 0,
                replica_seq: 0,
            },
        }))
    }

    fn task(&self, now: Timestamp) -> Result<Task, String> {
        let user: UserId = self
            .user
            .parse()
            .map_err(|error| format!("user: {error}"))?;
        let workflow: WorkflowName = self
            .workflow
            .parse()
            .map_err(|error| format!("workflow: {error}"))?;
        let stage: StageName = self
            .stage
            .parse()
            .map_err(|error| format!("stage: {error}"))?;
        Ok(Task {
            id: TaskId::from_bits(1),
            parent: None,
            ancestors: vec![TaskId::from_bits(2); usize::from(self.depth)],
            agent: self.agent.clone(),
            instance: None,
            user,
            user_pseudonym: "u1".to_owned(),
            request: Request {
                text: self.name.clone(),
                source: self.requested_by,
            },
            workflow,
            stage,
            scope: fixtures::everything()?,
            scope_digest: Digest([0; 32]),
            risk: self.risk,
            labels: self.labels.clone(),
            lineage: Vec::new(),
            created_at: now.minus(Duration::from_secs(self.age_s)),
            expires_at: now.plus(bailiwick_core::task::DEFAULT_LIFE),
            state: TaskState::Open,
            born_seq: 0,
            version: 1,
        })
    }
}

impl Expected {
    /// What differs, if anything.
    fn compare(&self, got: &Decision) -> Option<String> {
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
