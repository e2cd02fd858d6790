//! Ends by itself what time has ended: tasks past their deadline, tasks whose code no client came for, approvals nobody used, leases past their life.

use std::time::Duration;

use bailiwick_core::task::TaskState;
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_store::StoreError;

use crate::{Actor, Control};

/// How often it looks. What is over is refused at once wherever it is used; this only tidies and puts it on record.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is looked for what outlived its task.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// How often expired tokens are forgotten.
const PRUNE_EVERY: Duration = Duration::from_mins(10);

impl Control {
    /// Sweeps until `stop` resolves. A sweep that fails is logged and tried again.
    pub async fn sweep(&self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut pruned = self.parts.clock.monotonic();
        let mut looked = pruned;
        loop {
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            if let Err(problem) = self.sweep_once().await {
                tracing::error!(%problem, "a sweep did not finish");
            }
            let now = self.parts.clock.monotonic();
            if now.saturating_sub(looked) >= LOOK_EVERY {
                looked = now;
                if let Err(problem) = self.end_leftovers(&Actor::system()).await {
                    tracing::error!(%problem, "it could not be looked for what outlived its task");
                }
            }
            if now.saturating_sub(pruned) >= PRUNE_EVERY {
                pruned = now;
                if let Err(problem) = self.prune().await {
                    tracing::error!(%problem, "expired tokens could not be forgotten");
                }
            }
        }
    }

    /// One sweep.
    pub async fn sweep_once(&self) -> Result<(), Problem> {
        self.retry_fences().await;
        self.end_observing().await?;
        let now = self.now();
        let due = self.parts.store.read(move |rows| {
            Ok::<_, StoreError>((rows.tasks_due(now)?, rows.approvals_due(now)?))
        });
        let (tasks, approvals) = due.await.map_err(|error| error.problem())?;
        for task in tasks {
            match self
                .end(
                    &Actor::system(),
                    task.id,
                    TaskState::Expired,
                    "tasks.expired",
                )
                .await
            {
                Err(problem) if problem.code != Code::TaskEnded => return Err(problem),
                _ => {}
            }
        }
        self.end_abandoned().await?;
        for approval in approvals {
            self.expire_approval(approval.id).await?;
        }
        self.parts
            .broker
            .sweep()
            .await
            .map_err(|error| error.problem())?;
        Ok(())
    }

    async fn prune(&self) -> Result<(), Problem> {
        let now = self.now();
        let pruned = self.parts.store.write(move |tx| {
            tx.prune_tokens(now)?;
            tx.prune_join_tokens(now)?;
            tx.prune_spent(now)?;
            tx.prune_vouchers(now)?;
            tx.prune_sessions(now)?;
            tx.prune_api_tokens(now)
        });
        pruned
            .await
            .map(drop)
            .map_err(|error: StoreError| error.problem())
    }
}
