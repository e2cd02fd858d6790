//! Waiting for an answer, without a thread, and giving up when its time is over.

use bailiwick_core::Problem;
use bailiwick_core::approval::{Approval, ApprovalState};
use bailiwick_core::id::ApprovalId;
use tokio::sync::broadcast::error::RecvError;

use super::unknown;
use crate::tools::Refusal;
use crate::{Actor, Control};

impl Control {
    /// Resolves once an approval is no longer pending, at the latest when its time is over.
    pub async fn settled_approval(&self, id: ApprovalId) -> Result<Approval, Problem> {
        let mut news = self.approval_news.subscribe();
        loop {
            let approval = self.read_approval(id).await?;
            let now = self.now();
            if approval.state != ApprovalState::Pending {
                return Ok(approval);
            }
            if now >= approval.expires_at {
                return self.expire_approval(id).await;
            }
            let left = approval.expires_at.since(now);
            let changed = async {
                loop {
                    match news.recv().await {
                        Ok(changed) if changed != id => {}
                        Ok(_) | Err(RecvError::Lagged(_) | RecvError::Closed) => return,
                    }
                }
            };
            // A timeout is no error: the state is read again, and then it has expired.
            let _ = tokio::time::timeout(left, changed).await;
        }
    }

    pub(crate) async fn expire_approval(&self, id: ApprovalId) -> Result<Approval, Problem> {
        let (control, now) = (self.clone(), self.now());
        let approval = self
            .parts
            .store
            .write(move |tx| {
                let mut approval = tx.approval(id)?.ok_or_else(|| unknown(id))?;
                if approval.expire(now) {
                    tx.put_approval(&approval)?;
                    control.close_approval(tx, &Actor::system(), &approval, None)?;
                }
                Ok::<_, Refusal>(approval)
            })
            .await
            .map_err(Refusal::problem)?;
        self.news(id);
        Ok(approval)
    }
}
