//! One instance with two digests of code: it is not the process that was attested.

use std::time::Duration;

use bailiwick_core::event::Event;
use bailiwick_core::id::InstanceId;
use bailiwick_core::{Digest, Timestamp};

use super::window::Window;
use super::{Detector, Effect, Signal};

/// A digest counts for so long after it was seen last: as long as a task lives.
const WITHIN: Duration = Duration::from_hours(24);

/// Digests of each instance.
pub(super) struct ImpossibleInstance(Window<InstanceId, Digest>);

impl Default for ImpossibleInstance {
    fn default() -> Self {
        Self(Window::new(WITHIN))
    }
}

impl Detector for ImpossibleInstance {
    fn step(&mut self, at: Timestamp, event: &Event) -> Option<Signal> {
        let agent = event.agent.as_ref()?;
        let (instance, digest) = (agent.instance?, agent.code_digest?);
        let (mut first, mut same) = (true, false);
        for known in self.0.of(&instance, at) {
            first = false;
            same |= *known == digest;
        }
        if same {
            return None;
        }
        self.0.add(&instance, at, digest);
        (!first).then(|| Signal {
            detector: "impossible_instance",
            effect: Effect::Suspend(event.task.as_ref().map(|task| task.id), instance),
            why: "one instance with two digests of code".to_owned(),
            owner: event.owner.clone(),
            event: event.id,
        })
    }
}
