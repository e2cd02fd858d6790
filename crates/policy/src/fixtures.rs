//! Agents, servers and tools that a file of `tests/` declares for itself, so that a bundle is tested without a node.

use bailiwick_core::agent::Agent;
use bailiwick_core::binding::Binding;
use bailiwick_core::definition::{Tool, ToolState};
use bailiwick_core::label::Labels;
use bailiwick_core::name::{AgentName, OwnerName, ServerName, ToolRef};
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::{Bounds, Draft, Scope};
use bailiwick_core::server::{Server, Transport, Trust};
use bailiwick_core::{Digest, Effect, Timestamp};
use serde::Deserialize;

use crate::flaw::{Flaw, FlawCode, PolicyErrors};
use crate::registry::Registry;
use crate::source::BundleSource;

/// Everything that `tests/*.toml` declare together: enough of a registry to check a bundle away from its node.
pub fn fixtures(source: &BundleSource) -> Result<Registry, PolicyErrors> {
    let mut registry = Registry::default();
    for (path, text) in source.below("tests/", ".toml") {
        let file: Fixtures = read(path, text)?;
        registry = file.over(registry).map_err(|message| PolicyErrors {
            flaws: vec![
                Flaw::in_file(path, message)
                    .code(FlawCode::Test)
                    .help("correct what the file declares"),
            ],
        })?;
    }
    Ok(registry)
}

pub(crate) fn read<T: serde::de::DeserializeOwned>(
    path: &str,
    text: &str,
) -> Result<T, PolicyErrors> {
    toml::from_str(text).map_err(|error| PolicyErrors {
        flaws: vec![Flaw::toml(path, text, &error).code(FlawCode::Test)],
    })
}

/// The declarations of one file; its cases are read elsewhere.
#[derive(Debug, Deserialize)]
pub(crate) struct Fixtures {
    #[serde(default, rename = "agent")]
    agents: Vec<AgentFixture>,
    #[serde(default, rename = "server")]
    servers: Vec<ServerFixture>,
    #[serde(default, rename = "tool")]
    tools: Vec<ToolFixture>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentFixture {
    name: AgentName,
    owner: OwnerName,
    #[serde(default)]
    base_risk: Risk,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerFixture {
    name: ServerName,
    #[serde(default)]
    trust: Trust,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolFixture {
    tool: ToolRef,
    effect: Effect,
    #[serde(default)]
    input: Option<toml::Table>,
}

impl Fixtures {
    /// These over `registry`: what has the same name is replaced.
    pub(crate) fn over(self, mut registry: Registry) -> Result<Registry, String> {
        for fixture in self.agents {
            registry.agents.retain(|agent| agent.name != fixture.name);
            registry.agents.push(fixture.agent()?);
        }
        for fixture in self.servers {
            registry
                .servers
                .retain(|server| server.name != fixture.name);
            registry.servers.push(server(fixture.name, fixture.trust));
        }
        for fixture in self.tools {
            let name = fixture.tool.server.clone();
            if !registry.servers.iter().any(|server| server.name == name) {
                registry.servers.push(server(name, Trust::default()));
            }
            registry.tools.retain(|tool| tool.tool != fixture.tool);
            registry.tools.push(fixture.tool());
        }
        Ok(registry)
    }
}

impl AgentFixture {
    fn agent(self) -> Result<Agent, String> {
        Ok(Agent {
            name: self.name,
            owner: self.owner,
            selectors: Vec::new(),
            ceiling: everything()?,
            base_risk: self.base_risk,
            launch_uids: Vec::new(),
            enabled: true,
            created_at: Timestamp::default(),
            // Declared, not registered.
            version: 0,
        })
    }
}

impl ToolFixture {
    fn tool(self) -> Tool {
        let definition = match &self.input {
            Some(input) => serde_json::json!({"name": self.tool.tool, "inputSchema": input}),
            None => serde_json::json!({"name": self.tool.tool}),
        };
        Tool {
            tool: self.tool,
            state: ToolState::Approved,
            seen: Digest([0; 32]),
            approved: Some(Digest([0; 32])),
            definition: definition.to_string(),
            candidate: None,
            effect: self.effect,
            decided_by: None,
            binding: Binding::default(),
            seen_at: Timestamp::default(),
            version: 1,
        }
    }
}

fn server(name: ServerName, trust: Trust) -> Server {
    Server {
        name,
        transport: Transport::Stdio {
            command: Vec::new(),
            env: std::collections::BTreeMap::new(),
            pass_env: Vec::new(),
        },
        trust,
        credential: None,
        labels: Labels::untrusted(),
        created_at: Timestamp::default(),
        version: 1,
    }
}

/// Scope is checked before policy; tests of policy start behind it.
pub(crate) fn everything() -> Result<Scope, String> {
    let draft: Draft = toml::from_str(
        "[[grant]]\nserver = [\"*\"]\ntool = [\"*\"]\neffects = [\"read\", \"write\", \"escalate\"]\n",
    )
    .map_err(|error| error.to_string())?;
    draft
        .fill(&Bounds::WIDEST)
        .map_err(|error| error.to_string())
}
