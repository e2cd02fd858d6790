//! What could be reached in a window: walks through the changes of tasks, catalogue and policy, and asks for each stretch in which nothing
//! changed what scope, stage and policy would have said to each tool.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bailiwick_audit::blobs::Blobs;
use bailiwick_core::agent::Agent;
use bailiwick_core::binding::Binding;
use bailiwick_core::budget::Usage;
use bailiwick_core::decision::Versions;
use bailiwick_core::definition::{Tool, ToolState};
use bailiwick_core::event::TaskRef;
use bailiwick_core::id::{LeaseId, TaskId};
use bailiwick_core::label::Labels;
use bailiwick_core::name::{ServerName, ToolRef};
use bailiwick_core::server::{Server, Transport, Trust};
use bailiwick_core::task::Task;
use bailiwick_core::{Digest, Effect, Timestamp};
use bailiwick_policy::{Bundle, BundleSource, Facts, Reach, Recorded, RecordedTask, Registry};

use super::fold::{Approved, Change, Fold};

/// Policies that are compiled for one answer; each is a bundle with the catalogue of a time.
const MAX_COMPILED: usize = 64;

/// What is known beside the record.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) tasks: BTreeMap<TaskId, Task>,
    pub(super) leases: BTreeMap<LeaseId, ServerName>,
    pub(super) policies: BTreeMap<Digest, BundleSource>,
    pub(super) agents: Vec<Agent>,
    pub(super) servers: Vec<Server>,
    pub(super) tools: Vec<Tool>,
}

/// What could be reached.
pub(super) struct Reached {
    /// The widest of each tool in scope, with its effect and since when.
    pub(super) reach: BTreeMap<ToolRef, (Effect, Reach, Timestamp)>,
    pub(super) notes: BTreeSet<String>,
    pub(super) complete: bool,
}

/// Walks through the window.
pub(super) fn reached(fold: &Fold, rows: &Rows, blobs: &Blobs, performs: &[&str]) -> Reached {
    let mut walk = Walk {
        rows,
        blobs,
        performs,
        tools: BTreeMap::new(),
        servers: BTreeMap::new(),
        policy: None,
        live: BTreeMap::new(),
        marked: BTreeSet::new(),
        compiled: None,
        current: false,
        compilations: 0,
        asked: HashSet::new(),
        catalogue: 0,
        found: Reached {
            reach: BTreeMap::new(),
            notes: BTreeSet::new(),
            complete: true,
        },
    };
    let (from, until) = (fold.window.from, fold.window.until);
    let mut now = from;
    for (at, change) in &fold.changes {
        if *at > from {
            walk.ask(now, change);
            now = *at;
        }
        walk.apply(change);
    }
    walk.ask_all(now.min(until));
    walk.found
}

struct Walk<'a> {
    rows: &'a Rows,
    blobs: &'a Blobs,
    /// Kinds of duty that the gateway performs.
    performs: &'a [&'a str],
    tools: BTreeMap<ToolRef, Approved>,
    servers: BTreeMap<ServerName, Option<Trust>>,
    policy: Option<Digest>,
    live: BTreeMap<TaskId, TaskRef>,
    /// Tasks about which nothing was asked since something changed for them.
    marked: BTreeSet<TaskId>,
    compiled: Option<Bundle>,
    /// Whether that is of this catalogue and policy, also where there is none.
    current: bool,
    compilations: usize,
    /// Questions that were asked before.
    asked: HashSet<String>,
    /// Counts the changes of catalogue and policy.
    catalogue: u64,
    found: Reached,
}

impl Walk<'_> {
    /// Before a change: asks what held until then, where the change ends it.
    fn ask(&mut self, at: Timestamp, change: &Change) {
        match change {
            Change::Task(task) => self.ask_about(task.id, at),
            Change::Ended(task) => self.ask_about(*task, at),
            _ => self.ask_all(at),
        }
    }

    fn ask_all(&mut self, at: Timestamp) {
        for task in std::mem::take(&mut self.marked) {
            self.question(task, at);
        }
    }

    fn ask_about(&mut self, task: TaskId, at: Timestamp) {
        if self.marked.remove(&task) {
            self.question(task, at);
        }
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Task(task) => {
                self.live.insert(task.id, task.clone());
                self.marked.insert(task.id);
                return;
            }
            Change::Ended(task) => {
                self.live.remove(task);
                self.marked.remove(task);
                return;
            }
            Change::Approved(tool, approved) => {
                self.tools.insert(tool.clone(), *approved);
            }
            Change::Withdrawn(tool) => {
                self.tools.remove(tool);
            }
            Change::Server(server, trust) => {
                self.servers.insert(server.clone(), *trust);
            }
            Change::ServerGone(server) => {
                self.servers.remove(server);
                self.tools.retain(|tool, _| tool.server != *server);
            }
            Change::Policy(digest) => self.policy = Some(*digest),
        }
        self.catalogue += 1;
        self.current = false;
        self.marked.extend(self.live.keys());
    }

    /// What the task could reach as things stand.
    fn question(&mut self, id: TaskId, at: Timestamp) {
        let Some(then) = self.live.get(&id).cloned() else {
            return;
        };
        let rows = self.rows;
        let Some(task) = rows.tasks.get(&id) else {
            let note = format!("the scope of {id} is not known any more");
            self.found.notes.insert(note);
            self.found.complete = false;
            return;
        };
        if at >= task.expires_at.min(task.scope.deadline()) {
            return;
        }
        // Most tasks of an agent are alike: the same question has the same answer.
        let depth = task.ancestors.len();
        let key = format!(
            "{} {} {} {} {} {:?} {} {:?} {} {}",
            self.catalogue,
            task.agent,
            task.scope_digest,
            task.workflow,
            then.stage,
            then.labels,
            then.risk,
            task.request.source,
            task.user,
            depth
        );
        if !self.asked.insert(key) {
            return;
        }
        let named: Vec<(ToolRef, Approved)> = self
            .tools
            .iter()
            .filter(|(tool, approved)| {
                let (server, name) = (tool.server.as_str(), tool.tool.as_str());
                task.scope.names_tool(server, name, approved.effect)
            })
            .map(|(tool, approved)| (tool.clone(), *approved))
            .collect();
        if named.is_empty() {
            return;
        }
        let performs: Vec<String> = self.performs.iter().map(|&kind| kind.to_owned()).collect();
        let Some(bundle) = self.bundle() else { return };
        let workflow = bundle.workflows().named(&task.workflow);
        let stage = workflow.and_then(|workflow| workflow.stage(&then.stage));
        let mut answers = Vec::new();
        for (tool, approved) in named {
            let (server, name) = (tool.server.as_str(), tool.tool.as_str());
            let inside = stage.is_some_and(|stage| {
                let cap = stage.cap.as_ref();
                cap.is_none_or(|cap| cap.names_tool(server, name, approved.effect))
            });
            let reach = if inside {
                bundle.reach(&Recorded {
                    performs: performs.clone(),
                    ..call(rows, task, &then, &tool, approved, at)
                })
            } else {
                Reach::Deny
            };
            answers.push((tool, approved.effect, reach));
        }
        for (tool, effect, reach) in answers {
            let known = self.found.reach.entry(tool).or_insert((effect, reach, at));
            if reach > known.1 {
                *known = (effect, reach, at);
            }
        }
    }

    /// The bundle of the time, compiled for the catalogue of the time.
    fn bundle(&mut self) -> Option<&Bundle> {
        if !self.current {
            self.compiled = self.compile();
            self.current = true;
        }
        self.compiled.as_ref()
    }

    fn compile(&mut self) -> Option<Bundle> {
        let digest = self.policy?;
        let Some(source) = self.rows.policies.get(&digest) else {
            self.miss(format!("the policy bundle {digest} is not kept"));
            return None;
        };
        if self.compilations >= MAX_COMPILED {
            self.miss(format!(
                "catalogue and policy changed more than {MAX_COMPILED} times: the rest of the window is not told"
            ));
            return None;
        }
        self.compilations += 1;
        let registry = self.registry();
        match Bundle::compile_lenient(source, digest, &registry) {
            Ok(bundle) => Some(bundle),
            Err(error) => {
                self.miss(format!(
                    "the policy bundle {digest} does not compile: {error}"
                ));
                None
            }
        }
    }

    fn miss(&mut self, note: String) {
        self.found.notes.insert(note);
        self.found.complete = false;
    }

    /// Agents as they are, servers and tools as they were.
    fn registry(&mut self) -> Registry {
        let rows = self.rows;
        let mut notes = Vec::new();
        let mut tools = Vec::new();
        let mut needed: BTreeSet<ServerName> = self.servers.keys().cloned().collect();
        for (tool, approved) in &self.tools {
            if tool.tool.is_prompt() {
                continue;
            }
            needed.insert(tool.server.clone());
            let row = rows.tools.iter().find(|row| row.tool == *tool);
            let text = approved
                .text
                .and_then(|text| self.blobs.read(text).ok().flatten());
            let text = text.and_then(|text| String::from_utf8(text).ok());
            let text = text.or_else(|| {
                let same = row.filter(|row| row.approved == Some(approved.definition));
                same.map(|row| row.definition.clone())
            });
            if text.is_none() {
                notes.push(format!(
                    "the definition {} of {tool} is not kept: policies about its arguments count as denying",
                    approved.definition
                ));
            }
            tools.push(Tool {
                tool: tool.clone(),
                state: ToolState::Approved,
                seen: approved.definition,
                approved: Some(approved.definition),
                definition: text.unwrap_or_else(|| "{}".to_owned()),
                candidate: None,
                effect: approved.effect,
                decided_by: None,
                binding: Binding::default(),
                seen_at: Timestamp::default(),
                version: 1,
            });
        }
        let mut servers = Vec::new();
        for name in needed {
            let row = rows.servers.iter().find(|row| row.name == name);
            let recorded = self.servers.get(&name).copied().flatten();
            let trust = recorded.or_else(|| row.map(|row| row.trust));
            if trust.is_none() {
                notes.push(format!(
                    "how far server {name} was trusted is not known: taken as unreviewed"
                ));
            }
            servers.push(Server {
                name,
                transport: Transport::Http { url: String::new() },
                trust: trust.unwrap_or_default(),
                credential: None,
                labels: Labels::untrusted(),
                created_at: Timestamp::default(),
                version: 1,
            });
        }
        for note in notes {
            self.miss(note);
        }
        Registry {
            agents: rows.agents.clone(),
            servers,
            tools,
        }
    }
}

/// A call of the tool at that time. Its arguments are not looked at; counts are those of a task that has done nothing yet.
fn call(
    rows: &Rows,
    task: &Task,
    then: &TaskRef,
    tool: &ToolRef,
    approved: Approved,
    at: Timestamp,
) -> Recorded {
    let above = task
        .ancestors
        .iter()
        .rev()
        .filter_map(|id| rows.tasks.get(id));
    let chain = std::iter::once(task).chain(above);
    Recorded {
        agent: task.agent.clone(),
        tool: tool.clone(),
        definition: Some(approved.definition),
        effect: approved.effect,
        arguments: "{}".to_owned(),
        user: task.user.clone(),
        chain: chain.map(|task| task.agent.clone()).collect(),
        task: RecordedTask {
            id: task.id,
            workflow: task.workflow.clone(),
            stage: then.stage.clone(),
            risk: then.risk,
            labels: then.labels.clone(),
            created_at: task.created_at,
            depth: task.ancestors.len() as u64,
            requested_by: task.request.source,
            usage: Usage::default(),
        },
        now: at,
        discharged: Vec::new(),
        performs: Vec::new(),
        facts: Facts::default(),
        versions: Versions {
            bundle: None,
            task: then.version,
            fence_seq: 0,
            replica_seq: 0,
        },
    }
}
