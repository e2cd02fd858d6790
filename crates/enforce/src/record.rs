//! The events of the gateway: what was asked for, what was decided, how it ended. Arguments and answers are sealed, never in the clear.

use bailiwick_audit::{Class, RecordError};
use bailiwick_core::chain::Chain;
use bailiwick_core::event::{
    Action, AgentRef, ChainRef, DecisionMode, DecisionRef, Event, EventType, Evidence, MAX_STRING,
    Outcome, Parent, ParentRole, Sealed, SealedClass, Status, TaskRef,
};
use bailiwick_core::id::EventId;
use bailiwick_core::name::{ServerName, ToolName};
use bailiwick_core::selector::Selector;
use bailiwick_core::{Clock, Code, Digest, Rng};

use crate::caller::Caller;
use crate::decider::Decided;
use crate::gateway::Gateway;
use crate::ports::Ports;
use crate::replica::View;

/// Larger values are committed to, not kept.
pub(crate) const KEEP_MAX: usize = 256 << 10;

/// An event about one caller, as far as it is known.
pub(crate) fn event(ports: &Ports, kind: EventType, caller: &Caller, view: Option<&View>) -> Event {
    let mut event = Event::new(new_id(&*ports.clock, &*ports.rng), kind);
    if let Some(view) = view {
        let link = view.chain.presenter();
        event.agent = Some(AgentRef {
            id: view.agent.name.clone(),
            instance: Some(caller.instance),
            code_digest: code_digest(view),
        });
        event.owner = link.map(|link| link.owner.clone());
        event.user = Some(view.task.user_pseudonym.clone());
        event.task = Some(TaskRef::of(&view.task));
        event.chain = chain_refs(&view.chain, caller);
    }
    event
}

/// The event about one decision on a call, a prompt or a resource.
pub(crate) fn decided(
    gateway: &Gateway,
    kind: EventType,
    caller: &Caller,
    call: &Named<'_>,
    decided: &Decided,
) -> Event {
    let ports = &gateway.ports;
    let mut event = event(ports, kind, caller, decided.view.as_ref());
    event.action = Some(Action {
        effect: decided.tool.as_ref().map(|_| decided.effect),
        definition: decided.tool.as_ref().and_then(|tool| tool.approved),
        ..call.action()
    });
    event.decision = Some(decision(decided));
    gateway.trial.count(&mut event, decided, ports.clock.wall());
    event
        .sealed
        .push(sealed("/args", call.arguments.as_bytes()));
    // Who acted for whom is in it by name, so it is personal data; without the arguments it replays nothing.
    event
        .sealed
        .extend(decided.input.as_ref().map(|input| Sealed {
            path: "/input",
            class: SealedClass::Pii,
            value: input.clone(),
            keep: call.arguments.len() <= KEEP_MAX,
        }));
    event
}

/// A decision, as records have it.
pub(crate) fn decision(decided: &Decided) -> DecisionRef {
    DecisionRef {
        mode: if decided.observed {
            DecisionMode::Observe
        } else {
            DecisionMode::Enforce
        },
        ..DecisionRef::of(&decided.decision, decided.us)
    }
}

/// A call, as records name it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named<'a> {
    /// The method.
    pub(crate) op: &'a str,
    pub(crate) server: &'a ServerName,
    pub(crate) tool: Option<&'a ToolName>,
    pub(crate) request_id: &'a str,
    pub(crate) arguments: &'a str,
}

impl Named<'_> {
    pub(crate) fn action(&self) -> Action {
        Action {
            op: self.op.chars().take(MAX_STRING / 4).collect(),
            effect: None,
            server: Some(self.server.clone()),
            tool: self.tool.cloned(),
            definition: None,
            request_id: Some(self.request_id.to_owned()),
        }
    }
}

/// An event that a call causes: about the same caller and the same act.
pub(crate) fn following(ports: &Ports, kind: EventType, intent: &Event) -> Event {
    let mut event = Event::new(new_id(&*ports.clock, &*ports.rng), kind);
    event.agent.clone_from(&intent.agent);
    event.owner.clone_from(&intent.owner);
    event.user.clone_from(&intent.user);
    event.task.clone_from(&intent.task);
    event.chain.clone_from(&intent.chain);
    event.action.clone_from(&intent.action);
    event.cause = Some(intent.id);
    event
}

/// The event about how a call ended.
pub(crate) fn ended(
    ports: &Ports,
    intent: &Event,
    status: Status,
    code: Option<Code>,
    us: u64,
    answer: Option<&[u8]>,
) -> Event {
    let mut event = following(ports, EventType::ToolResult, intent);
    event.parents.push(Parent {
        role: ParentRole::Intent,
        id: intent.id,
    });
    let bytes = answer.map_or(0, |answer| u64::try_from(answer.len()).unwrap_or(u64::MAX));
    event.outcome = Some(Outcome {
        status,
        code: code.map(|code| code.to_string()),
        us,
        bytes,
        evidence: Evidence::Observed,
    });
    event
        .sealed
        .extend(answer.map(|answer| sealed("/result", answer)));
    event
}

/// The outcome of something that was refused.
pub(crate) fn refused(code: Code) -> Outcome {
    Outcome {
        status: Status::Refused,
        code: Some(code.to_string()),
        us: 0,
        bytes: 0,
        evidence: Evidence::Observed,
    }
}

/// Puts a refusal on record. The refusal stands whether or not that works: it has already taken effect.
pub(crate) async fn narrow(ports: &Ports, event: Event) -> Option<EventId> {
    let id = event.id;
    match ports.recorder.record(event, Class::Narrow).await {
        Ok(_) => Some(id),
        Err(error) => {
            tracing::warn!(%error, "a refusal is not on record");
            None
        }
    }
}

/// Puts on record what something hangs on.
pub(crate) async fn grant(ports: &Ports, event: Event) -> Result<EventId, RecordError> {
    ports
        .recorder
        .record(event, Class::Grant)
        .await
        .map(|receipt| receipt.event)
}

fn new_id(clock: &dyn Clock, rng: &dyn Rng) -> EventId {
    EventId::new(clock, rng)
}

pub(crate) fn sealed(path: &'static str, value: &[u8]) -> Sealed {
    Sealed {
        path,
        class: SealedClass::Content,
        value: value.to_vec(),
        keep: value.len() <= KEEP_MAX,
    }
}

fn chain_refs(chain: &Chain, caller: &Caller) -> Vec<ChainRef> {
    let mut own = caller.token.as_ref().map(|token| token.id);
    chain
        .links
        .iter()
        .map(|link| ChainRef {
            agent: link.agent.clone(),
            instance: link.instance,
            task: link.task,
            jti: own.take(),
        })
        .collect()
}

fn code_digest(view: &View) -> Option<Digest> {
    view.instance
        .selectors
        .iter()
        .find_map(|selector| match selector {
            Selector::Sha256(digest) => Some(*digest),
            _ => None,
        })
}

/// An event about somebody who is not known.
pub(crate) fn anonymous(ports: &Ports, kind: EventType) -> Event {
    Event::new(new_id(&*ports.clock, &*ports.rng), kind)
}
