//! What the record says for a blast radius: what was called and refused, when tasks lived and as what, when credentials were live, and every
//! change of catalogue and policy up to the end of the window.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bailiwick_audit::Leaf;
use bailiwick_core::event::{Event, EventType, Status, TaskRef};
use bailiwick_core::id::{LeaseId, TaskId};
use bailiwick_core::index::{BadFilter, Conditions, Key};
use bailiwick_core::name::{ServerName, ToolRef};
use bailiwick_core::server::Trust;
use bailiwick_core::task::MAX_LIFE;
use bailiwick_core::{Digest, Effect, Timestamp};

use super::{LeaseSpan, Whose, Window, digest_behind};

/// Takes leaves in the order of their log.
#[derive(Debug)]
pub struct Fold {
    pub(super) whose: Whose,
    pub(super) window: Window,
    needle: String,
    pub(super) used: BTreeMap<ToolRef, Used>,
    pub(super) changes: Vec<(Timestamp, Change)>,
    last: BTreeMap<TaskId, TaskRef>,
    /// Tasks that were over when the window began.
    over: BTreeSet<TaskId>,
    spans: BTreeMap<LeaseId, LeaseSpan>,
}

/// What became of a tool's calls.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    pub(super) effect: Option<Effect>,
    pub(super) calls: u64,
    pub(super) refused: u64,
}

/// Something that changes what can be reached.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// A task lives, or lives on as something else.
    Task(TaskRef),
    /// A task is over.
    Ended(TaskId),
    /// A definition is approved.
    Approved(ToolRef, Approved),
    /// A tool cannot be called.
    Withdrawn(ToolRef),
    /// A server is there.
    Server(ServerName, Option<Trust>),
    /// A server is gone, with its tools.
    ServerGone(ServerName),
    /// A bundle is active.
    Policy(Digest),
}

/// An approved definition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Approved {
    pub(super) effect: Effect,
    pub(super) definition: Digest,
    /// The blob with its text.
    pub(super) text: Option<Digest>,
}

impl Fold {
    /// A fold over one window.
    pub fn new(whose: Whose, window: Window) -> Self {
        let needle = match &whose {
            Whose::Lease(lease) => lease.task.to_string(),
            other => other.named().1,
        };
        Self {
            whose,
            window,
            needle,
            used: BTreeMap::new(),
            changes: Vec::new(),
            last: BTreeMap::new(),
            over: BTreeSet::new(),
            spans: BTreeMap::new(),
        }
    }

    /// What to ask an index for: every event that can matter meets one of these.
    pub fn questions(&self) -> Result<Vec<Conditions>, BadFilter> {
        const CHANGES: [&str; 4] = ["tool.pinned", "tool.drifted", "server.changed", "policy"];
        let (key, id) = match &self.whose {
            Whose::Task(id) => (Key::Task, id.to_string()),
            Whose::Agent(name) => (Key::Agent, name.to_string()),
            Whose::Instance(id) => (Key::Instance, id.to_string()),
            Whose::User(user) => (Key::User, user.clone()),
            Whose::Lease(lease) => (Key::Task, lease.task.to_string()),
        };
        // Whatever lived when the window began was opened a task's life before at most; a lease may be without its end for longer. The
        // window's last moment is in it.
        let opened = self.window.from.minus(MAX_LIFE);
        let until = Some(self.window.until.plus(Duration::from_millis(1)));
        let subject = || Conditions::default().and(key, &id);
        let mut questions = vec![
            subject()?.between(Some(opened), until),
            subject()?.and(Key::Type, "lease")?.between(None, until),
        ];
        for kind in CHANGES {
            let change = Conditions::default().and(Key::Type, kind)?;
            questions.push(change.between(None, until));
        }
        Ok(questions)
    }

    /// Whether a leaf can matter, by its text: most do not.
    pub fn wants(&self, leaf: &[u8]) -> bool {
        const CHANGES: [&str; 4] = [
            r#""type":"tool.pinned""#,
            r#""type":"tool.drifted""#,
            r#""type":"server.changed""#,
            r#""type":"policy."#,
        ];
        std::str::from_utf8(leaf).is_ok_and(|leaf| {
            leaf.contains(&self.needle) || CHANGES.iter().any(|kind| leaf.contains(kind))
        })
    }

    /// Takes one leaf.
    pub fn take(&mut self, leaf: &Leaf) {
        let (at, event) = (leaf.hlc.wall(), &leaf.event);
        if at > self.window.until {
            return;
        }
        if let Some(change) = change_of(event) {
            self.changes.push((at, change));
            return;
        }
        if !self.concerns(event) {
            return;
        }
        if let Some(task) = &event.task {
            if event.kind == EventType::TaskEnded {
                self.last.insert(task.id, task.clone());
                if at < self.window.from {
                    self.over.insert(task.id);
                }
                self.changes.push((at, Change::Ended(task.id)));
            } else if self
                .last
                .get(&task.id)
                .is_none_or(|last| differs(last, task))
            {
                self.last.insert(task.id, task.clone());
                self.changes.push((at, Change::Task(task.clone())));
            }
        }
        self.lease(at, event);
        if at >= self.window.from {
            self.call(event);
        }
    }

    fn concerns(&self, event: &Event) -> bool {
        let agent = event.agent.as_ref();
        match &self.whose {
            Whose::Task(id) => {
                event.task.as_ref().is_some_and(|task| {
                    [Some(task.id), Some(task.root), task.parent].contains(&Some(*id))
                }) || event.chain.iter().any(|link| link.task == *id)
            }
            Whose::Agent(name) => agent.is_some_and(|agent| agent.id == *name),
            Whose::Instance(id) => agent.is_some_and(|agent| agent.instance == Some(*id)),
            Whose::User(user) => event.user.as_deref() == Some(user),
            Whose::Lease(lease) => {
                let server = event
                    .action
                    .as_ref()
                    .and_then(|action| action.server.as_ref());
                let other = event.lease.as_ref().is_some_and(|it| it.id != lease.id);
                event
                    .task
                    .as_ref()
                    .is_some_and(|task| task.id == lease.task)
                    && server.is_none_or(|server| Some(server) == lease.server.as_ref())
                    && !other
            }
        }
    }

    fn call(&mut self, event: &Event) {
        let Some(action) = &event.action else { return };
        let (Some(server), Some(tool)) = (&action.server, &action.tool) else {
            return;
        };
        let status = event.outcome.as_ref().map(|outcome| outcome.status);
        let (calls, refused) = match (event.kind, status) {
            (EventType::ToolResult, Some(Status::Refused)) | (EventType::ToolRefused, _) => (0, 1),
            (EventType::ToolResult, _) => (1, 0),
            _ => return,
        };
        let reference = ToolRef {
            server: server.clone(),
            tool: tool.clone(),
        };
        let used = self.used.entry(reference).or_default();
        used.effect = used.effect.max(action.effect);
        used.calls += calls;
        used.refused += refused;
    }

    fn lease(&mut self, at: Timestamp, event: &Event) {
        let Some(lease) = &event.lease else { return };
        match event.kind {
            EventType::LeaseIntent | EventType::LeaseActive => {
                self.spans.entry(lease.id).or_insert_with(|| LeaseSpan {
                    id: lease.id,
                    credential: lease.credential.clone(),
                    server: None,
                    task: event.task.as_ref().map(|task| task.id),
                    from: at,
                    dead: None,
                });
            }
            EventType::LeaseDead => {
                if let Some(span) = self.spans.get_mut(&lease.id) {
                    span.dead = Some(at);
                }
            }
            _ => {}
        }
    }

    /// Tasks that lived in the window.
    pub(super) fn tasks(&self) -> Vec<TaskId> {
        let tasks = self.last.keys().copied();
        tasks.filter(|task| !self.over.contains(task)).collect()
    }

    /// Leases that were live in the window.
    pub(super) fn leases(&self) -> Vec<LeaseId> {
        self.lease_spans().map(|span| span.id).collect()
    }

    pub(super) fn lease_spans(&self) -> impl Iterator<Item = LeaseSpan> {
        let from = self.window.from;
        let alive = move |span: &&LeaseSpan| span.dead.is_none_or(|dead| dead >= from);
        self.spans.values().filter(alive).cloned()
    }

    /// Bundles that were active up to the end of the window.
    pub(super) fn policies(&self) -> Vec<Digest> {
        let digests = self.changes.iter().filter_map(|(_, change)| match change {
            Change::Policy(digest) => Some(*digest),
            _ => None,
        });
        digests.collect()
    }
}

/// What an event of the registry or of policy changes for everybody.
fn change_of(event: &Event) -> Option<Change> {
    let change = event.change.as_ref()?;
    let after = change.after.as_deref().unwrap_or_default();
    match event.kind {
        EventType::ToolPinned => {
            let tool: ToolRef = change.id.parse().ok()?;
            let mut words = after.split(' ');
            let state = words.next().unwrap_or_default();
            let effect = words.next().and_then(|effect| effect.parse().ok());
            match (state, effect, digest_behind(after, None)) {
                ("Approved", Some(effect), Some(definition)) => {
                    let approved = Approved {
                        effect,
                        definition,
                        text: digest_behind(after, Some("text")),
                    };
                    Some(Change::Approved(tool, approved))
                }
                _ => Some(Change::Withdrawn(tool)),
            }
        }
        // Whatever was approved, it is not what the server shows now.
        EventType::ToolDrifted => Some(Change::Withdrawn(change.id.parse().ok()?)),
        EventType::ServerChanged => {
            let server: ServerName = change.id.parse().ok()?;
            if after == "removed" {
                return Some(Change::ServerGone(server));
            }
            let trust = after.strip_prefix("trust ").and_then(|trust| {
                let word = trust.split(' ').next().unwrap_or_default();
                serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
            });
            Some(Change::Server(server, trust))
        }
        EventType::PolicyPublished | EventType::PolicyRolledBack => {
            Some(Change::Policy(digest_behind(after, None)?))
        }
        _ => None,
    }
}

fn differs(last: &TaskRef, now: &TaskRef) -> bool {
    now.version >= last.version
        && (last.stage != now.stage || last.risk != now.risk || last.labels != now.labels)
}
