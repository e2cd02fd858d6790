//! The credential of a server or connector for one call (05): asked of policy, leased to this process and task, in the live index from then
//! on. What policy said is on record with the lease, or with its refusal.

use bailiwick_core::decision::Decision;
use bailiwick_core::event::{Action, ChangeRef, DecisionRef, EventType};
use bailiwick_core::fence::Subject;
use bailiwick_core::id::EventId;
use bailiwick_core::lease::{Delivery, Wanted};
use bailiwick_core::name::{CredentialName, ServerName};
use bailiwick_core::{Code, Fault as _};
use bailiwick_policy::act;

use crate::answer::Refusal;
use crate::caller::Caller;
use crate::decider::Known;
use crate::gateway::Gateway;
use crate::live::Entered;
use crate::ports::Leased;
use crate::record;
use crate::replica::View;

/// What a credential is for.
#[derive(Clone, Copy)]
pub(crate) struct For<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) view: &'a View,
    /// What policy is told beside that.
    pub(crate) known: &'a Known,
    /// The server whose calls it is injected into; none for a connector.
    pub(crate) server: Option<&'a ServerName>,
    pub(crate) credential: &'a CredentialName,
    /// The event that asks for it, if there is one.
    pub(crate) cause: Option<EventId>,
}

/// Leases it. One lease serves all calls of a process in its task. The entry is cut by a fence on the lease or the credential.
pub(crate) async fn take(
    gateway: &Gateway,
    wanted: &For<'_>,
) -> Result<(Leased, Entered), Refusal> {
    let decider = &gateway.decider;
    let asked = (wanted.server, wanted.credential);
    let said = decider.lease(wanted.view, asked, wanted.known).await;
    let said = said.map_err(|problem| Refusal::of(&problem))?;
    if let Some(problem) = act::refusal(&said) {
        refused(gateway, wanted, &said, problem.code).await;
        return Err(Refusal::of(&problem));
    }
    let want = Wanted {
        server: wanted.server.cloned(),
        credential: wanted.credential.clone(),
        task: wanted.view.task.id,
        instance: wanted.caller.instance,
        agent: wanted.view.agent.name.clone(),
        cause: wanted.cause,
        delivery: Delivery::Inject,
        ttl: None,
        idempotency_key: None,
        lineage: Vec::new(),
        decision: Some(DecisionRef::of(&said, 0)),
    };
    let leased = gateway.ports.leaser.lease(want).await;
    let leased = leased.map_err(|problem| Refusal::of(&problem))?;
    let replica = decider.replica();
    let subjects = vec![
        (Subject::Lease(leased.id), 0),
        (
            Subject::Credential(leased.credential.clone()),
            replica.applied(),
        ),
    ];
    let entered = replica.live().enter(subjects.clone());
    let dead = replica.view(|state| state.fences().any_dead(&subjects).cloned());
    match dead {
        Ok(None) => Ok((leased, entered)),
        Ok(Some(fence)) => {
            let message = format!("the credential was revoked: {}", fence.reason);
            let help = "ask the operator who registered it";
            Err(Refusal::new(Code::Revoked, message, help))
        }
        Err(behind) => Err(Refusal::of(&behind.problem())),
    }
}

/// Puts on record that policy does not let the agent have it.
async fn refused(gateway: &Gateway, wanted: &For<'_>, said: &Decision, code: Code) {
    let (kind, view) = (EventType::LeaseRefused, Some(wanted.view));
    let mut event = record::event(&gateway.ports, kind, wanted.caller, view);
    event.action = Some(Action {
        server: wanted.server.cloned(),
        ..Action::named("leases.take")
    });
    event.change = Some(ChangeRef {
        kind: "credential".to_owned(),
        id: wanted.credential.to_string(),
        before: None,
        after: Some(wanted.view.task.id.to_string()),
    });
    event.cause = wanted.cause;
    event.decision = Some(DecisionRef::of(said, 0));
    event.outcome = Some(record::refused(code));
    record::narrow(&gateway.ports, event).await;
}
