//! Somebody who says yes faster than anybody reads.

use std::collections::HashMap;
use std::time::Duration;

use bailiwick_core::Timestamp;
use bailiwick_core::event::{Event, EventType};
use bailiwick_core::id::ApprovalId;

use super::window::Window;
use super::{Detector, Effect, Signal};

/// Answers count for so long.
const WITHIN: Duration = Duration::from_hours(1);
/// So many answers are looked at together.
const MANY: usize = 10;
/// Half of them came sooner than this after the question.
const READING: Duration = Duration::from_secs(3);
/// Questions that are remembered; beyond it they are forgotten together.
const MAX_OPEN: usize = 10_000;

/// When questions were put, and how long each person took.
pub(super) struct RubberStamp {
    asked: HashMap<ApprovalId, Timestamp>,
    took: Window<String, Duration>,
}

impl Default for RubberStamp {
    fn default() -> Self {
        Self {
            asked: HashMap::new(),
            took: Window::new(WITHIN),
        }
    }
}

impl Detector for RubberStamp {
    fn step(&mut self, at: Timestamp, event: &Event) -> Option<Signal> {
        let approval = event.approval.as_ref()?.id;
        match event.kind {
            EventType::ApprovalRequested => {
                if self.asked.len() >= MAX_OPEN {
                    self.asked.clear();
                }
                self.asked.entry(approval).or_insert(at);
                None
            }
            EventType::ApprovalClosed => {
                self.asked.remove(&approval);
                None
            }
            EventType::ApprovalAnswered => {
                let asked = *self.asked.get(&approval)?;
                let who = event.actor.clone()?;
                let answers = self.took.add(&who, at, at.since(asked));
                let mut took: Vec<Duration> = answers.iter().map(|(_, took)| *took).collect();
                took.sort_unstable();
                let median = took.get(took.len() / 2).copied()?;
                // Each tenth answer, so that it is said once for as many.
                let due = took.len() >= MANY && took.len().is_multiple_of(MANY);
                (due && median < READING).then(|| Signal {
                    detector: "rubber_stamp",
                    effect: Effect::Tell,
                    why: format!(
                        "{} answers within an hour, half of them within 3 seconds",
                        took.len()
                    ),
                    owner: event.owner.clone(),
                    event: event.id,
                })
            }
            _ => None,
        }
    }
}
