//! Lines: how one is begun, what is told below it or along with it, and what was decided.

use bailiwick_core::decision::Outcome as Decided;
use bailiwick_core::event::{Event, EventType};

use super::{Line, Place, Teller, Verdict};
use crate::timeline::Placed;
use crate::timeline::phrase::{changes, size};

impl<'a> Teller<'a> {
    pub(super) fn line(&mut self, placed: &'a Placed, what: &str, detail: Vec<String>) {
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

    pub(super) fn below(&mut self, placed: &'a Placed, what: &str, detail: Vec<String>) {
        self.line(placed, what, detail);
        if let Some(line) = self.lines.last_mut() {
            line.below = true;
            line.who = String::new();
            line.verdict = None;
        }
    }

    /// Tells an event along with the last line.
    pub(super) fn with(&mut self, placed: &Placed) {
        self.told.insert(placed.id());
        if let Some(line) = self.lines.last_mut() {
            line.events.push(place(placed));
        }
    }

    pub(super) fn by(&mut self, who: &str) {
        if let Some(line) = self.lines.last_mut() {
            who.clone_into(&mut line.who);
        }
    }

    pub(super) fn add_detail(&mut self, detail: String) {
        if let Some(line) = self.lines.last_mut() {
            line.detail.push(detail);
        }
    }

    pub(super) fn alarm(&mut self) {
        if let Some(line) = self.lines.last_mut() {
            line.alarm = true;
        }
    }

    pub(super) fn after(&self, placed: &Placed) -> u64 {
        u64::try_from(placed.at().since(self.start).as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn value(&self, placed: &Placed, path: &str) -> Option<String> {
        self.words.revealed.get(&placed.id())?.get(path).cloned()
    }

    pub(super) fn reason(&self, placed: &Placed) -> Option<String> {
        let reason = self.value(placed, "/reason")?;
        (!reason.trim().is_empty()).then(|| format!("“{reason}”"))
    }

    /// A sealed value if it was opened, else how large it is.
    pub(super) fn sealed(&self, placed: &Placed, path: &str, name: &str) -> Option<String> {
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
