//! A tool's definition changed while a task was using it: what the model read before may have been meant for what comes now.

use std::time::Duration;

use bailiwick_core::Timestamp;
use bailiwick_core::event::{Event, EventType};
use bailiwick_core::id::TaskId;
use bailiwick_core::name::ToolRef;
use bailiwick_core::risk::Risk;

use super::window::Window;
use super::{Detector, Effect, Signal};

/// A call counts for so long.
const WITHIN: Duration = Duration::from_hours(1);

/// Tasks that called each tool.
pub(super) struct ToolDrifted(Window<ToolRef, TaskId>);

impl Default for ToolDrifted {
    fn default() -> Self {
        Self(Window::new(WITHIN))
    }
}

impl Detector for ToolDrifted {
    fn step(&mut self, at: Timestamp, event: &Event) -> Option<Signal> {
        match event.kind {
            EventType::ToolIntent => {
                let (task, action) = (event.task.as_ref()?, event.action.as_ref()?);
                let tool = ToolRef {
                    server: action.server.clone()?,
                    tool: action.tool.clone()?,
                };
                self.0.add(&tool, at, task.id);
                None
            }
            EventType::ToolDrifted => {
                let tool: ToolRef = event.change.as_ref()?.id.parse().ok()?;
                // One signal for the newest of its tasks; the others' next call is refused as of a changed tool in any case.
                let task = self.0.of(&tool, at).last().copied()?;
                Some(Signal {
                    detector: "tool_drifted",
                    effect: Effect::Raise(task, Risk::High),
                    why: "the definition of a tool changed within an hour of a call".to_owned(),
                    owner: event.owner.clone(),
                    event: event.id,
                })
            }
            _ => None,
        }
    }
}
