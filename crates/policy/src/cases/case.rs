//! One request, as people write it down: in a case of `tests/*.toml`, or to ask why it would be decided as it would. What is
//! not given has the value of a plain request: task in the first stage of the default workflow, nothing used, nothing discharged.

use std::time::Duration;

use bailiwick_core::budget::Usage;
use bailiwick_core::chain::Chain;
use bailiwick_core::decision::{Decision, Versions};
use bailiwick_core::id::TaskId;
use bailiwick_core::label::Labels;
use bailiwick_core::name::{AgentName, ServerName, StageName, ToolRef, UserId, WorkflowName};
use bailiwick_core::risk::Risk;
use bailiwick_core::task::{DEFAULT_LIFE, Request, RequestSource, Task, TaskState};
use bailiwick_core::{Code, Digest, Effect, Fault, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::expected::Expected;
use crate::act::{Act, Asked, Kind, Told};
use crate::bundle::Bundle;
use crate::facts::Facts;
use crate::fixtures;
use crate::input::Input;
use crate::nearest::nearest;
use crate::recorded::Recorded;
use crate::registry::Registry;

/// A request that is written down: the call of a tool, or a built-in action.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    #[serde(default)]
    pub(super) name: String,
    /// Who acts; of what people do, the agent of the task.
    agent: AgentName,
    tool: Option<ToolRef>,
    /// A built-in action, instead of a tool.
    act: Option<String>,
    /// Who does what people do.
    account: Option<String>,
    /// What an act is done with.
    resource: Option<String>,
    #[serde(default)]
    arguments: Arguments,
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
    pub(super) expect: Option<Expected>,
}

/// Arguments as a table, or as the very text that is sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Arguments {
    Members(Map<String, Value>),
    Text(String),
}

impl Default for Arguments {
    fn default() -> Self {
        Self::Members(Map::new())
    }
}

/// A case that asks about what there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CaseError {
    message: String,
    help: String,
}

impl Fault for CaseError {
    fn code(&self) -> Code {
        Code::InvalidInput
    }

    fn help(&self) -> String {
        self.help.clone()
    }
}

impl CaseError {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }
}

/// What is asked of a case once its names are looked up.
pub(super) enum Question<'a> {
    Call(&'a Input<'a>),
    Act(&'a Asked<'a>),
}

impl Question<'_> {
    pub(super) fn decide(&self, bundle: &Bundle) -> Decision {
        match self {
            Self::Call(input) => bundle.decide(input),
            Self::Act(asked) => bundle.decide_act(asked),
        }
    }
}

const PLAIN: Versions = Versions {
    bundle: None,
    task: 1,
    fence_seq: 0,
    replica_seq: 0,
};

impl Case {
    /// The call, apart from the rows it names: what a decision on it is made of, and what an explanation is asked with.
    pub fn recorded(&self, registry: &Registry) -> Result<Recorded, CaseError> {
        self.asked(registry, |question| match question {
            Question::Call(input) => Ok(Recorded::of(input)),
            Question::Act(_) => Err(CaseError::new(
                "calls of tools are explained, built-in actions are not",
                "name a `tool`",
            )),
        })?
    }

    /// Asks something about it.
    pub(super) fn asked<T>(
        &self,
        registry: &Registry,
        ask: impl FnOnce(&Question<'_>) -> T,
    ) -> Result<T, CaseError> {
        let agents = &registry.agents;
        let agent = agents.iter().find(|agent| agent.name == self.agent);
        let agent = agent.ok_or_else(|| {
            let names = agents.iter().map(|agent| agent.name.as_str());
            missing("agent", self.agent.as_str(), names)
        })?;
        let now: Timestamp = self.time.parse().map_err(|error| {
            let help = "write an instant such as 2026-01-05T10:00:00Z";
            CaseError::new(format!("time: {error}"), help)
        })?;
        let task = self.task(now)?;
        let chain = Chain::root(&task, agent.owner.clone());
        let performs: Vec<&str> = self.performs.iter().map(String::as_str).collect();
        let name = match (&self.tool, &self.act) {
            (Some(name), None) => name,
            (None, Some(act)) => return self.asked_act(act, &task, &chain, now, &performs, ask),
            _ => {
                let help = "give exactly one of `tool` and `act`";
                return Err(CaseError::new("what is asked is not clear", help));
            }
        };
        let tool = registry.tools.iter().find(|tool| tool.tool == *name);
        let tool = tool.ok_or_else(|| {
            let names: Vec<String> = registry
                .tools
                .iter()
                .map(|tool| tool.tool.to_string())
                .collect();
            missing("tool", &name.to_string(), names.iter().map(String::as_str))
        })?;
        let servers = &registry.servers;
        let server = servers.iter().find(|server| server.name == name.server);
        let server = server.ok_or_else(|| {
            let names = servers.iter().map(|server| server.name.as_str());
            missing("server", name.server.as_str(), names)
        })?;
        Ok(ask(&Question::Call(&Input {
            agent,
            instance: None,
            chain: &chain,
            task: &task,
            server,
            tool,
            effect: self.effect.unwrap_or(tool.effect),
            arguments: &self.text(),
            now,
            discharged: &self.discharged,
            performs: &performs,
            usage: &self.usage,
            facts: &self.facts,
            versions: PLAIN,
        })))
    }

    fn asked_act<T>(
        &self,
        act: &str,
        task: &Task,
        chain: &Chain,
        now: Timestamp,
        performs: &[&str],
        ask: impl FnOnce(&Question<'_>) -> T,
    ) -> Result<T, CaseError> {
        let found = Act::named(act);
        let act =
            found.ok_or_else(|| missing("action", act, Act::ALL.map(Act::as_str).into_iter()))?;
        let principal = match (act.principal(), &self.account) {
            ("Agent", None) => self.agent.as_str(),
            ("User", Some(account)) => account,
            ("Agent", Some(_)) => {
                let message = format!("`{}` is done by an agent", act.as_str());
                return Err(CaseError::new(message, "leave `account` out"));
            }
            _ => {
                let message = format!("`{}` is done by a person", act.as_str());
                return Err(CaseError::new(message, "give the name of an `account`"));
            }
        };
        let Arguments::Members(members) = &self.arguments else {
            let help = "write the arguments of an act as a table";
            return Err(CaseError::new("an act has no argument text", help));
        };
        let names = Names::of(act, members)?;
        let own = task.id.to_string();
        let resource = self.resource.as_deref().unwrap_or(&own);
        Ok(ask(&Question::Act(&Asked {
            act,
            principal,
            resource,
            input: &names.told(act, members),
            task,
            chain,
            usage: &self.usage,
            now,
            performs,
            facts: &self.facts,
            versions: PLAIN,
        })))
    }

    fn text(&self) -> String {
        match &self.arguments {
            Arguments::Members(members) => Value::Object(members.clone()).to_string(),
            Arguments::Text(text) => text.clone(),
        }
    }

    fn task(&self, now: Timestamp) -> Result<Task, CaseError> {
        fn read<T: std::str::FromStr<Err: std::fmt::Display>>(
            what: &str,
            text: &str,
        ) -> Result<T, CaseError> {
            let help = "write it as the record has it";
            text.parse()
                .map_err(|error| CaseError::new(format!("{what}: {error}"), help))
        }
        let user: UserId = read("user", &self.user)?;
        let workflow: WorkflowName = read("workflow", &self.workflow)?;
        let stage: StageName = read("stage", &self.stage)?;
        let scope = fixtures::everything()
            .map_err(|error| CaseError::new(error, "report this: it is a fault of Bailiwick"))?;
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
            scope,
            scope_digest: Digest([0; 32]),
            risk: self.risk,
            labels: self.labels.clone(),
            lineage: Vec::new(),
            created_at: now.minus(Duration::from_secs(self.age_s)),
            expires_at: now.plus(DEFAULT_LIFE),
            state: TaskState::Open,
            born_seq: 0,
            version: 1,
        })
    }
}

/// The agents and servers that the input of an act names.
struct Names {
    agents: Vec<(&'static str, AgentName)>,
    servers: Vec<(&'static str, ServerName)>,
}

impl Names {
    fn of(act: Act, members: &Map<String, Value>) -> Result<Self, CaseError> {
        let help = || {
            let all = act.input().iter();
            let all: Vec<&str> = all.map(|(name, _)| *name).collect();
            format!("the input of `{}` is: {}", act.as_str(), all.join(", "))
        };
        let mut names = Self {
            agents: Vec::new(),
            servers: Vec::new(),
        };
        let known = |name: &String| act.input().iter().any(|(known, _)| known == name);
        if let Some(other) = members.keys().find(|name| !known(name)) {
            return Err(CaseError::new(
                format!("arguments: there is no `{other}`"),
                help(),
            ));
        }
        for &(name, kind) in act.input() {
            let unfit =
                || CaseError::new(format!("arguments: `{name}` is missing or unfit"), help());
            let default = act.defaults().iter().any(|(known, _)| *known == name);
            let value = match members.get(name) {
                None if default => continue,
                value => value.ok_or_else(unfit)?,
            };
            match kind {
                Kind::Text => drop(value.as_str().ok_or_else(unfit)?),
                Kind::Number => drop(value.as_u64().ok_or_else(unfit)?),
                Kind::Flag => drop(value.as_bool().ok_or_else(unfit)?),
                Kind::Agent => {
                    let read = value.as_str().and_then(|text| text.parse().ok());
                    names.agents.push((name, read.ok_or_else(unfit)?));
                }
                // An empty name is no server's: the agent itself is to hold it.
                Kind::Server if value.as_str() == Some("") => {}
                Kind::Server => {
                    let read = value.as_str().and_then(|text| text.parse().ok());
                    names.servers.push((name, read.ok_or_else(unfit)?));
                }
            }
        }
        Ok(names)
    }

    fn told<'a>(
        &'a self,
        act: Act,
        members: &'a Map<String, Value>,
    ) -> Vec<(&'static str, Told<'a>)> {
        let one = |&(name, kind): &(&'static str, Kind)| {
            let told = match kind {
                Kind::Text => Told::Text(members.get(name)?.as_str()?),
                Kind::Number => Told::Number(members.get(name)?.as_u64()?),
                Kind::Flag => Told::Flag(members.get(name)?.as_bool()?),
                Kind::Agent => Told::Agent(&self.agents.iter().find(|(of, _)| *of == name)?.1),
                Kind::Server if members.get(name)?.as_str() == Some("") => Told::NoServer,
                Kind::Server => Told::Server(&self.servers.iter().find(|(of, _)| *of == name)?.1),
            };
            Some((name, told))
        };
        act.input().iter().filter_map(one).collect()
    }
}

fn missing<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> CaseError {
    let help = nearest(name, known, 2).map_or_else(
        || format!("declare the {what} in the file, or register it"),
        |near| format!("did you mean `{near}`?"),
    );
    CaseError::new(format!("there is no {what} `{name}`"), help)
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
