//! What goes on record of a lease; never its value.

use bailiwick_core::event::{
    AgentRef, ChainRef, Event, EventType, Evidence, LeaseRef, Outcome, Status, TaskRef,
};
use bailiwick_core::id::EventId;
use bailiwick_core::lease::Lease;
use bailiwick_core::task::Task;
use bailiwick_core::{Clock, Rng};

/// An event about a step of `lease`. `remote` is `pending`, `confirmed` or `none`.
pub(crate) fn event(
    kind: EventType,
    lease: &Lease,
    task: Option<&Task>,
    remote: &str,
    clock: &dyn Clock,
    rng: &dyn Rng,
) -> Event {
    let mut event = Event::new(EventId::new(clock, rng), kind);
    event.agent = Some(AgentRef {
        id: lease.agent.clone(),
        instance: lease.instance,
        code_digest: None,
    });
    if let Some(task) = task {
        event.user = Some(task.user_pseudonym.clone());
        event.task = Some(TaskRef::of(task));
        event.chain = vec![ChainRef {
            agent: task.agent.clone(),
            instance: task.instance,
            task: task.id,
            jti: None,
        }];
    }
    event.lease = Some(LeaseRef {
        id: lease.id,
        credential: lease.credential.clone(),
        remote: remote.to_owned(),
    });
    if let Some(cause) = &lease.cause {
        event.outcome = Some(Outcome {
            status: Status::Ok,
            code: Some(cause.chars().take(64).collect()),
            us: 0,
            bytes: 0,
            evidence: Evidence::Observed,
        });
    }
    event
}
