//! The fences that stand, and lifting them.

use bailiwick_core::account::Role;
use bailiwick_core::event::EventType;
use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::FenceId;
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_store::StoreError;

use super::{MAX_REASON, Wait, reason_of};
use crate::tools::Refusal;
use crate::{Actor, Control, Operation};

impl Control {
    /// Ends everything that was ever issued, for a store that is an older copy of itself: nothing in it can be told from what was revoked since.
    /// What is born from here on lives.
    pub async fn begin_anew(&self, by: &str, reason: &str) -> Result<(), Problem> {
        let actor = Actor {
            name: by.to_owned(),
            roles: Role::ALL.to_vec(),
            account: None,
            uid: None,
        };
        let order = self.order(&actor, vec![Subject::TrustDomain], reason.to_owned());
        let report = self.carry_out(order, Wait::None).await?;
        for fence in report.fences {
            self.lift(&actor, fence.id, reason.to_owned()).await?;
        }
        Ok(())
    }

    /// All fences, oldest first.
    pub async fn fences(&self, actor: &Actor) -> Result<Vec<Fence>, Problem> {
        actor.may(Operation::Read)?;
        self.parts
            .store
            .read(|rows| rows.fences())
            .await
            .map_err(|error: StoreError| error.problem())
    }

    /// Lifts a fence. What it killed stays dead: only what is born later lives.
    pub async fn lift(&self, actor: &Actor, id: FenceId, reason: String) -> Result<Fence, Problem> {
        actor.may(Operation::LiftFences)?;
        if reason.trim().is_empty() || reason.len() > MAX_REASON {
            return Err(Problem::new(
                Code::InvalidInput,
                "lifting a fence needs a reason of at most 1,024 bytes",
                "",
            ));
        }
        let (control, actor) = (self.clone(), actor.clone());
        let fence = self
            .parts
            .store
            .write(move |tx| {
                let mut fence = tx.fence(id)?.ok_or_else(|| StoreError::NotFound {
                    kind: "fence",
                    key: id.to_string(),
                })?;
                if !fence.subject.lifts() || fence.lifted_seq.is_some() {
                    let message =
                        format!("the fence on {} is final or lifted already", fence.subject);
                    return Err(Refusal::Problem(Problem::new(
                        Code::Conflict,
                        message,
                        "register or open anew",
                    )));
                }
                fence.lifted_seq = Some(tx.head() + 1);
                tx.put_fence(&fence)?;
                let mut event = control.fence_event(EventType::FenceLifted, &actor, &fence);
                event.sealed = vec![reason_of(&reason)];
                control.parts.journal.push(tx, &event)?;
                Ok::<_, Refusal>(fence)
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await?;
        Ok(fence)
    }
}
