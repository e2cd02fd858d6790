//! Events on their way in: stamped, sealed, in the bytes that will be hashed. Runs in the producer, before the queue.

use std::sync::Arc;

use bailiwick_core::event::{ChangeRef, Event, EventType};
use bailiwick_core::{Clock, Id, Rng};

use crate::hlc::HlcClock;
use crate::leaf::{Leaf, Source};
use crate::record::{Class, RecordError};
use crate::retention::{self, Minimum};
use crate::seal::{self, Keks, Payload};
use crate::tree::leaf_hash;
use crate::wal::batch::{EventFrame, Stored};
use crate::wal::commit::{Announce, Notice};
use crate::wal::queue::Pending;

/// Gives events their stored form: numbered, stamped, sealed.
pub(super) struct Encoder {
    pub(super) node: String,
    pub(super) source: Source,
    pub(super) keks: Arc<Keks>,
    pub(super) payload: Payload,
    pub(super) value_max: usize,
    pub(super) hlc: HlcClock,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Arc<dyn Rng>,
}

impl Encoder {
    /// An encoder of a node; `kept` are the key that wraps event keys and the longest value kept.
    pub(super) fn new(
        node: String,
        source: Source,
        (keks, payload, value_max): (Arc<Keks>, Payload, usize),
        (clock, rng): (Arc<dyn Clock>, Arc<dyn Rng>),
        hlc: HlcClock,
    ) -> Self {
        Self {
            node,
            source,
            keks,
            payload,
            value_max,
            hlc,
            clock,
            rng,
        }
    }

    pub(super) fn encode(&self, mut event: Event, class: Class) -> Result<Pending, RecordError> {
        event.bound();
        let id = event.id;
        let mut values = std::mem::take(&mut event.sealed);
        for value in &mut values {
            value.keep &= self.payload.keeps(value.path);
        }
        let sealed = seal::seal(&self.keks.newest(), &*self.rng, id, &values, self.value_max)?;
        let hlc = self.hlc.tick(&*self.clock);
        let leaf = Leaf {
            v: 1,
            node: self.node.clone(),
            src: self.source.clone(),
            ts: self.clock.wall(),
            hlc,
            event,
            sealed: sealed.commitments,
        };
        let leaf = leaf.encode()?;
        Ok(Pending {
            id,
            class,
            hlc,
            leaf_hash: leaf_hash(&leaf),
            frame: EventFrame::new(Stored {
                leaf: &leaf,
                slot: &sealed.slot,
                sealed: &sealed.sealed,
            }),
            answer: None,
        })
    }
}

/// What the log says of itself, as events.
pub(super) fn announcer(encoder: Arc<Encoder>, origin: Arc<str>) -> Announce {
    Box::new(move |notice| {
        let mut about = ("log", origin.to_string());
        let mut before = None;
        let (kind, after) = match notice {
            Notice::Opened => (EventType::LogOpened, None),
            Notice::Closed { refused } => (
                EventType::LogClosed,
                (refused > 0).then(|| counted(refused)),
            ),
            Notice::Recovered { zeroed } => (
                EventType::LogRecovered,
                Some(format!("zeroed {zeroed} bytes of a torn last write")),
            ),
            Notice::Degraded { reason } => (EventType::LogDegraded, Some(reason)),
            Notice::Restored { refused } => (EventType::LogRestored, Some(counted(refused))),
            Notice::Retention { minimum, due } => {
                about = (retention::KIND, retention::named(minimum));
                let Minimum { leaves, values } = minimum;
                let words = format!("events below {leaves} and values below {values} go on {due}");
                (EventType::LogRetention, Some(words))
            }
            Notice::ScrubFailed { words } => (EventType::LogScrubFailed, Some(words)),
            Notice::Clock(anomaly) => {
                before = Some(anomaly.expected.to_string());
                (EventType::LogClockAnomaly, Some(anomaly.words()))
            }
        };
        let mut event = Event::new(Id::new(&*encoder.clock, &*encoder.rng), kind);
        event.change = Some(ChangeRef {
            kind: about.0.into(),
            id: about.1,
            before,
            after,
        });
        match encoder.encode(event, Class::Narrow) {
            Ok(pending) => Some(pending),
            Err(error) => {
                tracing::error!(%error, kind = kind.as_str(), "the log cannot record its own event");
                None
            }
        }
    })
}

fn counted(refused: u64) -> String {
    format!("{refused} events could only be counted")
}
