//! A smaller grant for an agent or a workflow, made from what is on record and proved on it (08 of the design, *Right-sizing*).
//!
//! What was allowed or held is read from the record, what is granted is asked of the active bundle in the circumstances that are on
//! record, and the proposal decides every recorded call again. Nothing applies itself: the answer is a file for a bundle.

mod granted;
mod proof;

use std::collections::BTreeSet;

use bailiwick_audit::Log;
use bailiwick_core::decision::Outcome;
use bailiwick_core::event::{Event, EventType};
use bailiwick_core::name::ToolRef;
use bailiwick_core::scope::Draft;
use bailiwick_core::{Code, Digest, Problem};
use bailiwick_crypto::hash::sha256;
use bailiwick_policy::{BundleSource, Past};
use bailiwick_posture::rightsize::{Place, Proposal, Subject, Terms, Usage, guard, propose};
use serde::Serialize;

use super::compare::{Source, stopped};
use super::walk::{Met, Window};
use super::{BundleRef, PublishError, VersionRef};
use crate::{Actor, Control, Operation};
use granted::{Circumstances, granted};
pub use proof::Proof;

/// What to size.
#[derive(Debug, Clone)]
pub struct RightSizing {
    /// Whose authority.
    pub subject: Subject,
    /// On what record.
    pub window: Window,
    /// Tools that stay in any case.
    pub keep: BTreeSet<ToolRef>,
    /// How much has to be on record.
    pub terms: Terms,
}

/// A file to put into a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GuardFile {
    /// Where.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct RightSized {
    /// `agent NAME` or `workflow NAME`.
    pub subject: String,
    /// What is kept and what goes.
    #[serde(flatten)]
    pub proposal: Proposal,
    /// The active bundle, which it was made for.
    pub base: Digest,
    /// The policy that takes away what goes; none if nothing does.
    pub guard: Option<GuardFile>,
    /// The active bundle with that file; its digest.
    pub candidate: Option<Digest>,
    /// A ceiling for the agent, or a scope for its tasks, that holds what is kept and nothing more; of agents alone.
    pub scope: Option<Draft>,
    /// The record decided again under the candidate; none if there is no candidate.
    pub proof: Option<Proof>,
    /// Whether there is a candidate and the proof holds.
    pub proven: bool,
}

/// What one thread gathered.
#[derive(Default)]
struct Part {
    usage: Usage,
    circumstances: Circumstances,
}

impl Control {
    /// Proposes less. It opens sealed inputs, which is on record first; what leaves are names, counts and event ids.
    pub async fn right_size(
        &self,
        actor: &Actor,
        log: &Log,
        asked: RightSizing,
    ) -> Result<RightSized, PublishError> {
        actor.may(Operation::WritePolicy)?;
        let registry = self.registry().await?;
        if let Subject::Agent(name) = &asked.subject
            && !registry.agents.iter().any(|agent| agent.name == *name)
        {
            let message = format!("there is no agent {name}");
            return Err(Problem::new(Code::NotFound, message, "bailiwick agent list").into());
        }
        let base = BundleRef::Version(VersionRef::Active);
        let base = self.source_of(base).await?;
        let text = self.bundle_source(base.digest).await?;
        let reason = format!("right-sizing of {}", asked.subject);
        let permitted = self
            .walk(log, &actor.on_record(), (asked.window, &reason))
            .await?;
        let now = self.now();
        let work = move || {
            let standing = base.compile(&registry)?;
            if let Subject::Workflow(name) = &asked.subject
                && standing.workflows().named(name).is_none()
            {
                let message = format!("the active bundle has no workflow {name}");
                return Err(Problem::new(Code::NotFound, message, "bailiwick policy show").into());
            }
            let walk = permitted.begin(&registry);
            let passed = walk.through(|part: &mut Part, event, met| {
                part.take(&asked.subject, event, met);
            })?;
            let mut whole = Part::default();
            for part in passed.parts {
                whole.usage.merge(part.usage);
                whole.circumstances.merge(part.circumstances);
            }
            let known: BTreeSet<&ToolRef> = registry.tools.iter().map(|tool| &tool.tool).collect();
            whole.usage.retain(|tool| known.contains(tool));
            let granted = granted(&standing, &registry, &whole.circumstances);
            let proposal = propose(&whole.usage, &granted, &asked.keep, &asked.terms, now);
            let scope = match &asked.subject {
                Subject::Agent(_) => scope(&proposal),
                Subject::Workflow(_) => None,
            };
            let mut sized = RightSized {
                subject: asked.subject.to_string(),
                base: base.digest,
                guard: None,
                candidate: None,
                scope,
                proof: None,
                proven: false,
                proposal,
            };
            let Some((file, source)) = candidate(&asked.subject, &sized.proposal, text) else {
                return Ok(sized);
            };
            let digest = sha256(&[&source.canonical()]);
            let compiled = Source::proposed(digest, source).compile(&registry)?;
            let proof = proof::prove(
                &walk,
                &asked.subject,
                (&standing, &compiled),
                sized.scope.as_ref(),
            )?;
            sized.proven = proof.holds() && passed.complete;
            sized.proof = Some(proof);
            sized.guard = Some(file);
            sized.candidate = Some(digest);
            Ok(sized)
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| stopped("right-sizing"))?
    }
}

impl Part {
    fn take(&mut self, subject: &Subject, event: &Event, met: Met) {
        match met {
            Met::Ended => {
                if let Some(task) = &event.task {
                    self.usage.ended(task.id);
                }
            }
            Met::BeforePolicy => {}
            Met::Unkept => {
                let other = match subject {
                    Subject::Agent(name) => event.agent.as_ref().is_some_and(|by| by.id != *name),
                    Subject::Workflow(_) => false,
                };
                if let (false, true, Some(tool)) = (other, went_on(event), tool_of(event)) {
                    self.usage.unplaced(&tool);
                }
            }
            Met::Drifted(made) | Met::Decision(made) => self.decision(subject, event, &made),
        }
    }

    fn decision(&mut self, subject: &Subject, event: &Event, made: &Past) {
        if !concerns(subject, made) {
            return;
        }
        let input = &made.input;
        let place = place_of(made);
        if went_on(event) {
            let call = (&input.tool, input.effect);
            self.usage.used(&place, input.task.id, call, input.now);
        } else {
            self.usage.seen(&place, input.task.id, input.now);
        }
        self.circumstances.add(&place, input);
    }
}

fn concerns(subject: &Subject, made: &Past) -> bool {
    match subject {
        Subject::Agent(name) => made.input.agent == *name,
        Subject::Workflow(name) => made.input.task.workflow == *name,
    }
}

fn place_of(made: &Past) -> Place {
    Place {
        workflow: made.input.task.workflow.clone(),
        stage: made.input.task.stage.clone(),
    }
}

/// Whether the call was let through, or a person was asked. Where policy is only observed, what it would have said does not count.
fn went_on(event: &Event) -> bool {
    match event.kind {
        EventType::ToolIntent | EventType::ToolHeld => true,
        _ => event
            .decision
            .as_ref()
            .is_some_and(|decision| decision.effect != Outcome::Deny),
    }
}

fn tool_of(event: &Event) -> Option<ToolRef> {
    let action = event.action.as_ref()?;
    Some(ToolRef {
        server: action.server.clone()?,
        tool: action.tool.clone()?,
    })
}

/// The active bundle with one more file, under the first number that is free.
fn candidate(
    subject: &Subject,
    proposal: &Proposal,
    mut source: BundleSource,
) -> Option<(GuardFile, BundleSource)> {
    let number =
        (1..=u32::MAX).find(|number| !source.files.contains_key(&subject.path(*number)))?;
    let text = guard(subject, number, proposal)?;
    let path = subject.path(number);
    source.files.insert(path.clone(), text.clone());
    Some((GuardFile { path, text }, source))
}

/// What is kept, as the widest that tasks may get.
fn scope(proposal: &Proposal) -> Option<Draft> {
    let tools = proposal.kept.iter().flat_map(|kept| {
        let effects = kept.effects.iter();
        effects.map(|effect| (&kept.tool, *effect))
    });
    crate::audit::narrowest(tools)
}

#[cfg(test)]
mod tests;
