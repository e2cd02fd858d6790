//! The lines of a story: who did what, what was decided, how it ended, and where that stands on record. What belongs to one step is one
//! line or stands right below it: result below intent, the question and its answer below the held call, what a revocation reached below it.

mod authority;
mod calls;
mod lines;

use std::collections::{BTreeMap, HashMap, HashSet};

use bailiwick_core::decision::Outcome as Decided;
use bailiwick_core::event::{Event, EventType, ParentRole, TaskRef};
use bailiwick_core::id::{ApprovalId, EventId, LeaseId, TaskId};
use bailiwick_core::{Effect, Timestamp};
use serde::Serialize;

use super::names::Names;
use super::{Mark, People, Placed, Revealed, Timeline};

/// What is known beyond the leaves.
#[derive(Debug, Clone, Default)]
pub struct Words {
    /// Opened values.
    pub revealed: Revealed,
    /// Names of accounts and pseudonyms.
    pub people: People,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// Milliseconds since the first event of the story.
    pub after_ms: u64,
    /// Whether it belongs to the line above.
    pub below: bool,
    /// Who; empty below another line.
    pub who: String,
    /// What they did.
    pub what: String,
    /// What it does to the world.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// The particulars.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
    /// What was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Whether it calls for attention: cut, failed, unknown, revoked.
    pub alarm: bool,
    /// The events that say so.
    pub events: Vec<Place>,
}

/// A decision in one word and its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Allow, deny or step-up.
    pub outcome: Decided,
    /// The policy or check that it rests on; for a refusal that no policy made, its code.
    pub source: String,
}

/// Where an event stands on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The event.
    pub id: EventId,
    /// Its log.
    pub origin: String,
    /// Its place there.
    pub index: u64,
    /// Whether it is in the signed tree.
    pub proof: Mark,
}

/// Tells the story.
pub fn tell(timeline: &Timeline, words: &Words) -> Vec<Line> {
    let mut teller = Teller::new(timeline, words);
    for placed in &timeline.events {
        if !teller.told.contains(&placed.id()) {
            teller.event(placed);
        }
    }
    teller.lines
}

struct Teller<'a> {
    timeline: &'a Timeline,
    words: &'a Words,
    names: Names<'a>,
    start: Timestamp,
    results: HashMap<EventId, &'a Placed>,
    /// Events of an approval, by type.
    approvals: HashMap<(ApprovalId, EventType), &'a Placed>,
    /// Events of a lease, by type.
    leases: HashMap<(LeaseId, EventType), &'a Placed>,
    reached: HashMap<EventId, &'a Placed>,
    asked: HashMap<EventId, &'a Placed>,
    last: BTreeMap<TaskId, TaskRef>,
    ended: HashSet<TaskId>,
    told: HashSet<EventId>,
    lines: Vec<Line>,
}

impl<'a> Teller<'a> {
    fn new(timeline: &'a Timeline, words: &'a Words) -> Self {
        let mut teller = Self {
            timeline,
            words,
            names: Names::of(timeline, &words.people),
            start: timeline.events.first().map(Placed::at).unwrap_or_default(),
            results: timeline.results(),
            approvals: HashMap::new(),
            leases: HashMap::new(),
            reached: HashMap::new(),
            asked: HashMap::new(),
            last: BTreeMap::new(),
            ended: HashSet::new(),
            told: HashSet::new(),
            lines: Vec::new(),
        };
        for placed in &timeline.events {
            let (event, kind) = (&placed.leaf.event, placed.kind());
            if let Some(approval) = &event.approval {
                teller
                    .approvals
                    .entry((approval.id, kind))
                    .or_insert(placed);
            }
            if let Some(lease) = &event.lease {
                teller.leases.entry((lease.id, kind)).or_insert(placed);
            }
            match (kind, event.cause) {
                (EventType::FenceReached, Some(fence)) => {
                    teller.reached.entry(fence).or_insert(placed);
                }
                (EventType::ApprovalRequested, _) => {
                    let held = event
                        .parents
                        .iter()
                        .filter(|parent| parent.role == ParentRole::Trigger);
                    for parent in held {
                        teller.asked.entry(parent.id).or_insert(placed);
                    }
                }
                (EventType::TaskEnded, _) => {
                    teller.ended.extend(event.task.as_ref().map(|task| task.id));
                }
                _ => {}
            }
        }
        teller
    }

    fn event(&mut self, placed: &'a Placed) {
        let event = &placed.leaf.event;
        match event.kind {
            EventType::TaskOpened => self.opened(placed),
            EventType::TaskChanged => self.line(placed, "changed the task", Vec::new()),
            EventType::TaskEnded => self.task_ended(placed),
            EventType::ToolIntent
            | EventType::ToolHeld
            | EventType::ToolRefused
            | EventType::EgressIntent
            | EventType::EgressRefused => {
                self.call(placed);
            }
            EventType::ToolResult | EventType::EgressResult => self.stray_result(placed),
            EventType::ApprovalRequested => {
                let detail = approval(event).into_iter().collect();
                self.line(placed, "asked for a person's approval", detail);
            }
            EventType::ApprovalAnswered => self.answered(placed),
            EventType::ApprovalConsumed => {
                let detail = approval(event).into_iter().collect();
                self.line(placed, "used an approval", detail);
            }
            EventType::ApprovalClosed => {
                let state = after(event).unwrap_or("closed").to_owned();
                let detail = approval(event).into_iter().collect();
                self.line(placed, &format!("approval {state}"), detail);
            }
            EventType::LeaseIntent | EventType::LeaseActive => self.leased(placed),
            EventType::LeaseRevoking | EventType::LeaseDead => self.taken_back(placed),
            EventType::TokenIssued => {
                let server = event.action.as_ref().and_then(|it| it.server.as_ref());
                let detail = server.map(|server| format!("for {server}"));
                self.line(placed, "got a token", detail.into_iter().collect());
            }
            EventType::TokenRefused => self.line(placed, "asked for a token", Vec::new()),
            EventType::CallerRefused => self.line(placed, "came back", Vec::new()),
            EventType::InstanceAttested => {
                let instance = event.agent.as_ref().and_then(|it| it.instance);
                let detail = instance.map(|it| it.to_string()).into_iter().collect();
                self.line(placed, "was attested", detail);
            }
            EventType::InstanceExited => {
                let instance = event.agent.as_ref().and_then(|it| it.instance);
                let detail = instance.map(|it| it.to_string()).into_iter().collect();
                self.line(placed, "process ended", detail);
            }
            EventType::FenceSet => self.fence(placed),
            EventType::FenceReached => {
                let detail = after(event).map(str::to_owned).into_iter().collect();
                self.line(placed, "revocation took hold", detail);
            }
            EventType::FenceLifted => {
                let subject = after(event).unwrap_or_default().to_owned();
                let detail = self.reason(placed).into_iter().collect();
                self.line(placed, &format!("lifted the fence on {subject}"), detail);
            }
            EventType::LogRestored | EventType::LogRecovered => {
                let what = if event.kind == EventType::LogRestored {
                    "GAP: the log was short of space"
                } else {
                    "GAP: the log's tail was torn"
                };
                let detail = after(event).map(str::to_owned).into_iter().collect();
                self.line(placed, what, detail);
                self.alarm();
            }
            _ => self.line(placed, event.kind.as_str(), Vec::new()),
        }
    }
}

fn after(event: &Event) -> Option<&str> {
    event.change.as_ref()?.after.as_deref()
}

fn approval(event: &Event) -> Option<String> {
    event
        .approval
        .as_ref()
        .map(|approval| approval.id.to_string())
}
