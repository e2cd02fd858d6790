//! The call that is decided, and the policies it is decided by.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bailiwick_core::agent::Agent;
use bailiwick_core::budget::Usage;
use bailiwick_core::chain::Chain;
use bailiwick_core::decision::{Decision, Versions};
use bailiwick_core::definition::Tool;
use bailiwick_core::id::TaskId;
use bailiwick_core::label::Labels;
use bailiwick_core::name::AgentName;
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::{Bounds, Draft};
use bailiwick_core::server::Server;
use bailiwick_core::task::{Request, RequestSource, Task, TaskState};
use bailiwick_core::{Digest, Timestamp};
use bailiwick_policy::{
    Bundle, BundleSource, Explanation, Input, NO_FACTS, Registry, fixtures, starter,
};

use crate::timing::time;

/// Bytes of the arguments' text.
const ARGUMENT_BYTES: usize = 1_024;

/// Beside the five policies of the demo: conditions on what is known of the task, and scopes that miss.
const GENERAL: &str = r#"
@id("bench/risk") @reason("r")
forbid (principal, action in Bailiwick::Action::"write", resource) when { context.bw.task.risk >= 3 };
@id("bench/labels") @reason("r")
forbid (principal, action, resource) when { context.bw.task.labels.contains("secret") && context.bw.depth > 2 };
@id("bench/stage") @reason("r")
permit (principal, action in Bailiwick::Action::"write", resource) when { context.bw.task.stage == "plan" };
@id("bench/other") @reason("r")
permit (principal == Bailiwick::Agent::"other", action, resource);
@id("bench/escalate") @reason("r")
forbid (principal, action in Bailiwick::Action::"escalate", resource);
"#;
/// Of the demo and of [`GENERAL`].
pub(crate) const GENERAL_POLICIES: usize = 10;

/// At most so many agents call, spread over all: what they are decided by does not stay in the processor's cache.
const CALLERS: usize = 512;

/// Calls of `workspace/write_file` with everything a decision depends on but the arguments.
pub(crate) struct World {
    pub(crate) source: BundleSource,
    pub(crate) registry: Registry,
    pub(crate) server: Server,
    pub(crate) tool: Tool,
    pub(crate) now: Timestamp,
    pub(crate) callers: Vec<Caller>,
    usage: Usage,
    bundle: Bundle,
    pub(crate) loading: Loading,
}

/// Who calls.
pub(crate) struct Caller {
    pub(crate) agent: Agent,
    pub(crate) task: Task,
    pub(crate) chain: Chain,
}

/// What it cost to load and index the bundle.
pub(crate) struct Loading {
    pub(crate) took: Duration,
    /// By which the memory of this process grew, in bytes.
    pub(crate) memory: u64,
}

impl World {
    /// Ten policies that are about every agent, and as many of single other agents as make `policies`: what a bundle
    /// grows by is agents.
    pub(crate) fn new(policies: usize) -> Result<Self> {
        let source = source(policies)?;
        let mut registry = fixtures(&source)?;
        let own: Vec<Agent> = {
            let first = registry.agents.first().context("no agent")?;
            let own = (0..policies.saturating_sub(GENERAL_POLICIES).div_ceil(2)).map(|number| {
                let name = format!("a{number}").parse()?;
                Ok(Agent {
                    name,
                    ..first.clone()
                })
            });
            own.collect::<Result<_>>()?
        };
        registry.agents.extend(own);
        let before = resident()?;
        let (loaded_in, bundle) = time(|| Bundle::compile(&source, Digest([0; 32]), &registry));
        let bundle = bundle?;
        let loading = Loading {
            took: loaded_in,
            memory: resident()?.saturating_sub(before),
        };
        ensure!(
            bundle.policies().count() == policies,
            "the bundle has another number of policies"
        );
        let server = registry.servers.first().context("no server")?.clone();
        let tool = registry
            .tools
            .iter()
            .find(|tool| tool.tool.to_string() == "workspace/write_file")
            .context("no such tool")?
            .clone();
        let now: Timestamp = "2026-03-04T05:06:07Z".parse()?;
        let apart = registry.agents.len().div_ceil(CALLERS);
        let callers = registry.agents.iter().step_by(apart);
        let callers = callers.map(|agent| Caller::new(agent, now));
        Ok(Self {
            callers: callers.collect::<Result<_>>()?,
            source,
            registry,
            server,
            tool,
            now,
            usage: Usage::default(),
            bundle,
            loading,
        })
    }

    pub(crate) fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    pub(crate) fn decide(&self, caller: &Caller, arguments: &str) -> Decision {
        self.with(caller, arguments, |input| self.bundle().decide(input))
    }

    pub(crate) fn explain(&self, caller: &Caller, arguments: &str) -> Explanation {
        self.with(caller, arguments, |input| self.bundle().explain(input))
    }

    pub(crate) fn with<T>(
        &self,
        caller: &Caller,
        arguments: &str,
        ask: impl FnOnce(&Input<'_>) -> T,
    ) -> T {
        ask(&Input {
            agent: &caller.agent,
            instance: None,
            chain: &caller.chain,
            task: &caller.task,
            server: &self.server,
            tool: &self.tool,
            effect: self.tool.effect,
            arguments,
            now: self.now,
            discharged: &[],
            performs: &[],
            usage: &self.usage,
            facts: &NO_FACTS,
            versions: Versions {
                bundle: None,
                task: 1,
                fence_seq: 0,
                replica_seq: 0,
            },
        })
    }
}

impl Caller {
    fn new(agent: &Agent, now: Timestamp) -> Result<Self> {
        let task = task(&agent.name, now)?;
        let chain = Chain::root(&task, agent.owner.clone());
        Ok(Self {
            agent: agent.clone(),
            task,
            chain,
        })
    }
}

/// Memory of this process, in bytes (`proc_pid_status(5)`).
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(number.context("no VmRSS")?.parse::<u64>()? * 1_024)
}

/// Arguments of [`ARGUMENT_BYTES`].
pub(crate) fn arguments(path: &str) -> Result<String> {
    let around = format!(r#"{{"path":"{path}","content":""}}"#).len();
    let content = ARGUMENT_BYTES
        .checked_sub(around)
        .context("the path is too long")?;
    Ok(format!(
        r#"{{"path":"{path}","content":"{}"}}"#,
        "x".repeat(content)
    ))
}

/// Written tightly: a hundred thousand policies stay within the bound of a bundle's text.
fn source(policies: usize) -> Result<BundleSource> {
    let mut source = starter::demo();
    let own = policies
        .checked_sub(GENERAL_POLICIES)
        .context("there are ten general policies")?;
    let mut cedar = GENERAL.to_owned();
    for number in 0..own {
        // Each agent has a permit and a forbid.
        let agent = number / 2;
        let scope = format!("principal==Bailiwick::Agent::\"a{agent}\"");
        if number % 2 == 0 {
            writeln!(
                cedar,
                "@id(\"p{agent}\")@reason(\"r\")permit({scope},action==Bailiwick::Action::\"workspace/write_file\",resource)\
                 when{{context.input.path like \"a{agent}/*\"}};"
            )?;
        } else {
            writeln!(
                cedar,
                "@id(\"f{agent}\")@reason(\"r\")forbid({scope},action in Bailiwick::Action::\"write\",resource)\
                 when{{context.bw.task.risk>=2}};"
            )?;
        }
    }
    source.files.insert("bench.cedar".to_owned(), cedar);
    Ok(source)
}

fn task(agent: &AgentName, now: Timestamp) -> Result<Task> {
    let scope: Draft =
        toml::from_str("[[grant]]\nserver = [\"*\"]\ntool = [\"*\"]\neffects = [\"write\"]\n")?;
    Ok(Task {
        id: TaskId::from_bits(1),
        parent: None,
        ancestors: Vec::new(),
        agent: agent.clone(),
        instance: None,
        user: "user:test:alice".parse()?,
        user_pseudonym: "u1".to_owned(),
        request: Request {
            text: String::new(),
            source: RequestSource::User,
        },
        workflow: "default".parse()?,
        stage: "run".parse()?,
        scope: scope.fill(&Bounds::WIDEST)?,
        scope_digest: Digest([0; 32]),
        risk: Risk::Low,
        labels: Labels::default(),
        lineage: Vec::new(),
        created_at: now,
        expires_at: now,
        state: TaskState::Open,
        born_seq: 0,
        version: 1,
    })
}
