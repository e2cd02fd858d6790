//! Who this deployment is elsewhere, and which generation of its store it has (05, clone guard): the generation rises at each start and
//! each hour, in the store first, then in a marker at each backend. A marker that is ahead of the store tells that the store is an old
//! copy.

use std::sync::atomic::Ordering;

use bailiwick_core::lease::Deployment;
use bailiwick_store::{StoreError, Tx};

use super::Broker;
use crate::LeaseError;

/// Where the store keeps them.
const DEPLOYMENT: &str = "deployment";
const GENERATION: &str = "lease_generation";

/// Who we are.
#[derive(Debug)]
pub(crate) struct Identity {
    /// In the names of all that we make.
    pub(crate) deployment: Deployment,
    /// The store's generation when this run of the node began.
    pub(crate) found: u64,
}

impl Broker {
    /// Who we are; the first question of a run raises the generation.
    pub(crate) async fn identity(&self) -> Result<&Identity, LeaseError> {
        self.inner
            .identity
            .get_or_try_init(|| async {
                let broker = self.clone();
                let write = self.inner.store.write(move |tx| {
                    let known = tx.meta(DEPLOYMENT)?;
                    let known = known.and_then(|text| text.parse().ok());
                    let deployment = if let Some(deployment) = known {
                        deployment
                    } else {
                        let drawn = Deployment::draw(broker.rng());
                        tx.put_meta(DEPLOYMENT, drawn.as_str())?;
                        drawn
                    };
                    let found = generation(tx)?;
                    tx.put_meta(GENERATION, &found.saturating_add(1).to_string())?;
                    Ok::<_, StoreError>(Identity { deployment, found })
                });
                let identity = write.await.map_err(LeaseError::Store)?;
                self.inner
                    .generation
                    .store(identity.found.saturating_add(1), Ordering::SeqCst);
                Ok(identity)
            })
            .await
    }

    /// The store's generation as this run knows it.
    pub(crate) fn generation(&self) -> u64 {
        self.inner.generation.load(Ordering::SeqCst)
    }

    /// Raises the generation, at least above `over`.
    pub(crate) async fn raise_generation(&self, over: u64) -> Result<u64, LeaseError> {
        let write = self.inner.store.write(move |tx| {
            let next = generation(tx)?.max(over).saturating_add(1);
            tx.put_meta(GENERATION, &next.to_string())?;
            Ok::<_, StoreError>(next)
        });
        let next = write.await.map_err(LeaseError::Store)?;
        self.inner.generation.store(next, Ordering::SeqCst);
        Ok(next)
    }
}

fn generation(tx: &dyn Tx) -> Result<u64, StoreError> {
    let known = tx.meta(GENERATION)?;
    Ok(known.and_then(|text| text.parse().ok()).unwrap_or(0))
}
