//! Rolling a policy out: tried beside the active bundle on live calls, promoted if it did what was expected; and policy observed for a
//! time instead of enforced. Only admins do either, and both are on record before they hold.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::event::{ChangeRef, Event, EventType};
use bailiwick_core::rollout::{MAX_OBSERVE, Observe, Rollout, Shadow};
use bailiwick_core::{Code, Digest, Fault, Problem};
use bailiwick_policy::BundleSource;
use bailiwick_store::{PolicyVersion, StoreError};

use super::publish::{refuse_flawed, stored};
use super::{Expected, PublishError};
use crate::{Actor, Control, Operation};

/// What a trial must have shown before its bundle is published.
#[derive(Debug, Clone, Copy)]
pub struct Proven {
    /// It has run at least so long.
    pub after: Duration,
    /// It has denied or held at most so many calls that went through.
    pub max_new_denials: u64,
}

/// What an enforcement point counted of a trial.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown {
    /// The bundle.
    pub bundle: Option<Digest>,
    /// Calls that were compared.
    pub compared: u64,
    /// Calls that it would have denied or held.
    pub new_denials: u64,
}

impl Control {
    /// The state of the roll-out.
    pub async fn rollout(&self, actor: &Actor) -> Result<Rollout, Problem> {
        actor.may(Operation::Read)?;
        self.current_rollout().await
    }

    /// Tries a bundle beside the active one, in place of any that is tried already. It must be fit to be published.
    pub async fn try_policy(
        &self,
        actor: &Actor,
        source: BundleSource,
    ) -> Result<Rollout, PublishError> {
        actor.may(Operation::WritePolicy)?;
        let text = stored(&source)?;
        let checked = self.checked(source).await?;
        refuse_flawed(&checked)?;
        let shadow = Shadow {
            digest: checked.digest,
            since: self.now(),
            by: actor.name.clone(),
        };
        let event = self.event(EventType::PolicyShadowChanged, actor, "policy.shadow");
        let changed = self.roll(event, Some((checked.digest, text)), move |rollout| {
            rollout.shadow = Some(shadow.clone());
        });
        Ok(changed.await?)
    }

    /// Ends the trial without publishing.
    pub async fn end_trial(&self, actor: &Actor) -> Result<Rollout, Problem> {
        actor.may(Operation::WritePolicy)?;
        self.tried().await?;
        let event = self.event(EventType::PolicyShadowChanged, actor, "policy.shadow_end");
        self.roll(event, None, |rollout| rollout.shadow = None)
            .await
    }

    /// Publishes the bundle that is tried, if the trial has shown what is asked for, and ends the trial.
    pub async fn promote_policy(
        &self,
        actor: &Actor,
        proven: Proven,
        shown: Shown,
        expected: Expected,
    ) -> Result<PolicyVersion, PublishError> {
        actor.may(Operation::WritePolicy)?;
        let shadow = self.tried().await?;
        let run = self.now().since(shadow.since);
        let refuse =
            |message: String, help: &str| Err(Problem::new(Code::Conflict, message, help).into());
        if run < proven.after {
            let message = format!(
                "it has been tried for {} s, and {} s are asked for",
                run.as_secs(),
                proven.after.as_secs()
            );
            return refuse(message, "wait, or ask for less with --after");
        }
        let own = shown.bundle == Some(shadow.digest);
        let (compared, denials) = if own {
            (shown.compared, shown.new_denials)
        } else {
            (0, 0)
        };
        if compared == 0 {
            let message = "no call was compared yet, so the trial shows nothing".to_owned();
            return refuse(
                message,
                "wait for calls, or publish it without a trial: bailiwick policy publish DIR",
            );
        }
        if denials > proven.max_new_denials {
            let message = format!(
                "it would have stopped {denials} calls that went through, and at most {} may be",
                proven.max_new_denials
            );
            return refuse(
                message,
                "bailiwick policy shadow status shows which; --max-new-denials allows that many",
            );
        }
        let source = self.bundle_source(shadow.digest).await?;
        let published = self.publish_policy(actor, source, expected).await?;
        let event = self.event(EventType::PolicyShadowChanged, actor, "policy.promote");
        self.roll(event, None, |rollout| rollout.shadow = None)
            .await?;
        Ok(published)
    }

    /// For a time, policy is decided and recorded and not enforced.
    pub async fn observe_policy(
        &self,
        actor: &Actor,
        lasts: Duration,
        reason: &str,
    ) -> Result<Rollout, Problem> {
        actor.may(Operation::WritePolicy)?;
        if lasts.is_zero() || lasts > MAX_OBSERVE {
            let message = format!(
                "policy is observed for 1 s to {} days",
                MAX_OBSERVE.as_secs() / 86_400
            );
            return Err(Problem::new(
                Code::InvalidInput,
                message,
                "give another time",
            ));
        }
        if reason.trim().is_empty() {
            return Err(Problem::new(
                Code::InvalidInput,
                "`reason` is empty, and it goes on record",
                "",
            ));
        }
        let now = self.now();
        let observe = Observe {
            until: now.plus(lasts),
            since: now,
            by: actor.name.clone(),
            reason: reason.trim().chars().take(MAX_REASON).collect(),
        };
        let event = self.event(EventType::PolicyModeChanged, actor, "policy.mode");
        self.roll(event, None, move |rollout| {
            rollout.observe = Some(observe.clone());
        })
        .await
    }

    /// Policy is enforced.
    pub async fn enforce_policy(&self, actor: &Actor) -> Result<Rollout, Problem> {
        actor.may(Operation::WritePolicy)?;
        let event = self.event(EventType::PolicyModeChanged, actor, "policy.mode");
        self.roll(event, None, |rollout| rollout.observe = None)
            .await
    }

    /// Puts on record that observing is over when its time is. It ended by itself at that moment.
    pub(crate) async fn end_observing(&self) -> Result<(), Problem> {
        let (rollout, now) = (self.current_rollout().await?, self.now());
        if rollout.observe.is_none() || rollout.observes(now) {
            return Ok(());
        }
        let event = self.event(
            EventType::PolicyModeChanged,
            &Actor::system(),
            "policy.mode",
        );
        let ended = self.roll(event, None, move |rollout| {
            if !rollout.observes(now) {
                rollout.observe = None;
            }
        });
        ended.await.map(drop)
    }

    async fn current_rollout(&self) -> Result<Rollout, Problem> {
        let rollout = self.parts.store.read(|rows| rows.rollout()).await;
        rollout.map_err(|error: StoreError| error.problem())
    }

    async fn tried(&self) -> Result<Shadow, Problem> {
        self.current_rollout().await?.shadow.ok_or_else(|| {
            Problem::new(
                Code::NotFound,
                "no bundle is tried",
                "bailiwick policy shadow start DIR",
            )
        })
    }

    /// Changes the roll-out with the event that tells of it, in one transaction.
    async fn roll(
        &self,
        event: Event,
        source: Option<(Digest, String)>,
        change: impl Fn(&mut Rollout) + Send + 'static,
    ) -> Result<Rollout, Problem> {
        let journal = Arc::clone(&self.parts.journal);
        let changed = self.parts.store.write(move |tx| {
            let before = tx.rollout()?;
            let mut rollout = before.clone();
            change(&mut rollout);
            rollout.version += 1;
            let source = source
                .as_ref()
                .map(|(digest, text)| (*digest, text.as_str()));
            tx.put_rollout(&rollout, source)?;
            let mut event = event.clone();
            event.change = Some(ChangeRef {
                kind: "rollout".to_owned(),
                id: rollout.version.to_string(),
                before: Some(said(&before)),
                after: Some(said(&rollout)),
            });
            journal.push(tx, &event)?;
            Ok::<_, StoreError>(rollout)
        });
        let rollout = changed.await.map_err(|error| error.problem())?;
        self.settled().await?;
        Ok(rollout)
    }
}

/// Longest reason on record, in characters.
const MAX_REASON: usize = 200;

/// The state of a roll-out in short.
fn said(rollout: &Rollout) -> String {
    let mode = rollout.observe.as_ref().map_or_else(
        || "enforce".to_owned(),
        |observe| format!("observe until {}: {}", observe.until, observe.reason),
    );
    match &rollout.shadow {
        None => mode,
        Some(shadow) => format!("{mode}; trying {}", shadow.digest),
    }
}
