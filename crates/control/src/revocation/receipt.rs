//! Receipts: what a revocation reached, signed, for whoever has to show it later.

use std::time::Duration;

use bailiwick_core::id::RevocationId;
use bailiwick_core::receipt::Receipt;
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_crypto::token::{TokenError, receipt};
use bailiwick_identity::authority::Authority;
use bailiwick_store::{Reach, RevocationRow, StoreError, facts};

use crate::{Actor, Control, Operation};

/// An order's answer waits at most this long for its event to be durable; what narrows authority waits for no log.
const SOON: Duration = Duration::from_millis(2_250);

/// Signs receipts.
pub trait Receipts: Send + Sync {
    /// Whose word they are: a URL.
    fn issuer(&self) -> &str;

    /// Signs one.
    fn sign(&self, receipt: &Receipt) -> Result<String, TokenError>;
}

impl Receipts for Authority {
    fn issuer(&self) -> &str {
        Self::issuer(self)
    }

    fn sign(&self, receipt: &Receipt) -> Result<String, TokenError> {
        receipt::issue(self.keyring().receipt(), receipt)
    }
}

impl Control {
    /// The receipt of a revocation, signed once and kept.
    pub async fn receipt(&self, actor: &Actor, id: RevocationId) -> Result<String, Problem> {
        actor.may(Operation::Read)?;
        self.signed(id).await
    }

    /// The same, as soon as the order's event is durable; none where that takes too long.
    pub(super) async fn receipt_soon(&self, id: RevocationId) -> Option<String> {
        let settled = tokio::time::timeout(SOON, self.parts.journal.settled()).await;
        if !matches!(settled, Ok(Ok(()))) {
            return None;
        }
        self.signed(id)
            .await
            .inspect_err(
                |problem| tracing::warn!(%problem, revocation = %id, "there is no receipt yet"),
            )
            .ok()
    }

    async fn signed(&self, id: RevocationId) -> Result<String, Problem> {
        let row = self.revocation_row(id).await?;
        if let Some(receipt) = row.receipt {
            return Ok(receipt);
        }
        let receipt = self.sign(&row).await?;
        let kept = receipt.clone();
        let written = self.parts.store.write(move |tx| {
            // Two that ask at once get the same one.
            let Some(mut row) = tx.revocation(id)? else {
                return Ok(kept.clone());
            };
            let receipt = row.receipt.get_or_insert_with(|| kept.clone()).clone();
            tx.put_revocation(&row)?;
            Ok::<_, StoreError>(receipt)
        });
        written.await.map_err(|error| error.problem())
    }

    async fn sign(&self, row: &RevocationRow) -> Result<String, Problem> {
        let (Some(reach), Some(audit)) = (&row.reach, &row.audit) else {
            return Err(Problem::new(
                Code::Conflict,
                format!(
                    "revocation {} has no receipt yet: its points are being closed, or its event is not on record",
                    row.id
                ),
                "ask again; while the audit log is down there are no receipts, and the fence holds all the same",
            ));
        };
        let epoch = self.parts.store.read(facts::epoch).await;
        let epoch = epoch.map_err(|error: StoreError| error.problem())?;
        let Reach {
            committed_at,
            points,
            leases,
        } = reach.clone();
        let receipt = Receipt {
            iss: self.parts.receipts.issuer().to_owned(),
            jti: row.id,
            iat: self.now().as_secs(),
            epoch,
            seq: row.seq,
            subjects: row.subjects.clone(),
            committed_at,
            points,
            leases,
            audit: audit.clone(),
        };
        let signed = self.parts.receipts.sign(&receipt);
        signed.map_err(|error| error.problem())
    }
}
