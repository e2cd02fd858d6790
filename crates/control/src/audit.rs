//! What somebody did, and what they could have done: joins the record with the rows of tasks and leases and with the policy of the time.
//!
//! The record proves what went through an enforcement point. What a leased credential reaches outside of it is named, not measured.

mod fold;
mod reached;

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_audit::blobs::Blobs;
use bailiwick_core::id::{InstanceId, LeaseId, TaskId};
use bailiwick_core::lease::Lease;
use bailiwick_core::name::{AgentName, CredentialName, ServerName, ToolRef, UserId};
use bailiwick_core::scope::Draft;
use bailiwick_core::task::Task;
use bailiwick_core::{Code, Digest, Effect, Fault, Problem, Timestamp};
use bailiwick_policy::{BundleSource, Reach};
use bailiwick_store::StoreError;
use serde::Serialize;

use crate::{Actor, Control, Operation};
pub use fold::Fold;
use reached::{Reached, Rows};

/// Whose reach is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// A task and everything below it.
    Task(TaskId),
    /// An agent, in all its tasks.
    Agent(AgentName),
    /// One process.
    Instance(InstanceId),
    /// A user, by pseudonym: everything done for them.
    User(String),
    /// What one lease was used for: its task's calls to its server.
    Lease(Box<Lease>),
}

/// When.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// From then on.
    pub from: Timestamp,
    /// Until then.
    pub until: Timestamp,
}

/// What was touched against what could be reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Radius {
    /// `task`, `agent`, `instance`, `user` or `lease`.
    pub kind: &'static str,
    /// Which.
    pub id: String,
    /// The time looked at.
    pub window: Window,
    /// Tasks that lived in it.
    pub tasks: Vec<TaskId>,
    /// How many tools there are of each kind.
    pub counts: Counts,
    /// Every tool that was touched, tried, or in reach; widest first.
    pub tools: Vec<ToolReach>,
    /// Credentials that were live.
    pub leases: Vec<LeaseSpan>,
    /// Of what was in reach and not touched, what does most.
    pub widest_unused: Option<ToolRef>,
    /// A scope that holds what was touched and nothing more; none if nothing was.
    pub proposal: Option<Draft>,
    /// What is not known, and what this does not say.
    pub notes: BTreeSet<String>,
    /// Whether everything in the window was looked at.
    pub complete: bool,
}

/// Tools by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Called, and the call ran.
    pub touched: usize,
    /// Any call would have been allowed; none was made.
    pub allowed_unused: usize,
    /// A person would have been asked; nobody was, or nothing ran.
    pub needs_approval: usize,
    /// Some calls would have been allowed, by their arguments; none was made.
    pub depends: usize,
    /// Called, and refused.
    pub refused: usize,
}

/// One tool.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolReach {
    /// Which.
    pub tool: ToolRef,
    /// What it does.
    pub effect: Effect,
    /// Calls that ran.
    pub calls: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// The widest that policy and scope allowed at any time in the window; none if it was in no scope.
    pub reach: Option<Reach>,
    /// When that was so first.
    pub since: Option<Timestamp>,
}

/// A credential's life.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeaseSpan {
    /// The lease.
    pub id: LeaseId,
    /// What it was made from.
    pub credential: CredentialName,
    /// The server whose calls it was put into, if its row is still there.
    pub server: Option<ServerName>,
    /// Its task.
    pub task: Option<TaskId>,
    /// Since when it was live.
    pub from: Timestamp,
    /// When it was verified dead; none: it is not.
    pub dead: Option<Timestamp>,
}

impl Control {
    /// Finds out whose reach is meant.
    pub async fn whose(&self, actor: &Actor, kind: &str, id: &str) -> Result<Whose, Problem> {
        actor.may(Operation::Read)?;
        let wrong = |what: &str| {
            let message = format!("`{}` is no {what}", id.chars().take(64).collect::<String>());
            Problem::new(
                Code::InvalidInput,
                message,
                "take it as `audit task` or a list prints it",
            )
        };
        match kind {
            "task" => Ok(Whose::Task(id.parse().map_err(|_| wrong("task"))?)),
            "agent" => Ok(Whose::Agent(id.parse().map_err(|_| wrong("agent"))?)),
            "instance" => Ok(Whose::Instance(id.parse().map_err(|_| wrong("instance"))?)),
            "user" if id.starts_with("usr_") => Ok(Whose::User(id.to_owned())),
            "user" => {
                let user: UserId = id.parse().map_err(|_| wrong("user"))?;
                let found = self
                    .parts
                    .store
                    .read(move |rows| rows.pseudonym(&user))
                    .await;
                let found = found.map_err(|error: StoreError| error.problem())?;
                let unknown = || Problem::new(Code::NotFound, format!("{id} is not on record"), "");
                Ok(Whose::User(found.ok_or_else(unknown)?))
            }
            "lease" => {
                let lease: LeaseId = id.parse().map_err(|_| wrong("lease"))?;
                let found = self.parts.store.read(move |rows| rows.lease(lease)).await;
                let found = found.map_err(|error: StoreError| error.problem())?;
                let unknown = || Problem::new(Code::NotFound, format!("there is no {id}"), "");
                Ok(Whose::Lease(Box::new(found.ok_or_else(unknown)?)))
            }
            _ => Err(Problem::new(
                Code::InvalidInput,
                format!(
                    "there is no blast radius of a `{}`",
                    kind.chars().take(32).collect::<String>()
                ),
                "one of task, agent, instance, user, lease",
            )),
        }
    }

    /// Joins what the record said with rows and policies. `read_all`: whether the whole window was read; `performs`: the kinds of duty
    /// that the gateway performs.
    pub async fn blast_radius(
        &self,
        actor: &Actor,
        fold: Fold,
        read_all: bool,
        performs: &'static [&'static str],
    ) -> Result<Radius, Problem> {
        actor.may(Operation::Read)?;
        let (tasks, leases) = (fold.tasks(), fold.leases());
        let policies = fold.policies();
        let rows = self.parts.store.read(move |rows| {
            let mut found = Rows::default();
            for id in &tasks {
                let Some(task): Option<Task> = rows.task(*id)? else {
                    continue;
                };
                // Who is above it is part of what policy is asked.
                for above in &task.ancestors {
                    if !found.tasks.contains_key(above) {
                        found
                            .tasks
                            .extend(rows.task(*above)?.map(|task| (*above, task)));
                    }
                }
                found.tasks.insert(*id, task);
            }
            for id in &leases {
                let lease: Option<Lease> = rows.lease(*id)?;
                let server = lease.and_then(|lease| lease.server);
                found.leases.extend(server.map(|server| (*id, server)));
            }
            for digest in &policies {
                let source = rows.policy_source(*digest)?;
                let source =
                    source.and_then(|text| serde_json::from_str::<BundleSource>(&text).ok());
                found
                    .policies
                    .extend(source.map(|source| (*digest, source)));
            }
            found.agents = rows.agents()?;
            found.servers = rows.servers()?;
            found.tools = rows.tools(None)?;
            Ok::<_, StoreError>(found)
        });
        let rows = rows.await.map_err(|error| error.problem())?;
        let blobs = self.parts.blobs.clone();
        // Compiling the policies of the time takes a while.
        let joined =
            tokio::task::spawn_blocking(move || join(&fold, &rows, (&blobs, performs), read_all));
        joined
            .await
            .map_err(|_| Problem::new(Code::Internal, "the blast radius stopped", ""))
    }
}

fn join(fold: &Fold, rows: &Rows, (blobs, performs): (&Blobs, &[&str]), read_all: bool) -> Radius {
    let Reached {
        reach,
        mut notes,
        complete,
    } = reached::reached(fold, rows, blobs, performs);
    let mut tools: BTreeMap<ToolRef, ToolReach> = BTreeMap::new();
    for (tool, used) in &fold.used {
        let entry = ToolReach {
            tool: tool.clone(),
            effect: used.effect.unwrap_or(Effect::Write),
            calls: used.calls,
            refused: used.refused,
            reach: None,
            since: None,
        };
        tools.insert(tool.clone(), entry);
    }
    for (tool, (effect, reach, since)) in reach {
        let entry = tools.entry(tool.clone()).or_insert(ToolReach {
            tool,
            effect,
            calls: 0,
            refused: 0,
            reach: None,
            since: None,
        });
        entry.effect = entry.effect.max(effect);
        entry.reach = Some(reach);
        entry.since = Some(since);
    }
    let mut tools: Vec<ToolReach> = tools.into_values().collect();
    tools.sort_by(|a, b| (b.effect, b.reach, &a.tool).cmp(&(a.effect, a.reach, &b.tool)));
    let unused = |tool: &&ToolReach| tool.calls == 0;
    let with = |reach: Reach| {
        let alike = tools.iter().filter(unused);
        alike.filter(|tool| tool.reach == Some(reach)).count()
    };
    let counts = Counts {
        touched: tools.iter().filter(|tool| tool.calls > 0).count(),
        allowed_unused: with(Reach::Allow),
        needs_approval: with(Reach::StepUp),
        depends: with(Reach::Depends),
        refused: tools.iter().filter(|tool| tool.refused > 0).count(),
    };
    let in_reach = |tool: &&ToolReach| tool.reach.is_some_and(|reach| reach > Reach::Deny);
    let widest = tools.iter().filter(unused).find(in_reach);
    let widest_unused = widest.map(|tool| tool.tool.clone());
    notes.insert(
        "which resources were touched stands in the sealed arguments: `audit task --reveal`"
            .to_owned(),
    );
    let leases: Vec<LeaseSpan> = fold
        .lease_spans()
        .map(|span| LeaseSpan {
            server: rows.leases.get(&span.id).cloned(),
            ..span
        })
        .collect();
    if !leases.is_empty() {
        notes.insert("outside the gateway a leased credential reaches whatever its server grants it; the agent never held it".to_owned());
    }
    let (kind, id) = fold.whose.named();
    Radius {
        kind,
        id,
        window: fold.window,
        tasks: fold.tasks(),
        counts,
        proposal: proposal(&tools),
        tools,
        leases,
        widest_unused,
        notes,
        complete: complete && read_all,
    }
}

/// The narrowest scope in which all that was touched could have been done.
fn proposal(tools: &[ToolReach]) -> Option<Draft> {
    let touched = tools.iter().filter(|tool| tool.calls > 0);
    narrowest(touched.map(|used| (&used.tool, used.effect)))
}

/// The narrowest scope that names these tools with these effects; none if there are none.
pub(crate) fn narrowest<'a>(tools: impl Iterator<Item = (&'a ToolRef, Effect)>) -> Option<Draft> {
    let mut names: BTreeMap<(&ServerName, Effect), BTreeSet<String>> = BTreeMap::new();
    for (tool, effect) in tools {
        let key = (&tool.server, effect);
        names.entry(key).or_default().insert(tool.tool.to_string());
    }
    let grants: Vec<serde_json::Value> = names
        .into_iter()
        .flat_map(|((server, effect), tools)| {
            let tools: Vec<String> = tools.into_iter().collect();
            let sets = tools.chunks(bailiwick_core::scope::MAX_SET);
            let grants = sets.map(
                |tools| serde_json::json!({"server": [server], "tool": tools, "effects": [effect]}),
            );
            grants.collect::<Vec<_>>()
        })
        .collect();
    if grants.is_empty() {
        return None;
    }
    serde_json::from_value(serde_json::json!({ "grants": grants })).ok()
}

impl Whose {
    pub(crate) fn named(&self) -> (&'static str, String) {
        match self {
            Self::Task(id) => ("task", id.to_string()),
            Self::Agent(name) => ("agent", name.to_string()),
            Self::Instance(id) => ("instance", id.to_string()),
            Self::User(user) => ("user", user.clone()),
            Self::Lease(lease) => ("lease", lease.id.to_string()),
        }
    }
}

/// Digest at the beginning of a word list such as `Approved read sha256:… text sha256:…`, behind `word` if one is given.
fn digest_behind(text: &str, word: Option<&str>) -> Option<Digest> {
    let mut words = text.split(' ');
    if let Some(word) = word {
        words.find(|found| *found == word)?;
    }
    words.find_map(|found| found.parse().ok())
}
