//! `bundle.toml`: the bundle's name and what it is for; and what it says of agents, servers, credentials, people and tools beside the registry:
//! groups and tags that its policies ask about. They are part of the bundle, so that an old decision can be made again (P1).

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_core::Effect;
use bailiwick_core::name::{AgentName, CredentialName, ServerName, ToolRef};
use bailiwick_core::zone::Zone;
use serde::Deserialize;

use crate::flaw::{Flaw, PolicyErrors};
use crate::include;
use crate::source::BundleSource;
use crate::uid::RESERVED;

pub(crate) const FILE: &str = "bundle.toml";
/// One agent, server, person or tool is in at most this many groups: each is looked up in each decision.
const MAX_GROUPS: usize = 16;
/// It has at most this many tags.
const MAX_TAGS: usize = 32;

/// What `bundle.toml` says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// The bundle's name, for people.
    pub(crate) name: String,
    /// What it is for, in one sentence.
    #[serde(default)]
    pub(crate) description: String,
    /// Packs, as `name@version`. Their text is below `packs/`.
    #[serde(default)]
    pub(crate) include: BTreeSet<String>,
    /// Where `context.bw.now` tells hour and day of the week; UTC if nothing is said.
    #[serde(default)]
    pub(crate) time_zone: Zone,
    #[serde(default, rename = "agent")]
    pub(crate) agents: BTreeMap<AgentName, OfAgent>,
    #[serde(default, rename = "server")]
    pub(crate) servers: BTreeMap<ServerName, Marked>,
    #[serde(default, rename = "credential")]
    pub(crate) credentials: BTreeMap<CredentialName, Marked>,
    /// By `user:<issuer>:<subject>`, or by the name of an account.
    #[serde(default, rename = "user")]
    pub(crate) users: BTreeMap<String, Marked>,
    #[serde(default, rename = "tool")]
    pub(crate) tools: BTreeMap<ToolRef, OfTool>,
    /// Every group of tools that is named.
    #[serde(skip)]
    action_groups: BTreeSet<String>,
}

/// What a bundle says of a server, a credential or a person.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Marked {
    #[serde(default)]
    pub(crate) groups: BTreeSet<Group>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

/// What a bundle says of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfAgent {
    #[serde(default)]
    pub(crate) groups: BTreeSet<Group>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    /// Whether it works without a person who watches.
    #[serde(default)]
    pub(crate) autonomous: bool,
}

/// What a bundle says of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfTool {
    #[serde(default)]
    groups: BTreeSet<Group>,
    #[serde(default)]
    facets: BTreeSet<Facet>,
}

/// What a tool does beside its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Facet {
    Egress,
    Spend,
    Destroy,
}

impl Facet {
    pub(crate) const ALL: [Self; 3] = [Self::Egress, Self::Spend, Self::Destroy];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Egress => "egress",
            Self::Spend => "spend",
            Self::Destroy => "destroy",
        }
    }
}

/// The name of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Group(String);

impl Group {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Group {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=63).contains(&text.len())
            && text
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if fits {
            Ok(Self(text))
        } else {
            Err("the name of a group is 1 to 63 of a-z 0-9 -")
        }
    }
}

impl Manifest {
    pub(crate) fn read(source: &BundleSource) -> Result<Self, PolicyErrors> {
        let Some(text) = source.files.get(FILE) else {
            let flaw = Flaw::whole("the bundle has no bundle.toml".to_owned());
            return Err(PolicyErrors {
                flaws: vec![flaw.help("add a bundle.toml with `name = \"…\"`")],
            });
        };
        let mut manifest: Self = toml::from_str(text).map_err(|error| PolicyErrors {
            flaws: vec![Flaw::toml(FILE, text, &error)],
        })?;
        let groups = manifest.tools.values().flat_map(|tool| &tool.groups);
        manifest.action_groups = groups.map(|group| group.0.clone()).collect();
        let mut flaws = manifest.flaws(text);
        flaws.extend(include::absent(&manifest, source));
        PolicyErrors::check(flaws).map(|()| manifest)
    }

    /// The groups that the action of a tool is a direct member of, in calls of this effect.
    pub(crate) fn groups<'a>(
        &'a self,
        tool: &'a ToolRef,
        effect: Effect,
    ) -> impl Iterator<Item = &'a str> {
        let server = tool.server.as_str();
        let own = (!self.is_taken(server)).then_some(server);
        let declared = self.tools.get(tool).into_iter();
        let declared = declared.flat_map(|tool| {
            let facets = tool.facets.iter().map(|facet| facet.as_str());
            facets.chain(tool.groups.iter().map(Group::as_str))
        });
        std::iter::once(effect.as_str()).chain(own).chain(declared)
    }

    /// Whether a server of this name gets no group of its own: a server called `read` must not make its tools members of
    /// `Action::"read"`, nor one that is called as a group of the bundle's.
    pub(crate) fn is_taken(&self, server: &str) -> bool {
        RESERVED.contains(&server) || self.action_groups.contains(server)
    }

    /// Groups of tools.
    pub(crate) fn action_groups(&self) -> impl Iterator<Item = &str> {
        self.action_groups.iter().map(String::as_str)
    }

    /// Groups of agents.
    pub(crate) fn agent_groups(&self) -> BTreeSet<&str> {
        let groups = self.agents.values().flat_map(|agent| &agent.groups);
        groups.map(Group::as_str).collect()
    }

    /// Groups of servers.
    pub(crate) fn server_groups(&self) -> BTreeSet<&str> {
        let groups = self.servers.values().flat_map(|server| &server.groups);
        groups.map(Group::as_str).collect()
    }

    /// Groups of credentials.
    pub(crate) fn credential_groups(&self) -> BTreeSet<&str> {
        let groups = self.credentials.values().flat_map(|one| &one.groups);
        groups.map(Group::as_str).collect()
    }

    /// Groups of people.
    pub(crate) fn user_groups(&self) -> BTreeSet<&str> {
        let groups = self.users.values().flat_map(|user| &user.groups);
        groups.map(Group::as_str).collect()
    }

    fn flaws(&self, text: &str) -> Vec<Flaw> {
        let taken = self
            .action_groups
            .iter()
            .filter(|group| RESERVED.contains(&group.as_str()));
        let taken = taken.map(|group| {
            let message = format!("`{group}` is not free as the name of a group of tools");
            let flaw = placed(text, &format!("\"{group}\""), message);
            flaw.help("effects, facets and built-in actions have names of their own")
        });
        let agents = self.agents.iter();
        let agents = agents.map(|(name, one)| (name.to_string(), one.groups.len(), one.tags.len()));
        let marked = |(name, one): (String, &Marked)| (name, one.groups.len(), one.tags.len());
        let servers = self.servers.iter();
        let servers = servers.map(|(name, one)| marked((name.to_string(), one)));
        let credentials = self.credentials.iter();
        let credentials = credentials.map(|(name, one)| marked((name.to_string(), one)));
        let users = self.users.iter();
        let users = users.map(|(name, one)| marked((name.clone(), one)));
        let tools = self.tools.iter();
        let tools = tools.map(|(name, one)| (name.to_string(), one.groups.len(), 0));
        let all = agents.chain(servers).chain(credentials).chain(users);
        let all = all.chain(tools);
        let over = all.filter(|(_, groups, tags)| *groups > MAX_GROUPS || *tags > MAX_TAGS);
        let over = over.map(|(name, ..)| {
            let message = format!("`{name}` is in too many groups, or has too many tags");
            placed(text, &name, message)
                .code(crate::flaw::FlawCode::Bound)
                .help(format!(
                    "at most {MAX_GROUPS} groups and {MAX_TAGS} tags each"
                ))
        });
        taken.chain(over).collect()
    }
}

/// Where a name stands first.
fn placed(text: &str, written: &str, message: String) -> Flaw {
    match text.find(written) {
        Some(start) => Flaw::at(FILE, text, start..start + written.len(), message),
        None => Flaw::in_file(FILE, message),
    }
}
