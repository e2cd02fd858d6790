//! Reading leases, and ending them with what they depend on. Making them is the broker's.

use bailiwick_broker::LeasesOf;
use bailiwick_core::id::LeaseId;
use bailiwick_core::lease::Lease;
use bailiwick_core::{Fault, Problem};
use bailiwick_store::{LeaseFilter, StoreError};

use crate::{Actor, Control, Operation};

impl Control {
    /// Leases, newest last; never their values.
    pub async fn leases(
        &self,
        actor: &Actor,
        filter: LeaseFilter,
        after: Option<LeaseId>,
        limit: usize,
    ) -> Result<Vec<Lease>, Problem> {
        actor.may(Operation::Read)?;
        let leases = self
            .parts
            .store
            .read(move |rows| rows.leases(&filter, after, limit))
            .await;
        leases.map_err(|error: StoreError| error.problem())
    }

    /// Ends leases; how many. A failure is logged and mended by the sweeper: their task or fence already stops their use.
    pub(crate) async fn end_leases(&self, which: &[LeasesOf], cause: &str) -> u64 {
        match self.parts.broker.end_leases(which, cause).await {
            Ok(ended) => u64::try_from(ended).unwrap_or(u64::MAX),
            Err(error) => {
                tracing::error!(%error, cause, "leases could not be ended yet");
                0
            }
        }
    }
}
