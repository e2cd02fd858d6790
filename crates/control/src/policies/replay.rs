//! The decisions of a stretch of time under a proposed bundle: which calls would have been decided otherwise, before it is published.
//!
//! Sealed inputs are opened inside the node, once that is on record; only decisions and counts leave it.

use bailiwick_audit::Log;
use bailiwick_core::Digest;
use bailiwick_policy::Tally;
use serde::Serialize;

use super::compare::stopped;
use super::past::again;
use super::walk::{Met, Window};
use super::{BundleRef, PublishError};
use crate::{Actor, Control, Operation};

/// What a replay found.
#[derive(Debug, Clone, Serialize)]
pub struct Replayed {
    /// Digest of the proposed bundle.
    pub bundle: Digest,
    /// Decisions about calls in the window, of whatever origin.
    pub decisions: u64,
    /// Of these, refused before policy was asked: no bundle changes them.
    pub before_policy: u64,
    /// Of these, not replayable because input or arguments were not kept, or were erased.
    pub unkept: u64,
    /// Of these, not replayable because their own bundle decides otherwise by now: agents, servers or tools have changed since.
    pub drifted: u64,
    /// False if it stopped at [`super::MAX_DECISIONS`] or [`super::MAX_TIME`]: then a narrower window tells more.
    pub complete: bool,
    /// What differs, by agent, tool and effect.
    #[serde(flatten)]
    pub tally: Tally,
}

/// What one thread counted.
#[derive(Default)]
struct Part {
    before_policy: u64,
    unkept: u64,
    drifted: u64,
    tally: Tally,
}

impl Control {
    /// Makes the decisions of a window again under `bundle`. One replay runs at a time.
    pub async fn replay_policy(
        &self,
        actor: &Actor,
        log: &Log,
        bundle: BundleRef,
        window: Window,
    ) -> Result<Replayed, PublishError> {
        actor.may(Operation::WritePolicy)?;
        let source = self.source_of(bundle).await?;
        let registry = self.registry().await?;
        let reason = format!("replay under {}", source.digest);
        let permitted = self
            .walk(log, &actor.on_record(), (window, &reason))
            .await?;
        let work = move || -> Result<Replayed, PublishError> {
            let candidate = source.compile(&registry)?;
            let walk = permitted.begin(&registry);
            let passed = walk.through(|part: &mut Part, _, met| match met {
                Met::Ended => {}
                Met::BeforePolicy => part.before_policy += 1,
                Met::Unkept => part.unkept += 1,
                Met::Drifted(_) => part.drifted += 1,
                Met::Decision(made) => part.tally.merge(again(&candidate, *made)),
            })?;
            let mut whole = Part::default();
            for part in passed.parts {
                whole.before_policy += part.before_policy;
                whole.unkept += part.unkept;
                whole.drifted += part.drifted;
                whole.tally.merge(part.tally);
            }
            Ok(Replayed {
                bundle: candidate.version(),
                decisions: passed.decisions,
                before_policy: whole.before_policy,
                unkept: whole.unkept,
                drifted: whole.drifted,
                complete: passed.complete,
                tally: whole.tally,
            })
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| stopped("a replay"))?
    }
}
