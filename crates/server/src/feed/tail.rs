//! The newest changes of the store, ready to be sent: most points are a few changes behind, and none of them has to read the store.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bailiwick_core::change::{Change, ChangeBody};
use bailiwick_core::definition::ToolState;
use bailiwick_core::feed::MAX_CHANGES;
use bailiwick_core::instance::InstanceState;
use bailiwick_core::task::TaskState;
use bailiwick_store::{Observer, StoreError};
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;

/// Changes kept. Whoever is further behind is answered from the store.
pub(super) const MAX_KEPT: usize = 2_048;

/// What is new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct News {
    /// The newest change.
    pub head: u64,
    /// The newest one that takes something away.
    pub narrowed: u64,
}

/// Follows the store.
pub struct Tail {
    kept: Mutex<VecDeque<Arc<Kept>>>,
    news: watch::Sender<News>,
    /// Until when everything that others committed is known; none where nobody else does.
    told: Option<watch::Sender<Duration>>,
}

struct Kept {
    change: Change,
    line: OnceLock<Bytes>,
}

impl Tail {
    /// One that has seen nothing yet, of a store that others may write to.
    pub fn new(shared: bool) -> Self {
        Self {
            kept: Mutex::default(),
            news: watch::Sender::default(),
            told: shared.then(watch::Sender::default),
        }
    }

    /// Waits until everything that was committed until `asked`, an instant of the monotonic clock, is known here.
    pub async fn knows(&self, asked: Duration) {
        if let Some(told) = &self.told {
            // It cannot be closed: the sender is here.
            let _ = told.subscribe().wait_for(|told| *told >= asked).await;
        }
    }

    /// The store ended here at least when this was registered with it.
    pub fn begins(&self, head: u64) {
        self.news.send_if_modified(|news| {
            let before = news.head;
            news.head = news.head.max(head);
            news.head != before
        });
    }

    /// What is new.
    pub fn news(&self) -> News {
        *self.news.borrow()
    }

    /// Follows what is new.
    pub fn follow(&self) -> watch::Receiver<News> {
        self.news.subscribe()
    }

    /// The changes above this one, [`MAX_CHANGES`] at most; none if some of them are not kept.
    pub fn after(&self, applied: u64) -> Option<Bytes> {
        let kept: Vec<Arc<Kept>> = {
            let all = self.lock();
            let skip = usize::try_from(self.skip(&all, applied)?).ok()?;
            all.iter().skip(skip).take(MAX_CHANGES).cloned().collect()
        };
        let mut lines = Vec::new();
        for one in kept {
            lines.extend_from_slice(one.line()?);
        }
        Some(Bytes::from(lines))
    }

    /// Whether all changes above this one are kept.
    pub fn continues(&self, applied: u64) -> bool {
        self.skip(&self.lock(), applied).is_some()
    }

    /// How many of the kept changes are not above this one; none if one that is above is not kept.
    fn skip(&self, kept: &VecDeque<Arc<Kept>>, applied: u64) -> Option<u64> {
        match kept.front() {
            Some(first) => applied.saturating_add(1).checked_sub(first.change.seq),
            None => (applied == self.news().head).then_some(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn line(&self) -> Option<&Bytes> {
        if let Some(line) = self.line.get() {
            return Some(line);
        }
        let line = lines(std::iter::once(&self.change)).ok()?;
        Some(self.line.get_or_init(|| line))
    }
}

impl Observer for Tail {
    fn committed(&self, changes: &[Change]) {
        {
            let mut kept = self.lock();
            kept.extend(changes.iter().map(|change| {
                Arc::new(Kept {
                    change: change.clone(),
                    line: OnceLock::new(),
                })
            }));
            let over = kept.len().saturating_sub(MAX_KEPT);
            kept.drain(..over);
        }
        let narrowed = changes.iter().rev().find(|change| narrows(&change.body));
        self.news.send_modify(|news| {
            news.head = changes.last().map_or(news.head, |newest| newest.seq);
            news.narrowed = narrowed.map_or(news.narrowed, |change| change.seq);
        });
    }

    fn told_until(&self, asked: Duration) {
        if let Some(told) = &self.told {
            told.send_replace(asked);
        }
    }
}

/// One JSON document a line.
pub(super) fn lines<'a, T: Serialize + 'a>(
    all: impl Iterator<Item = &'a T>,
) -> Result<Bytes, StoreError> {
    let mut lines = Vec::new();
    for one in all {
        serde_json::to_writer(&mut lines, one)
            .map_err(|error| StoreError::Defect(format!("a change does not serialise: {error}")))?;
        lines.push(b'\n');
    }
    Ok(Bytes::from(lines))
}

/// Whether a change takes something away, so that no point may learn of it late. What only adds may wait for company.
fn narrows(body: &ChangeBody) -> bool {
    match body {
        ChangeBody::Fence(_)
        | ChangeBody::AgentRemoved(_)
        | ChangeBody::ServerRemoved(_)
        | ChangeBody::ToolRemoved(_)
        | ChangeBody::Policy(_)
        | ChangeBody::Rollout(_)
        | ChangeBody::TokenKeys(_)
        // What an item carries holds back who reads it, as what a task carries does the task.
        | ChangeBody::Item(_)
        | ChangeBody::Evidence(_) => true,
        ChangeBody::Agent(agent) => !agent.enabled,
        ChangeBody::Instance(instance) => instance.state != InstanceState::Live,
        ChangeBody::Task(task) => task.state != TaskState::Open || !task.labels.is_empty(),
        ChangeBody::Tool(tool) => tool.state != ToolState::Approved,
        ChangeBody::Server(_) => false,
    }
}
