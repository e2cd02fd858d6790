//! Who asks for an identity: a process that the kernel told about, or one of those that `bailiwick run` started. Either way the instance
//! behind it, in the transaction that grants.

use std::collections::BTreeSet;

use bailiwick_core::Timestamp;
use bailiwick_core::agent::Agent;
use bailiwick_core::event::{Action, ChangeRef, EventType};
use bailiwick_core::id::{EventId, InstanceId};
use bailiwick_core::instance::{Instance, InstanceState, Place};
use bailiwick_core::name::AgentName;
use bailiwick_core::selector::Selector;
use bailiwick_store::{Journal, Tx};

use crate::attest::{Found, Waiting, matches, missing};
use crate::authority::{Attested, Authority, check_fences, instance_event};
use crate::error::IdentityError;
use crate::registration::matching;

/// Who asks.
#[derive(Debug, Clone)]
pub enum Asker {
    /// A process, as attestation found it.
    Found(Found),
    /// A process of this launch, whatever it runs.
    Launched(InstanceId),
}

impl From<Found> for Asker {
    fn from(found: Found) -> Self {
        Self::Found(found)
    }
}

/// What a new instance is made of.
pub(crate) struct Fresh {
    pub(crate) id: InstanceId,
    pub(crate) events: [EventId; 2],
    pub(crate) at: Timestamp,
}

impl Asker {
    pub(crate) fn instance(
        &self,
        tx: &mut dyn Tx,
        journal: &dyn Journal,
        fresh: &Fresh,
    ) -> Result<(Agent, Instance), IdentityError> {
        match self {
            Self::Found(found) => of_process(tx, journal, found, fresh),
            Self::Launched(id) => launched(tx, *id),
        }
    }
}

/// The live instance of a process, or a new one.
fn of_process(
    tx: &mut dyn Tx,
    journal: &dyn Journal,
    found: &Found,
    fresh: &Fresh,
) -> Result<(Agent, Instance), IdentityError> {
    let [attested_event, exited_event] = fresh.events;
    let agent = matching(tx, &found.selectors)?;
    let known = tx.instance_of_process(found.pid, found.pid_start)?;
    let known = known.filter(|known| known.state == InstanceState::Live);
    if let Some(known) = known.as_ref().filter(|known| known.agent == agent.name) {
        check_fences(tx, &agent, known)?;
        return Ok((agent, known.clone()));
    }
    // The registration changed under a living process: its old identity ends with the old match.
    if let Some(mut old) = known {
        old.state = InstanceState::Ended;
        tx.put_instance(&old)?;
        let event = instance_event(exited_event, EventType::InstanceExited, &agent, &old);
        journal.push(tx, &event)?;
    }
    let instance = Instance {
        id: fresh.id,
        agent: agent.name.clone(),
        selectors: found.selectors.clone(),
        place: Place::Process {
            pid: found.pid,
            pid_start: found.pid_start,
        },
        state: InstanceState::Live,
        born_seq: tx.head() + 1,
        attested_at: fresh.at,
        client: None,
    };
    check_fences(tx, &agent, &instance)?;
    tx.put_instance(&instance)?;
    let kind = EventType::InstanceAttested;
    let event = instance_event(attested_event, kind, &agent, &instance);
    journal.push(tx, &event)?;
    Ok((agent, instance))
}

/// The instance of a launch that still runs.
fn launched(tx: &dyn Tx, id: InstanceId) -> Result<(Agent, Instance), IdentityError> {
    let instance = tx.instance(id)?;
    let instance = instance.filter(|known| known.state == InstanceState::Live);
    let instance = instance.ok_or_else(|| over(id))?;
    let agent = tx.agent(&instance.agent)?.filter(|agent| agent.enabled);
    let agent = agent.ok_or_else(|| over(id))?;
    check_fences(tx, &agent, &instance)?;
    Ok((agent, instance))
}

fn over(id: InstanceId) -> IdentityError {
    IdentityError::Invalid(format!("the launch of {id} is over"))
}

impl Authority {
    /// A new instance of `agent` for a process that waits to become another program: nothing of what it will run is known yet, so it is not
    /// to be served before [`Self::confirm_launch`]. `what` is put on record.
    pub async fn launch(
        &self,
        name: &AgentName,
        waiting: &Waiting,
        what: String,
    ) -> Result<Attested, IdentityError> {
        let (name, waiting, fresh) = (name.clone(), *waiting, self.fresh());
        let journal = std::sync::Arc::clone(&self.parts.journal);
        let trust_domain = self.parts.trust_domain.clone();
        let launched = self
            .parts
            .store
            .write(move |tx| {
                let agent = tx.agent(&name)?.filter(|agent| agent.enabled);
                let agent = agent.ok_or_else(|| unknown(&name))?;
                let mut selectors = waiting.selectors();
                selectors.push(Selector::Launched(name.clone()));
                // What the program has to be is looked at when it is there.
                let never = missing(&selectors, &agent)
                    .into_iter()
                    .filter(|wanted| !matches!(wanted, Selector::Path(_) | Selector::Sha256(_)));
                let never: BTreeSet<Selector> = never.collect();
                if !never.is_empty() || agent.selectors.is_empty() {
                    return Err(unfit(&selectors, &agent, &never));
                }
                if tx
                    .instance_of_process(waiting.pid, waiting.pid_start)?
                    .is_some_and(|known| known.state == InstanceState::Live)
                {
                    let taken = "the process to be launched is an instance already".to_owned();
                    return Err(IdentityError::Invalid(taken));
                }
                let instance = Instance {
                    id: fresh.id,
                    agent: agent.name.clone(),
                    selectors,
                    place: Place::Process {
                        pid: waiting.pid,
                        pid_start: waiting.pid_start,
                    },
                    state: InstanceState::Live,
                    born_seq: tx.head() + 1,
                    attested_at: fresh.at,
                    client: None,
                };
                check_fences(tx, &agent, &instance)?;
                tx.put_instance(&instance)?;
                let id = trust_domain.instance(&agent.name, instance.id);
                let [event, _] = fresh.events;
                let mut event =
                    instance_event(event, EventType::InstanceAttested, &agent, &instance);
                event.action = Some(Action::named("launch"));
                event.change = Some(ChangeRef {
                    kind: "launch".to_owned(),
                    id: instance.id.to_string(),
                    before: None,
                    after: Some(what.clone()),
                });
                journal.push(tx, &event)?;
                Ok(Attested {
                    agent,
                    instance,
                    id,
                })
            })
            .await?;
        self.settled().await?;
        Ok(launched)
    }

    /// Takes what a launched process turned out to be. An error if its agent is not registered for that: the launch has to end.
    pub async fn confirm_launch(&self, id: InstanceId, found: Found) -> Result<(), IdentityError> {
        let (journal, event) = (std::sync::Arc::clone(&self.parts.journal), self.event_id());
        self.parts
            .store
            .write(move |tx| {
                let (agent, mut instance) = launched(tx, id)?;
                let mut selectors = found.selectors.clone();
                selectors.push(Selector::Launched(agent.name.clone()));
                if !matches(&selectors, &agent) {
                    let missing = missing(&selectors, &agent).into_iter().collect();
                    return Err(unfit(&selectors, &agent, &missing));
                }
                instance.selectors = selectors;
                tx.put_instance(&instance)?;
                let mut event =
                    instance_event(event, EventType::InstanceAttested, &agent, &instance);
                event.action = Some(Action::named("launch.exec"));
                journal.push(tx, &event)?;
                Ok(())
            })
            .await?;
        self.settled().await
    }
}

fn unknown(name: &AgentName) -> IdentityError {
    IdentityError::NoIdentity {
        found: "been asked for an agent that is not registered or is disabled".to_owned(),
        nearest: Some(format!("there is no enabled agent {name}")),
    }
}

fn unfit(found: &[Selector], agent: &Agent, missing: &BTreeSet<Selector>) -> IdentityError {
    let list = |selectors: Vec<String>| selectors.join(" ");
    IdentityError::NoIdentity {
        found: list(found.iter().map(ToString::to_string).collect()),
        nearest: Some(format!(
            "agent {} would match with {}",
            agent.name,
            list(missing.iter().map(ToString::to_string).collect())
        )),
    }
}
