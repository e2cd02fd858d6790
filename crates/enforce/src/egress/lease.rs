//! The credential of a connector for one exchange: leased to this process and task, looked for in every answer, dead with its fence.

use bailiwick_core::event::LeaseRef;
use bailiwick_core::fence::Subject;
use bailiwick_core::id::{EventId, LeaseId};
use bailiwick_core::lease::{Delivery, Wanted};
use bailiwick_core::{Code, Fault as _};

use super::Connector;
use super::redactor::Patterns;
use crate::answer::Refusal;
use crate::caller::Caller;
use crate::gateway::Gateway;
use crate::live::Entered;
use crate::ports::Leased;
use crate::replica::View;

/// A leased credential in use.
pub(crate) struct InUse {
    pub(crate) leased: Leased,
    pub(crate) patterns: Patterns,
    /// Its place in the live index.
    pub(crate) entered: Entered,
}

impl InUse {
    /// As records name it.
    pub(crate) fn named(&self) -> LeaseRef {
        LeaseRef {
            id: self.leased.id,
            credential: self.leased.credential.clone(),
            remote: "none".to_owned(),
        }
    }

    /// The lease.
    pub(crate) fn id(&self) -> LeaseId {
        self.leased.id
    }
}

/// Leases it. One lease serves all exchanges of a process in its task.
pub(crate) async fn take(
    gateway: &Gateway,
    connector: &Connector,
    caller: &Caller,
    view: &View,
    cause: EventId,
) -> Result<InUse, Refusal> {
    let credential = &connector.credential;
    let may = gateway.decider.lease(view, None, credential).await;
    may.map_err(|problem| Refusal::of(&problem))?;
    let wanted = Wanted {
        server: None,
        credential: credential.clone(),
        task: view.task.id,
        instance: caller.instance,
        agent: view.agent.name.clone(),
        cause: Some(cause),
        delivery: Delivery::Inject,
        ttl: None,
        idempotency_key: None,
        lineage: Vec::new(),
    };
    let leased = gateway.ports.leaser.lease(wanted).await;
    let leased = leased.map_err(|problem| Refusal::of(&problem))?;
    let replica = gateway.decider.replica();
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
        Ok(None) => {}
        Ok(Some(fence)) => {
            let message = format!("the credential was revoked: {}", fence.reason);
            return Err(Refusal::new(
                Code::Revoked,
                message,
                "ask the operator of the connector",
            ));
        }
        Err(behind) => return Err(Refusal::of(&behind.problem())),
    }
    let patterns = Patterns::of(&leased.bearer).map_err(|error| {
        let help = "an operator seals a longer one under the same name";
        Refusal::new(Code::LeaseDenied, error.to_string(), help)
    })?;
    Ok(InUse {
        leased,
        patterns,
        entered,
    })
}
