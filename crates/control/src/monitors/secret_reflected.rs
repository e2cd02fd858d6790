//! A leased value that came back in an answer: whoever answered has it, and hands it on.

use bailiwick_core::Timestamp;
use bailiwick_core::event::{Event, EventType};
use bailiwick_core::risk::Risk;

use super::{Detector, Effect, Signal};

/// Remembers nothing: once is enough.
pub(super) struct SecretReflected;

impl Detector for SecretReflected {
    fn step(&mut self, _: Timestamp, event: &Event) -> Option<Signal> {
        if event.kind != EventType::EgressReflected {
            return None;
        }
        let task = event.task.as_ref()?.id;
        Some(Signal {
            detector: "secret_reflected",
            effect: Effect::Raise(task, Risk::High),
            why: "a leased value stood in an answer and was taken out of it".to_owned(),
            owner: event.owner.clone(),
            event: event.id,
        })
    }
}
