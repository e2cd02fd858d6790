//! Why a recorded call was decided as it was, and what would allow it: under the bundle of its time, and under the one that is active.
//! An explanation shows argument values, so it is a reveal: on record before anything is opened.

use bailiwick_audit::{Leaf, Log};
use bailiwick_core::event::DecisionRef;
use bailiwick_core::id::EventId;
use bailiwick_core::{Code, Digest, Fault, Problem};
use bailiwick_policy::{Bundle, Case, Explanation, Recorded, StageRefusal};
use serde::Serialize;

use super::compare::stopped;
use super::past::{outcome_of, recorded, stage_refusal};
use super::{BundleRef, PublishError, VersionRef};
use crate::{Actor, Control, Operation};

/// Why a call was decided as it was.
#[derive(Debug, Clone, Serialize)]
pub struct Explained {
    /// The event.
    pub event: EventId,
    /// The decision on record.
    pub decision: DecisionRef,
    /// The code of a refusal.
    pub code: Option<String>,
    /// Under the bundle of its time; none if the call was decided before policy was asked.
    pub then: Option<Grounds>,
    /// Under the bundle that is active now; none where that is the same, or where there is nothing to ask with.
    pub now: Option<Grounds>,
    /// What else there is to know about this explanation; may be empty.
    pub note: String,
}

/// What one bundle says to the call, on the registry as it is.
#[derive(Debug, Clone, Serialize)]
pub struct Grounds {
    /// Digest of the bundle.
    pub bundle: Digest,
    /// Why the stage of the task does not let the call through; then policies were not asked.
    pub stage: Option<String>,
    /// What the policies say.
    #[serde(flatten)]
    pub explanation: Option<Explanation>,
}

impl Control {
    /// Explains the decision at `index` of the log. `reason` goes on record.
    pub async fn explain_decision(
        &self,
        actor: &Actor,
        log: &Log,
        (index, leaf): (u64, Leaf),
        reason: &str,
    ) -> Result<Explained, Problem> {
        actor.may(Operation::Reveal)?;
        let event = leaf.event;
        let decision = event.decision.ok_or_else(|| {
            Problem::new(
                Code::NotFound,
                format!("event {} is no decision about a call", event.id),
                "name a tool.intent, tool.held or tool.refused: bailiwick audit search type=tool",
            )
        })?;
        let mut explained = Explained {
            event: event.id,
            code: event.outcome.and_then(|outcome| outcome.code),
            then: None,
            now: None,
            note: String::new(),
            decision,
        };
        if !leaf.sealed.iter().any(|sealed| sealed.path == "/input") {
            let note = if event.kind.is_of_a_call() {
                "it was decided before policy was asked; the sources of its reasons name the check"
            } else {
                "only decisions about calls keep what they were made on; the event itself tells what this one was about"
            };
            note.clone_into(&mut explained.note);
            return Ok(explained);
        }
        let values = log.reveal(index, &actor.on_record(), reason).await;
        let values = values.map_err(|error| error.problem())?;
        let Some(input) = recorded(&values) else {
            "its arguments were not kept, or its input is of another version"
                .clone_into(&mut explained.note);
            return Ok(explained);
        };
        drop(values);
        let active = self.digest_of(VersionRef::Active).await?;
        if let Some(own) = explained.decision.versions.bundle {
            let grounds = self.grounds(own, input.clone()).await?;
            if grounds.outcome() != Some(outcome_of(&explained.decision)) {
                "agents, servers or tools have changed since: on the registry as it is the bundle of its time decides otherwise"
                    .clone_into(&mut explained.note);
            }
            explained.then = Some(grounds);
        }
        if explained.decision.versions.bundle != Some(active) {
            explained.now = Some(self.grounds(active, input).await?);
        }
        Ok(explained)
    }

    /// Explains how a request that somebody wrote down would be decided by `bundle`, on the registry as it is. Nothing of the record
    /// is looked at.
    pub async fn explain_case(
        &self,
        actor: &Actor,
        bundle: BundleRef,
        case: Case,
    ) -> Result<Grounds, PublishError> {
        actor.may(Operation::WritePolicy)?;
        let source = self.source_of(bundle).await?;
        let registry = self.registry().await?;
        let grounds = tokio::task::spawn_blocking(move || {
            let input = case.recorded(&registry).map_err(|error| error.problem())?;
            let bundle = source.compile(&registry)?;
            Ok(Grounds::of(&bundle, &input))
        });
        grounds.await.map_err(|_| stopped("explaining a request"))?
    }

    async fn grounds(&self, bundle: Digest, input: Recorded) -> Result<Grounds, Problem> {
        let source = self
            .source_of(BundleRef::Version(VersionRef::Digest(bundle)))
            .await?;
        let registry = self.registry().await?;
        let grounds = tokio::task::spawn_blocking(move || {
            let bundle = source.compile(&registry).map_err(|error| error.problem())?;
            Ok(Grounds::of(&bundle, &input))
        });
        grounds
            .await
            .map_err(|_| stopped("explaining a decision"))?
    }
}

impl Grounds {
    fn of(bundle: &Bundle, input: &Recorded) -> Self {
        let stage = stage_refusal(bundle, input);
        Self {
            bundle: bundle.version(),
            explanation: stage.is_none().then(|| bundle.explain_recorded(input)),
            stage: stage.map(|StageRefusal { reason, fix, .. }| format!("{reason}; {fix}")),
        }
    }

    fn outcome(&self) -> Option<bailiwick_core::decision::Outcome> {
        match (&self.stage, &self.explanation) {
            (Some(_), _) => Some(bailiwick_core::decision::Outcome::Deny),
            (None, explanation) => explanation
                .as_ref()
                .map(|explanation| explanation.decision.outcome),
        }
    }
}
