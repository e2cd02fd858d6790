//! The credential of a connector for one exchange: leased to this process and task, looked for in every answer, dead with its fence.

use bailiwick_core::Code;
use bailiwick_core::event::LeaseRef;
use bailiwick_core::id::{EventId, LeaseId};

use super::Connector;
use super::redactor::Patterns;
use crate::answer::Refusal;
use crate::caller::Caller;
use crate::decider::Decided;
use crate::gateway::Gateway;
use crate::lease::{self, For};
use crate::live::Entered;
use crate::ports::Leased;

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
    (caller, decided): (&Caller, &Decided),
    cause: EventId,
) -> Result<InUse, Refusal> {
    let (Some(view), Some(known)) = (&decided.view, &decided.known) else {
        let what = "an exchange without a caller";
        return Err(Refusal::new(Code::Internal, what, ""));
    };
    let wanted = For {
        caller,
        view,
        known,
        server: None,
        credential: &connector.credential,
        cause: Some(cause),
    };
    let (leased, entered) = lease::take(gateway, &wanted).await?;
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
