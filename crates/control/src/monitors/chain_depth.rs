//! A task that multiplies: many tasks below one root within a short time.

use std::time::Duration;

use bailiwick_core::Timestamp;
use bailiwick_core::event::{Event, EventType};
use bailiwick_core::id::TaskId;
use bailiwick_core::risk::Risk;

use super::window::Window;
use super::{Detector, Effect, Signal};

/// Tasks count for so long.
const WITHIN: Duration = Duration::from_mins(5);
/// More than so many are too many.
const MANY: usize = 20;

/// Tasks below each root.
pub(super) struct ChainDepth(Window<TaskId, TaskId>);

impl Default for ChainDepth {
    fn default() -> Self {
        Self(Window::new(WITHIN))
    }
}

impl Detector for ChainDepth {
    fn step(&mut self, at: Timestamp, event: &Event) -> Option<Signal> {
        let task = event.task.as_ref()?;
        if event.kind != EventType::TaskOpened || task.root == task.id {
            return None;
        }
        // An event may be on record twice.
        if self.0.of(&task.root, at).any(|known| *known == task.id) {
            return None;
        }
        let below = self.0.add(&task.root, at, task.id).len();
        (below > MANY).then(|| Signal {
            detector: "chain_depth",
            effect: Effect::Raise(task.root, Risk::Medium),
            why: format!("{below} tasks below one root within 5 minutes"),
            owner: event.owner.clone(),
            event: event.id,
        })
    }

    fn forget(&mut self, task: TaskId) {
        self.0.forget(&task);
    }
}
