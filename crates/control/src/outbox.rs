//! The outbox: events written in the transaction of the change they tell of, carried to the audit log in commit order
//! (06: record, then delete; at least once, same bytes). Values on their way are sealed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bailiwick_audit::{Class, Receipt, RecordError, Recorder};
use bailiwick_core::event::{Event, EventType, SEALED_PATHS, Sealed, SealedClass};
use bailiwick_core::id::{EventId, FenceId};
use bailiwick_core::receipt::Place as OnRecord;
use bailiwick_core::{Code, Fault, Problem, Rng};
use bailiwick_crypto::seal::{Place, Seal};
use bailiwick_store::{Journal, Pending, Settled, Store, StoreError, Tx};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

/// Events carried at once.
const BATCH: usize = 256;
/// First wait after the log refused; doubles to [`MAX_BACKOFF`].
const MIN_BACKOFF: Duration = Duration::from_millis(100);
/// Longest wait between tries.
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// A caller waits at most this long for its events; the change stands, the grant does not leave.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// Domain of the seal for rows of the outbox.
const DOMAIN: &str = "outbox";

/// How far the log has got: every event pushed before ticket `done` was asked for is durable, unless `failure` is set.
#[derive(Debug, Clone)]
struct Progress {
    done: u64,
    failure: Option<Problem>,
}

/// Carries events. Shared by identity, broker and control.
pub struct Outbox {
    store: Store,
    recorder: Arc<dyn Recorder>,
    seal: Arc<Seal>,
    rng: Arc<dyn Rng>,
    asked: AtomicU64,
    work: Notify,
    progress: watch::Sender<Progress>,
}

impl Outbox {
    /// An outbox over a store and a log. [`Self::run`] must be running for anything to settle.
    pub fn new(
        store: Store,
        recorder: Arc<dyn Recorder>,
        seal: Arc<Seal>,
        rng: Arc<dyn Rng>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            recorder,
            seal,
            rng,
            asked: AtomicU64::new(0),
            work: Notify::new(),
            progress: watch::Sender::new(Progress {
                done: 0,
                failure: None,
            }),
        })
    }

    /// Carries events until `stop` resolves, then what is left, once.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut backoff = MIN_BACKOFF;
        loop {
            let failed = self.round().await;
            let pause = async {
                if failed {
                    tokio::time::sleep(backoff).await;
                } else {
                    self.work.notified().await;
                }
            };
            tokio::select! {
                () = &mut stop => break,
                () = pause => {}
            }
            backoff = if failed {
                (backoff * 2).min(MAX_BACKOFF)
            } else {
                MIN_BACKOFF
            };
        }
        self.round().await;
    }

    /// Carries everything that is pending now. True if the log refused.
    async fn round(&self) -> bool {
        let ticket = self.asked.load(Ordering::Acquire);
        let failure = self.drain().await.err();
        if let Some(problem) = &failure {
            tracing::error!(%problem, "events wait in the outbox: the audit log does not take them");
        }
        let failed = failure.is_some();
        self.progress.send_replace(Progress {
            done: ticket,
            failure,
        });
        failed
    }

    async fn drain(&self) -> Result<(), Problem> {
        loop {
            let pending: Vec<Pending> = self
                .store
                .read(|rows| rows.outbox_pending(BATCH))
                .await
                .map_err(|error: StoreError| error.problem())?;
            if pending.is_empty() {
                return Ok(());
            }
            let ids: Vec<EventId> = pending.iter().map(|row| row.event).collect();
            let mut recordings = Vec::with_capacity(pending.len());
            for row in &pending {
                let event = self.open(row)?;
                let class = class_of(event.kind);
                let fence = fence_of(&event);
                recordings.push((fence, self.recorder.record(event, class)));
            }
            // Queued in order above; each resolves when it is durable.
            let mut fences = Vec::new();
            for (fence, recording) in recordings {
                let receipt = recording
                    .await
                    .map_err(|error: RecordError| error.problem())?;
                fences.extend(fence.map(|fence| (fence, receipt)));
            }
            let removed = ids.clone();
            self.store
                .write(move |tx| {
                    for (fence, receipt) in &fences {
                        note_place(tx, *fence, receipt)?;
                    }
                    tx.outbox_done(&removed)
                })
                .await
                .map_err(|error: StoreError| error.problem())?;
        }
    }

    fn open(&self, row: &Pending) -> Result<Event, Problem> {
        let name = row.event.to_string();
        let bytes = self
            .seal
            .unseal(place(&name), &row.bytes)
            .map_err(|error| error.problem())?;
        let damaged = || {
            Problem::new(
                Code::Internal,
                format!("event {name} in the outbox cannot be read"),
                "",
            )
        };
        let kept: Kept = serde_json::from_slice(bytes.expose()).map_err(|_| damaged())?;
        let mut event = kept.event;
        for value in kept.sealed {
            let path = SEALED_PATHS
                .iter()
                .find(|path| **path == value.path)
                .ok_or_else(damaged)?;
            event.sealed.push(Sealed {
                path,
                class: value.class,
                value: value.value,
                keep: value.keep,
            });
        }
        Ok(event)
    }
}

impl Journal for Outbox {
    fn push(&self, tx: &mut dyn Tx, event: &Event) -> Result<(), StoreError> {
        let kept = Kept {
            event: event.clone(),
            sealed: event
                .sealed
                .iter()
                .map(|value| KeptValue {
                    path: value.path.to_owned(),
                    class: value.class,
                    value: value.value.clone(),
                    keep: value.keep,
                })
                .collect(),
        };
        let unusable = |why: String| {
            StoreError::Unavailable(format!("event {} cannot be kept: {why}", event.id))
        };
        let bytes = serde_json::to_vec(&kept).map_err(|error| unusable(error.to_string()))?;
        let name = event.id.to_string();
        let sealed = self
            .seal
            .seal(&*self.rng, place(&name), &bytes)
            .map_err(|error| unusable(error.to_string()))?;
        tx.outbox_push(event.id, &sealed)
    }

    fn settled(&self) -> Settled {
        let ticket = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let mut progress = self.progress.subscribe();
        self.work.notify_one();
        Box::pin(async move {
            let reached = progress.wait_for(|progress| progress.done >= ticket);
            match tokio::time::timeout(MAX_WAIT, reached).await {
                Ok(Ok(progress)) => progress.failure.clone().map_or(Ok(()), Err),
                _ => Err(Problem::new(
                    Code::AuditUnavailable,
                    "the event could not be recorded in time",
                    "Nothing was granted. Look at the node's log and at the space on its data disk.",
                )),
            }
        })
    }
}

/// The fence that an event says was set.
fn fence_of(event: &Event) -> Option<FenceId> {
    let change = event.change.as_ref()?;
    (event.kind == EventType::FenceSet).then(|| change.id.parse().ok())?
}

/// Tells a revocation where its first event stands: its receipt names it.
fn note_place(tx: &mut dyn Tx, fence: FenceId, receipt: &Receipt) -> Result<(), StoreError> {
    let Some(fence) = tx.fence(fence)? else {
        return Ok(());
    };
    if let Some(mut row) = tx.revocation(fence.revocation)?
        && row.event == Some(receipt.event)
    {
        row.audit = Some(OnRecord {
            origin: receipt.origin.to_string(),
            index: receipt.index,
        });
        tx.put_revocation(&row)?;
    }
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct Kept {
    event: Event,
    sealed: Vec<KeptValue>,
}

#[derive(Serialize, Deserialize)]
struct KeptValue {
    path: String,
    class: SealedClass,
    value: Vec<u8>,
    keep: bool,
}

fn place(name: &str) -> Place<'_> {
    Place {
        domain: DOMAIN,
        name,
        version: 1,
    }
}

/// What only narrows authority may use the log's reserve.
fn class_of(kind: EventType) -> Class {
    match kind {
        EventType::FenceSet
        | EventType::FenceReached
        | EventType::TaskEnded
        | EventType::TaskOutlived
        | EventType::InstanceExited
        | EventType::ApprovalClosed
        | EventType::LeaseRevoking
        | EventType::LeaseDead
        | EventType::LeaseOrphaned => Class::Narrow,
        _ => Class::Grant,
    }
}
