//! Authority: tasks opened and ended, credentials leased and taken back, what was revoked.

use bailiwick_core::Timestamp;
use bailiwick_core::event::EventType;

use super::{Teller, after};
use crate::timeline::Placed;
use crate::timeline::phrase::{counts, offset, span};

impl<'a> Teller<'a> {
    pub(super) fn opened(&mut self, placed: &'a Placed) {
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

    pub(super) fn task_ended(&mut self, placed: &'a Placed) {
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

    pub(super) fn leased(&mut self, placed: &'a Placed) {
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

    pub(super) fn taken_back(&mut self, placed: &'a Placed) {
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

    pub(super) fn fence(&mut self, placed: &'a Placed) {
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
}
