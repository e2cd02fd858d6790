//! The lines of a story: who did what, what was decided, how it ended, and where that stands on record. What belongs to one step is one
//! line or stands right below it: result below intent, the question and its answer below the held call, what a revocation reached below it.

use std::collections::{BTreeMap, HashMap, HashSet};

use bailiwick_core::decision::Outcome as Decided;
use bailiwick_core::event::{Event, EventType, ParentRole, TaskRef};
use bailiwick_core::id::{ApprovalId, EventId, LeaseId, TaskId};
use bailiwick_core::{Effect, Timestamp};
use serde::Serialize;

use super::names::Names;
use super::phrase::{changes, counts, ending, offset, size, span};
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

    fn opened(&mut self, placed: &'a Placed) {
        let event = &placed.leaf.event;
        let Some(task) = &event.task else {
            return self.line(placed, "opened a task", Vec::new());
        };
        let agent = self.names.acting(task.id).unwrap_or_default().to_owned();
        let mut detail = Vec::new();
        let what = match task.parent {
            None => "opened the task".to_owned(),
            Some(_) => format!("delegated to {agent}"),
        };
        detail.push(match self.value(placed, "/request") {
            Some(request) => request,
            None => "request sealed".to_owned(),
        });
        if task.parent.is_some() {
            detail.push(task.id.to_string());
        }
        if let Some(until) = after(event).and_then(|after| after.split_once(" until ")) {
            let until = until.1.parse::<Timestamp>();
            detail.extend(until.map(|until| format!("at most {}", span(until.since(placed.at())))));
        }
        self.line(placed, &what, detail);
        if let Some(parent) = task.parent
            && let Some(agent) = self.names.acting(parent)
            && event.actor.as_deref() != Some("system")
            && let Some(line) = self.lines.last_mut()
            && line.who != agent
        {
            line.detail.push(format!("below {agent}"));
        }
    }

    fn task_ended(&mut self, placed: &'a Placed) {
        let event = &placed.leaf.event;
        let state = after(event).unwrap_or("ended").to_owned();
        let root = event
            .task
            .as_ref()
            .is_none_or(|task| task.id == self.timeline.root);
        let what = if root {
            format!("task {state}")
        } else {
            format!("sub-task {state}")
        };
        let agent = event.task.as_ref().and_then(|it| self.names.acting(it.id));
        let detail = agent.filter(|_| !root).map(|agent| format!("of {agent}"));
        self.line(placed, &what, detail.into_iter().collect());
        if state == "revoked" {
            self.alarm();
        }
    }

    fn call(&mut self, placed: &'a Placed) {
        let event = &placed.leaf.event;
        let action = event.action.as_ref();
        let what = match action {
            Some(action) => match (&action.server, &action.tool) {
                (Some(server), Some(tool)) => format!("{server}/{tool}"),
                (Some(server), None) => format!("{server} {}", action.op),
                _ => action.op.clone(),
            },
            None => event.kind.as_str().to_owned(),
        };
        let approved = event.kind.result().is_some() && event.approval.is_some();
        let mut detail: Vec<String> = if approved {
            vec!["exactly as approved".to_owned()]
        } else {
            self.sealed(placed, "/args", "args").into_iter().collect()
        };
        let duties = event.decision.iter().flat_map(|it| &it.obligations);
        detail.extend(duties.map(|duty| format!("{}:{}", duty.kind, duty.argument)));
        self.line(placed, &what, detail);
        if let Some(line) = self.lines.last_mut() {
            line.effect = action.and_then(|action| action.effect);
        }
        if event.kind.result().is_some() {
            self.ended_as(placed);
        }
        if let Some(asked) = self.asked.get(&placed.id()).copied() {
            let detail = approval(&asked.leaf.event).into_iter().collect();
            self.below(asked, "waits for a person", detail);
        }
    }

    /// How a call ended, below it.
    fn ended_as(&mut self, intent: &'a Placed) {
        let Some(result) = self.results.get(&intent.id()).copied() else {
            let task = intent.leaf.event.task.as_ref().map(|task| task.id);
            let over = task.is_some_and(|task| self.ended.contains(&task));
            let what = if over {
                "OUTCOME UNKNOWN: no result is on record"
            } else {
                "no result yet"
            };
            self.lines.push(Line {
                at: intent.at(),
                after_ms: self.after(intent),
                below: true,
                who: String::new(),
                what: what.to_owned(),
                effect: None,
                detail: Vec::new(),
                verdict: None,
                alarm: over,
                events: Vec::new(),
            });
            return;
        };
        let (what, alarm) = ending(&result.leaf.event);
        let detail = self.value(result, "/result").into_iter().collect();
        self.below(result, &what, detail);
        if alarm {
            self.alarm();
        }
    }

    /// A result whose intent is not among the events.
    fn stray_result(&mut self, placed: &'a Placed) {
        let (what, _) = ending(&placed.leaf.event);
        self.line(
            placed,
            &format!("result of a call that is not here: {what}"),
            Vec::new(),
        );
        self.alarm();
    }

    fn answered(&mut self, placed: &'a Placed) {
        let event = &placed.leaf.event;
        let what = match after(event) {
            Some("approved") => "approved exactly this call",
            Some("denied") => "refused the call",
            _ => "approved; others must, too",
        };
        let action = event.action.as_ref();
        let tool =
            action.and_then(|it| Some(format!("{}/{}", it.server.as_ref()?, it.tool.as_ref()?)));
        let mut detail: Vec<String> = tool.into_iter().collect();
        detail.extend(self.reason(placed));
        self.line(placed, what, detail);
        let Some(approval) = event.approval.as_ref().map(|approval| approval.id) else {
            return;
        };
        let used = self.approvals.get(&(approval, EventType::ApprovalConsumed));
        if after(event) == Some("approved")
            && let Some(used) = used.copied()
        {
            let shown = self.value(placed, "/call_digest");
            let same = shown.is_some() && shown == self.value(used, "/call_digest");
            let detail = if same {
                vec!["shown = sent".to_owned()]
            } else {
                Vec::new()
            };
            self.below(used, "used up by it", detail);
        }
    }

    fn leased(&mut self, placed: &'a Placed) {
        let event = &placed.leaf.event;
        let Some(lease) = &event.lease else {
            return self.line(placed, event.kind.as_str(), Vec::new());
        };
        let what = format!("leased {}", lease.credential);
        self.line(placed, &what, vec![lease.id.to_string()]);
        let active = self
            .leases
            .get(&(lease.id, EventType::LeaseActive))
            .copied();
        match active {
            Some(active) if active.id() != placed.id() => self.with(active),
            Some(_) => {}
            None => self.add_detail("never became active".to_owned()),
        }
        self.by("broker");
    }

    fn taken_back(&mut self, placed: &'a Placed) {
        let event = &placed.leaf.event;
        let Some(lease) = &event.lease else {
            return self.line(placed, event.kind.as_str(), Vec::new());
        };
        let mut detail = vec![lease.id.to_string()];
        let why = event
            .outcome
            .as_ref()
            .and_then(|outcome| outcome.code.clone());
        detail.extend(why);
        self.line(placed, &format!("took back {}", lease.credential), detail);
        let dead = self.leases.get(&(lease.id, EventType::LeaseDead)).copied();
        if let Some(dead) = dead {
            if dead.id() != placed.id() {
                self.with(dead);
            }
            self.add_detail(format!("verified dead {}", offset(self.after(dead))));
        } else {
            self.add_detail("NOT verified dead".to_owned());
            self.alarm();
        }
        self.by("broker");
    }

    fn fence(&mut self, placed: &'a Placed) {
        let event = &placed.leaf.event;
        let subject = after(event).unwrap_or_default();
        let what = match subject.split_once('/') {
            Some(("task", id)) if id == self.timeline.root.to_string() => {
                "revoked the task".to_owned()
            }
            _ => format!("revoked {subject}"),
        };
        let detail = self.reason(placed).into_iter().collect();
        self.line(placed, &what, detail);
        self.alarm();
        if let Some(reached) = self.reached.get(&placed.id()).copied() {
            let cut = after(&reached.leaf.event).unwrap_or_default();
            self.below(reached, &format!("cut {}", counts(cut)), Vec::new());
        }
    }

    fn line(&mut self, placed: &'a Placed, what: &str, detail: Vec<String>) {
        let event = &placed.leaf.event;
        self.told.insert(placed.id());
        let mut line = Line {
            at: placed.at(),
            after_ms: self.after(placed),
            below: false,
            who: self.names.who(event),
            what: what.to_owned(),
            effect: None,
            detail,
            verdict: verdict(event),
            alarm: false,
            events: vec![place(placed)],
        };
        if let Some(now) = &event.task {
            let before = self.last.get(&now.id);
            if before.is_none_or(|before| before.version <= now.version) {
                line.detail.extend(
                    before
                        .map(|before| changes(before, now))
                        .unwrap_or_default(),
                );
                self.last.insert(now.id, now.clone());
            }
        }
        self.lines.push(line);
    }

    fn below(&mut self, placed: &'a Placed, what: &str, detail: Vec<String>) {
        self.line(placed, what, detail);
        if let Some(line) = self.lines.last_mut() {
            line.below = true;
            line.who = String::new();
            line.verdict = None;
        }
    }

    /// Tells an event along with the last line.
    fn with(&mut self, placed: &Placed) {
        self.told.insert(placed.id());
        if let Some(line) = self.lines.last_mut() {
            line.events.push(place(placed));
        }
    }

    fn by(&mut self, who: &str) {
        if let Some(line) = self.lines.last_mut() {
            who.clone_into(&mut line.who);
        }
    }

    fn add_detail(&mut self, detail: String) {
        if let Some(line) = self.lines.last_mut() {
            line.detail.push(detail);
        }
    }

    fn alarm(&mut self) {
        if let Some(line) = self.lines.last_mut() {
            line.alarm = true;
        }
    }

    fn after(&self, placed: &Placed) -> u64 {
        u64::try_from(placed.at().since(self.start).as_millis()).unwrap_or(u64::MAX)
    }

    fn value(&self, placed: &Placed, path: &str) -> Option<String> {
        self.words.revealed.get(&placed.id())?.get(path).cloned()
    }

    fn reason(&self, placed: &Placed) -> Option<String> {
        let reason = self.value(placed, "/reason")?;
        (!reason.trim().is_empty()).then(|| format!("“{reason}”"))
    }

    /// A sealed value if it was opened, else how large it is.
    fn sealed(&self, placed: &Placed, path: &str, name: &str) -> Option<String> {
        if let Some(value) = self.value(placed, path) {
            return Some(value);
        }
        let sealed = placed.leaf.sealed.iter().find(|it| it.path == path)?;
        let kept = if sealed.kept { "sealed" } else { "not kept" };
        Some(format!("{name} {}, {kept}", size(sealed.bytes)))
    }
}

fn place(placed: &Placed) -> Place {
    Place {
        id: placed.id(),
        origin: placed.origin.clone(),
        index: placed.index,
        proof: placed.mark.clone(),
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

fn verdict(event: &Event) -> Option<Verdict> {
    let code = || {
        event
            .outcome
            .as_ref()
            .and_then(|outcome| outcome.code.clone())
    };
    let refused = matches!(
        event.kind,
        EventType::ToolRefused
            | EventType::EgressRefused
            | EventType::CallerRefused
            | EventType::TokenRefused
    );
    if event.kind.is_result() {
        return None;
    }
    let Some(decision) = &event.decision else {
        return refused.then(|| Verdict {
            outcome: Decided::Deny,
            source: code().unwrap_or_default(),
        });
    };
    // A person's no, or a call that nobody may make by now, was a step-up to policy.
    if refused && decision.effect != Decided::Deny {
        return Some(Verdict {
            outcome: Decided::Deny,
            source: code().unwrap_or_default(),
        });
    }
    let source = match decision.effect {
        Decided::Allow => decision.policies.first(),
        Decided::Deny | Decided::StepUp => decision.reasons.first(),
    };
    Some(Verdict {
        outcome: decision.effect,
        source: source.cloned().or_else(code).unwrap_or_default(),
    })
}
