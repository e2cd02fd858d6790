//! Monitors: detectors that follow the record and raise a task's risk when it behaves as none should, which has everything live of it decided
//! again; and tell its owner (08 of the design, *Monitors*).
//!
//! A detector is a pure step over events: same events, same signals. It only raises. What it does is on record as `task.changed` or a fence
//! with its words and the event that set it off, and as `notice.given` for the owner. Decisions never wait for it.

mod apply;
mod chain_depth;
mod denied_streak;
mod impossible_instance;
mod rubber_stamp;
mod secret_reflected;
mod tool_drifted;
mod window;

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use bailiwick_audit::Log;
use bailiwick_audit::read::{Entries, ReadError};
use bailiwick_core::Timestamp;
use bailiwick_core::event::{Event, EventType};
use bailiwick_core::id::{EventId, InstanceId, TaskId};
use bailiwick_core::name::OwnerName;
use bailiwick_core::risk::Risk;

use crate::Control;

/// Events that are read at once.
const BATCH: usize = 1_024;
/// How far back a start looks, so that what was going on when the node stopped still counts.
const LOOK_BACK: Duration = Duration::from_hours(1);
/// Events that a start looks back at most.
const MAX_BACK: u64 = 100_000;
/// Things that detectors which only observe remember to have told; beyond it they tell them again.
const MAX_TOLD: usize = 10_000;
/// Wait after a round that failed.
const RETRY: Duration = Duration::from_secs(1);

/// What a detector does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The task's risk is at least this from now on.
    Raise(TaskId, Risk),
    /// That, and the process is fenced.
    Suspend(Option<TaskId>, InstanceId),
    /// Nothing but the owner being told.
    Tell,
}

/// A detector fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Which.
    pub detector: &'static str,
    /// What it does.
    pub effect: Effect,
    /// What it saw, in words without anything an agent wrote.
    pub why: String,
    /// Whom it concerns, as far as the event says.
    pub owner: Option<OwnerName>,
    /// The event that set it off.
    pub event: EventId,
}

/// One thing that is watched for.
trait Detector: Send {
    /// Takes the next event.
    fn step(&mut self, at: Timestamp, event: &Event) -> Option<Signal>;

    /// A person looked at the task: what it did before does not count any more.
    fn forget(&mut self, _: TaskId) {}
}

/// Names of the detectors.
pub const NAMES: [&str; 6] = [
    "denied_streak",
    "secret_reflected",
    "chain_depth",
    "impossible_instance",
    "tool_drifted",
    "rubber_stamp",
];

/// Detectors that do less than they could; each name is one of [`NAMES`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restraint {
    /// They tell the owner, once of each thing, and raise nothing.
    pub observe: BTreeSet<String>,
    /// They do not look.
    pub off: BTreeSet<String>,
}

/// All detectors, with what they remember.
pub struct Detectors {
    watching: Vec<Box<dyn Detector>>,
    observe: BTreeSet<String>,
    /// What was told by those that only observe.
    told: HashSet<(&'static str, Effect)>,
}

impl Detectors {
    /// Those that are not switched off.
    pub fn new(restraint: &Restraint) -> Self {
        let all: [Box<dyn Detector>; NAMES.len()] = [
            Box::new(denied_streak::DeniedStreak::default()),
            Box::new(secret_reflected::SecretReflected),
            Box::new(chain_depth::ChainDepth::default()),
            Box::new(impossible_instance::ImpossibleInstance::default()),
            Box::new(tool_drifted::ToolDrifted::default()),
            Box::new(rubber_stamp::RubberStamp::default()),
        ];
        let watching = NAMES.into_iter().zip(all);
        Self {
            watching: watching
                .filter(|(name, _)| !restraint.off.contains(*name))
                .map(|(_, detector)| detector)
                .collect(),
            observe: restraint.observe.clone(),
            told: HashSet::new(),
        }
    }

    /// Takes the next event of the record.
    pub fn step(&mut self, at: Timestamp, event: &Event) -> Vec<Signal> {
        if let Some(task) = looked_at(event) {
            for detector in &mut self.watching {
                detector.forget(task);
            }
        }
        let watching = self.watching.iter_mut();
        let signals: Vec<Signal> = watching
            .filter_map(|detector| detector.step(at, event))
            .collect();
        signals
            .into_iter()
            .filter_map(|signal| self.restrained(signal))
            .collect()
    }

    /// What is left of a signal whose detector only observes: nothing if that was told before.
    fn restrained(&mut self, signal: Signal) -> Option<Signal> {
        if !self.observe.contains(signal.detector) {
            return Some(signal);
        }
        if self.told.len() >= MAX_TOLD {
            self.told.clear();
        }
        let told = self.told.insert((signal.detector, signal.effect));
        told.then(|| Signal {
            effect: Effect::Tell,
            why: format!("observed only: {}", signal.why),
            ..signal
        })
    }
}

/// The task whose risk a person set.
fn looked_at(event: &Event) -> Option<TaskId> {
    let by_a_person = event.actor.as_deref().is_some_and(|actor| actor != SYSTEM);
    let risk = event
        .action
        .as_ref()
        .is_some_and(|action| action.op == "tasks.risk");
    let task = event.task.as_ref()?;
    (event.kind == EventType::TaskChanged && by_a_person && risk).then_some(task.id)
}

/// As the record names the node itself.
const SYSTEM: &str = "system";

impl Control {
    /// Follows the record until `stop`.
    pub async fn monitor(&self, log: &Log, restraint: &Restraint, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut grown = log.watch();
        let mut detectors = Detectors::new(restraint);
        let since = self.now().minus(LOOK_BACK);
        let mut entries = log.read(log.size().saturating_sub(MAX_BACK));
        loop {
            grown.mark_unchanged();
            // None: the node is stopping.
            let Some((reader, read)) = batch(entries).await else {
                return;
            };
            let position = reader.position();
            entries = reader;
            let failed = match read {
                Ok(events) => {
                    let more = !events.is_empty();
                    for (at, event) in events {
                        if at >= since {
                            self.watched(&mut detectors, at, &event).await;
                        }
                    }
                    if more {
                        continue;
                    }
                    false
                }
                Err(error) => {
                    tracing::error!(%error, "monitors could not read the record");
                    entries = log.read(position);
                    true
                }
            };
            let wait = async {
                if failed {
                    tokio::time::sleep(RETRY).await;
                } else if grown.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = &mut stop => return,
                () = wait => {}
            }
        }
    }

    /// Shows an event to all detectors. A signal that cannot be carried out is told in the node's log, and the next one may.
    async fn watched(&self, detectors: &mut Detectors, at: Timestamp, event: &Event) {
        for signal in detectors.step(at, event) {
            if let Err(problem) = self.signalled(&signal).await {
                tracing::error!(
                    detector = signal.detector,
                    event = %signal.event,
                    problem = %problem,
                    "a monitor fired and could not be heeded"
                );
            }
        }
    }
}

/// Events with their times.
type Read = Result<Vec<(Timestamp, Event)>, ReadError>;

/// The next events, at most [`BATCH`], and the reader for those after them.
async fn batch(mut entries: Entries) -> Option<(Entries, Read)> {
    let read = tokio::task::spawn_blocking(move || {
        let next = entries.by_ref().take(BATCH);
        let events = next.map(|entry| {
            let leaf = entry?.parse()?;
            Ok((leaf.ts, leaf.event))
        });
        let events = events.collect::<Result<Vec<_>, ReadError>>();
        (entries, events)
    });
    match read.await {
        Ok(read) => Some(read),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => None,
        },
    }
}

#[cfg(test)]
mod tests;
