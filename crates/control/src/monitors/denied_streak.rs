//! An agent that tries one door after another: refusals in a row, of different tools or for different reasons.

use std::collections::HashSet;
use std::time::Duration;

use bailiwick_core::Timestamp;
use bailiwick_core::event::{Event, EventType};
use bailiwick_core::id::TaskId;
use bailiwick_core::risk::Risk;

use super::window::Window;
use super::{Detector, Effect, Signal};

/// Refusals count for so long.
const WITHIN: Duration = Duration::from_mins(10);
/// So many of at least [`KINDS`] kinds raise the risk.
const STREAK: usize = 5;
/// Different pairs of tool and code.
const KINDS: usize = 3;
/// So many, of whatever kind, have the process fenced.
const FLOOD: usize = 20;

/// Refusals of each task.
pub(super) struct DeniedStreak(Window<TaskId, (String, String)>);

impl Default for DeniedStreak {
    fn default() -> Self {
        Self(Window::new(WITHIN))
    }
}

impl Detector for DeniedStreak {
    fn step(&mut self, at: Timestamp, event: &Event) -> Option<Signal> {
        if !matches!(
            event.kind,
            EventType::ToolRefused | EventType::EgressRefused
        ) {
            return None;
        }
        let task = event.task.as_ref()?.id;
        let tool = event.action.as_ref().map(|action| {
            let part = |name: Option<String>| name.unwrap_or_default();
            let server = part(action.server.as_ref().map(ToString::to_string));
            let tool = part(action.tool.as_ref().map(ToString::to_string));
            format!("{server}/{tool}")
        });
        let code = event.outcome.as_ref().and_then(|it| it.code.clone());
        let kind = (tool.unwrap_or_default(), code.unwrap_or_default());
        let refused = self.0.add(&task, at, kind);
        let kinds: HashSet<_> = refused.iter().map(|(_, kind)| kind).collect();
        let (count, kinds) = (refused.len(), kinds.len());
        let instance = event.agent.as_ref().and_then(|agent| agent.instance);
        let effect = match instance {
            Some(instance) if count >= FLOOD => Effect::Suspend(Some(task), instance),
            _ if count >= STREAK && kinds >= KINDS => Effect::Raise(task, Risk::High),
            _ => return None,
        };
        Some(Signal {
            detector: "denied_streak",
            effect,
            why: format!("{count} refusals of {kinds} kinds within 10 minutes"),
            owner: event.owner.clone(),
            event: event.id,
        })
    }

    fn forget(&mut self, task: TaskId) {
        self.0.forget(&task);
    }
}
