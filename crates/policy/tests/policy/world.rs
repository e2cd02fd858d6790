//! A small registry and one call on it that each test changes as it needs.

use bailiwick_core::agent::Agent;
use bailiwick_core::budget::Usage;
use bailiwick_core::chain::Chain;
use bailiwick_core::decision::{Decision, Outcome, Versions};
use bailiwick_core::definition::Tool;
use bailiwick_core::id::TaskId;
use bailiwick_core::label::Labels;
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::{Bounds, Draft};
use bailiwick_core::server::Server;
use bailiwick_core::task::{Request, RequestSource, Task, TaskState};
use bailiwick_core::{Digest, Effect, Timestamp};
use bailiwick_policy::act::{Act, Asked, Told};
use bailiwick_policy::{
    Bundle, BundleSource, Facts, Flaw, Input, PolicyErrors, Recorded, Registry, fixtures,
};
use serde::{Deserialize, Serialize};

/// Agents `a` and `b`; server `s` with tools of each effect.
pub(crate) const WORLD: &str = r#"
agent = [{ name = "a", owner = "team" }, { name = "b", owner = "other", base_risk = "medium" }]
server = [{ name = "s", trust = "reviewed" }, { name = "t" }]

[[tool]]
tool = "s/r"
effect = "read"
[tool.input]
type = "object"
properties = { path = { type = "string" }, n = { type = "integer" }, p = { type = "number" } }

[[tool]]
tool = "s/w"
effect = "write"
[tool.input]
type = "object"
properties = { path = { type = "string" }, n = { type = "integer" }, tags = { type = "array", items = { type = "string" } } }

[[tool]]
tool = "t/e"
effect = "escalate"
[tool.input]
type = "object"
properties = { path = { type = ["string", "array"] }, n = { type = "integer" } }
"#;

pub(crate) const VERSION: Digest = Digest([7; 32]);

pub(crate) fn bundle(policies: &str) -> BundleSource {
    let manifest = ("bundle.toml".to_owned(), "name = \"test\"\n".to_owned());
    let policies = ("p.cedar".to_owned(), policies.to_owned());
    BundleSource::from_dir([manifest, policies]).unwrap()
}

pub(crate) fn registry(declared: &str) -> Registry {
    fixtures(&BundleSource {
        files: [("tests/world.toml".to_owned(), declared.to_owned())].into(),
    })
    .unwrap()
}

/// Flaws as people read them, a line for each and one for what to do.
pub(crate) fn told(severity: &str, flaws: &[Flaw]) -> String {
    let lines = flaws.iter().map(|flaw| {
        assert!(!flaw.help.is_empty(), "nothing says what to do: {flaw}");
        let help = format!("  help: {}", flaw.help);
        [
            format!("{severity} {:?} {flaw}", flaw.code),
            help,
            String::new(),
        ]
        .join("\n")
    });
    lines.collect()
}

/// Compiles policies as an enforcement point does: lints are not asked, so that what they refuse can be decided on.
pub(crate) fn compile(policies: &str) -> Result<Bundle, PolicyErrors> {
    compile_on(&bundle(policies), &registry(WORLD))
}

pub(crate) fn compile_on(
    source: &BundleSource,
    registry: &Registry,
) -> Result<Bundle, PolicyErrors> {
    let bundle = Bundle::compile_lenient(source, VERSION, registry)?;
    match bundle.broken() {
        [] => Ok(bundle),
        broken => Err(PolicyErrors {
            flaws: broken.to_vec(),
        }),
    }
}

/// One call with everything a decision depends on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Given {
    pub(crate) agent: Agent,
    pub(crate) chain: Chain,
    pub(crate) task: Task,
    pub(crate) server: Server,
    pub(crate) tool: Tool,
    pub(crate) effect: Effect,
    pub(crate) arguments: String,
    pub(crate) now: Timestamp,
    pub(crate) discharged: Vec<String>,
    pub(crate) performs: Vec<String>,
    pub(crate) usage: Usage,
    #[serde(default, skip_serializing_if = "is_unknown")]
    pub(crate) facts: Facts,
    pub(crate) versions: Versions,
}

fn is_unknown(facts: &Facts) -> bool {
    *facts == Facts::default()
}

impl Given {
    /// Agent `a` calls `tool` of [`WORLD`].
    pub(crate) fn call(tool: &str, arguments: &str) -> Self {
        Self::on(&registry(WORLD), "a", tool, arguments)
    }

    pub(crate) fn on(registry: &Registry, agent: &str, tool: &str, arguments: &str) -> Self {
        let agent = registry
            .agents
            .iter()
            .find(|one| one.name.as_str() == agent)
            .unwrap();
        let tool = registry
            .tools
            .iter()
            .find(|one| one.tool.to_string() == tool)
            .unwrap();
        let server = registry
            .servers
            .iter()
            .find(|one| one.name == tool.tool.server)
            .unwrap();
        let now: Timestamp = "2026-03-04T05:06:07Z".parse().unwrap();
        let task = task(agent, now);
        Self {
            agent: agent.clone(),
            chain: Chain::root(&task, agent.owner.clone()),
            task,
            server: server.clone(),
            tool: tool.clone(),
            effect: tool.effect,
            arguments: arguments.to_owned(),
            now,
            discharged: Vec::new(),
            performs: Vec::new(),
            usage: Usage::default(),
            facts: Facts::default(),
            versions: Versions {
                bundle: Some(VERSION),
                task: 1,
                fence_seq: 2,
                replica_seq: 3,
            },
        }
    }

    pub(crate) fn discharge(mut self, tokens: &[&str]) -> Self {
        self.discharged = tokens.iter().map(|token| (*token).to_owned()).collect();
        self
    }

    pub(crate) fn decide(&self, bundle: &Bundle) -> Decision {
        self.with(|input| bundle.decide(input))
    }

    /// The act of its agent with something, in the same circumstances.
    pub(crate) fn act<'a>(&'a self, act: Act, input: &'a [(&'static str, Told<'a>)]) -> Asked<'a> {
        Asked {
            act,
            principal: self.agent.name.as_str(),
            resource: "one",
            input,
            task: &self.task,
            chain: &self.chain,
            usage: &self.usage,
            now: self.now,
            performs: &["max_ttl"],
            facts: &self.facts,
            versions: self.versions,
        }
    }

    pub(crate) fn listed(&self, bundle: &Bundle) -> bool {
        self.with(|input| bundle.preview(input))
    }

    pub(crate) fn recorded(&self) -> Recorded {
        self.with(Recorded::of)
    }

    pub(crate) fn with<T>(&self, ask: impl FnOnce(&Input<'_>) -> T) -> T {
        let performs: Vec<&str> = self.performs.iter().map(String::as_str).collect();
        ask(&Input {
            agent: &self.agent,
            instance: None,
            chain: &self.chain,
            task: &self.task,
            server: &self.server,
            tool: &self.tool,
            effect: self.effect,
            arguments: &self.arguments,
            now: self.now,
            discharged: &self.discharged,
            performs: &performs,
            usage: &self.usage,
            facts: &self.facts,
            versions: self.versions,
        })
    }
}

fn task(agent: &Agent, now: Timestamp) -> Task {
    let scope: Draft =
        toml::from_str("[[grant]]\nserver = [\"*\"]\ntool = [\"*\"]\neffects = [\"read\"]\n")
            .unwrap();
    Task {
        id: TaskId::from_bits(1),
        parent: None,
        ancestors: Vec::new(),
        agent: agent.name.clone(),
        instance: None,
        user: "user:test:alice".parse().unwrap(),
        user_pseudonym: "u1".to_owned(),
        request: Request {
            text: "look at the orders".to_owned(),
            source: RequestSource::User,
        },
        workflow: "default".parse().unwrap(),
        stage: "run".parse().unwrap(),
        scope: scope.fill(&Bounds::WIDEST).unwrap(),
        scope_digest: Digest([0; 32]),
        risk: Risk::Low,
        labels: Labels::default(),
        lineage: Vec::new(),
        created_at: now,
        expires_at: now,
        state: TaskState::Open,
        born_seq: 0,
        version: 1,
    }
}

/// Deny, step-up, allow: how much a decision lets through.
pub(crate) fn rank(decision: &Decision) -> u8 {
    match decision.outcome {
        Outcome::Deny => 0,
        Outcome::StepUp => 1,
        Outcome::Allow => 2,
    }
}
