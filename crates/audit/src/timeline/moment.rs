//! The state of a task's tree at one moment: what its events up to then add up to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bailiwick_core::Timestamp;
use bailiwick_core::event::EventType;
use bailiwick_core::id::{ApprovalId, EventId, LeaseId, TaskId};
use bailiwick_core::label::{Label, Labels};
use bailiwick_core::name::{CredentialName, StageName};
use bailiwick_core::risk::Risk;
use bailiwick_core::visible::Visible;
use serde::Serialize;

use super::names::Names;
use super::phrase::offset;
use super::{Placed, Timeline, Words};

/// What held at a moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moment {
    /// The moment.
    pub at: Timestamp,
    /// Events up to then, and of all.
    pub events: (u64, u64),
    /// Tasks that had been opened.
    pub tasks: Vec<TaskThen>,
    /// Credentials that were live, or not verified dead.
    pub leases: Vec<LeaseThen>,
    /// Approvals that waited or could be used.
    pub approvals: Vec<ApprovalThen>,
    /// Fences that held.
    pub fences: Vec<FenceThen>,
    /// Calls that ran.
    pub running: Vec<CallThen>,
}

/// A task at a moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskThen {
    /// Its id.
    pub id: TaskId,
    /// Who acts in it, as the story calls them.
    pub agent: String,
    /// `open` or how it ended.
    pub state: String,
    /// Its stage.
    pub stage: StageName,
    /// Its risk.
    pub risk: Risk,
    /// Its labels.
    pub labels: Labels,
    /// Its version.
    pub version: u64,
}

/// A lease at a moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeaseThen {
    /// Its id.
    pub id: LeaseId,
    /// Its credential.
    pub credential: CredentialName,
    /// `asked for`, `live`, or `being taken back`.
    pub state: &'static str,
    /// Since when.
    pub since: Timestamp,
}

/// An approval at a moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApprovalThen {
    /// Its id.
    pub id: ApprovalId,
    /// The tool.
    pub tool: String,
    /// `pending` or `approved`.
    pub state: String,
    /// Since when.
    pub since: Timestamp,
}

/// A fence at a moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FenceThen {
    /// Its id.
    pub id: String,
    /// What it is on.
    pub subject: String,
    /// Since when.
    pub since: Timestamp,
}

/// A call that ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallThen {
    /// Its intent.
    pub intent: EventId,
    /// The tool.
    pub tool: String,
    /// Since when.
    pub since: Timestamp,
}

/// Folds what happened up to `at`, that moment included.
pub fn moment(timeline: &Timeline, words: &Words, at: Timestamp) -> Moment {
    let names = Names::of(timeline, &words.people);
    let mut fold = Fold::default();
    let mut seen = 0;
    for placed in timeline.events.iter().take_while(|it| it.at() <= at) {
        seen += 1;
        fold.take(placed, &names);
    }
    Moment {
        at,
        events: (seen, timeline.events.len() as u64),
        tasks: fold.tasks.into_iter().map(|(_, task)| task).collect(),
        leases: fold.leases.into_values().collect(),
        approvals: fold.approvals.into_values().collect(),
        fences: fold.fences.into_values().collect(),
        running: fold.running.into_values().collect(),
    }
}

#[derive(Default)]
struct Fold {
    /// In the order they were opened.
    tasks: Vec<(TaskId, TaskThen)>,
    leases: BTreeMap<LeaseId, LeaseThen>,
    approvals: BTreeMap<ApprovalId, ApprovalThen>,
    fences: BTreeMap<String, FenceThen>,
    running: BTreeMap<EventId, CallThen>,
}

impl Fold {
    fn take(&mut self, placed: &Placed, names: &Names<'_>) {
        self.task(placed, names);
        self.lease(placed);
        self.approval(placed);
        let event = &placed.leaf.event;
        let since = placed.at();
        match (event.kind, &event.change) {
            (EventType::FenceSet, Some(change)) => {
                let fence = FenceThen {
                    id: change.id.clone(),
                    subject: change.after.clone().unwrap_or_default(),
                    since,
                };
                self.fences.insert(change.id.clone(), fence);
            }
            (EventType::FenceLifted, Some(change)) => {
                self.fences.remove(&change.id);
            }
            (EventType::ToolIntent | EventType::EgressIntent, _) => {
                let call = CallThen {
                    intent: event.id,
                    tool: tool(placed),
                    since,
                };
                self.running.insert(event.id, call);
            }
            (EventType::ToolResult | EventType::EgressResult, _) => {
                let parents = event.parents.iter().map(|parent| parent.id);
                for intent in parents.chain(event.cause) {
                    self.running.remove(&intent);
                }
            }
            _ => {}
        }
    }

    fn task(&mut self, placed: &Placed, names: &Names<'_>) {
        let event = &placed.leaf.event;
        let Some(task) = &event.task else { return };
        let state = match event.kind {
            EventType::TaskEnded => event.change.as_ref().and_then(|it| it.after.clone()),
            _ => None,
        };
        let known = self.tasks.iter_mut().find(|(id, _)| *id == task.id);
        let Some((_, then)) = known else {
            let then = TaskThen {
                id: task.id,
                agent: names.acting(task.id).unwrap_or_default().to_owned(),
                state: state.unwrap_or_else(|| "open".to_owned()),
                stage: task.stage.clone(),
                risk: task.risk,
                labels: task.labels.clone(),
                version: task.version,
            };
            self.tasks.push((task.id, then));
            return;
        };
        if let Some(state) = state {
            then.state = state;
        }
        if task.version >= then.version {
            then.stage.clone_from(&task.stage);
            then.risk = task.risk;
            then.labels.clone_from(&task.labels);
            then.version = task.version;
        }
    }

    fn lease(&mut self, placed: &Placed) {
        let event = &placed.leaf.event;
        let Some(lease) = &event.lease else { return };
        let state = match event.kind {
            EventType::LeaseIntent => "asked for",
            EventType::LeaseActive => "live",
            EventType::LeaseRevoking => "being taken back",
            EventType::LeaseDead => {
                self.leases.remove(&lease.id);
                return;
            }
            _ => return,
        };
        let then = LeaseThen {
            id: lease.id,
            credential: lease.credential.clone(),
            state,
            since: placed.at(),
        };
        self.leases.insert(lease.id, then);
    }

    fn approval(&mut self, placed: &Placed) {
        let event = &placed.leaf.event;
        let (true, Some(approval), Some(change)) = (
            event.kind.as_str().starts_with("approval."),
            &event.approval,
            &event.change,
        ) else {
            return;
        };
        let state = change.after.as_deref().unwrap_or_default();
        if !matches!(state, "pending" | "approved") {
            self.approvals.remove(&approval.id);
            return;
        }
        let then = ApprovalThen {
            id: approval.id,
            tool: tool(placed),
            state: state.to_owned(),
            since: placed.at(),
        };
        self.approvals.insert(approval.id, then);
    }
}

fn tool(placed: &Placed) -> String {
    let action = placed.leaf.event.action.as_ref();
    let server = action.and_then(|it| it.server.as_ref());
    let tool = action.and_then(|it| it.tool.as_ref());
    match (server, tool) {
        (Some(server), Some(tool)) => format!("{server}/{tool}"),
        _ => action.map(|it| it.op.clone()).unwrap_or_default(),
    }
}

/// A moment in words.
pub fn render_moment(timeline: &Timeline, moment: &Moment) -> String {
    let start = timeline.events.first().map(Placed::at).unwrap_or_default();
    let since =
        |at: Timestamp| offset(u64::try_from(at.since(start).as_millis()).unwrap_or(u64::MAX));
    let mut text = String::new();
    let mut line = |of: &str, words: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{of:<10}  {}", Visible(&words));
    };
    let (seen, all) = moment.events;
    line(
        "at",
        format!(
            "{} ({}), after {seen} of {all} events",
            moment.at,
            since(moment.at)
        ),
    );
    for task in &moment.tasks {
        let labels: Vec<&str> = task.labels.iter().map(Label::as_str).collect();
        let labels = if labels.is_empty() {
            "none".to_owned()
        } else {
            labels.join(", ")
        };
        line(
            "task",
            format!(
                "{}  {}  {} · stage {} · risk {} · labels {labels} · version {}",
                task.id, task.agent, task.state, task.stage, task.risk, task.version
            ),
        );
    }
    for call in &moment.running {
        line(
            "running",
            format!(
                "{}  since {}  {}",
                call.tool,
                since(call.since),
                call.intent
            ),
        );
    }
    for lease in &moment.leases {
        line(
            "lease",
            format!(
                "{}  {} · {} since {}",
                lease.id,
                lease.credential,
                lease.state,
                since(lease.since)
            ),
        );
    }
    for approval in &moment.approvals {
        line(
            "approval",
            format!(
                "{}  {} · {} since {}",
                approval.id,
                approval.tool,
                approval.state,
                since(approval.since)
            ),
        );
    }
    for fence in &moment.fences {
        line(
            "fence",
            format!(
                "{}  {} since {}",
                fence.id,
                fence.subject,
                since(fence.since)
            ),
        );
    }
    for (of, none) in [
        ("running", moment.running.is_empty()),
        ("lease", moment.leases.is_empty()),
        ("approval", moment.approvals.is_empty()),
        ("fence", moment.fences.is_empty()),
    ] {
        if none {
            line(of, "none".to_owned());
        }
    }
    text.trim_end().to_owned()
}
