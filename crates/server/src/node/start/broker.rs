//! What makes credentials: the broker and its backends, as the configuration names them.

use std::sync::Arc;

use bailiwick_broker::backend::StaticSecret;
use bailiwick_broker::{Backends, Broker, Parts as BrokerParts};
use bailiwick_control::outbox::Outbox;
use bailiwick_core::name::CredentialName;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::StartError;
use super::State;
use crate::config::Config;

/// The broker, with what a stop left half done put in order; it looks after leases as long as the node runs.
pub(super) async fn broker(
    config: &Config,
    state: &State,
    outbox: &Arc<Outbox>,
    tasks: &mut JoinSet<&'static str>,
    stop: &CancellationToken,
) -> Result<Broker, StartError> {
    let broker = Broker::new(BrokerParts {
        store: state.store.clone(),
        seal: Arc::clone(&state.seal),
        journal: outbox.clone(),
        backends: backends(config, state)?,
        clock: Arc::clone(&state.clock),
        rng: Arc::clone(&state.rng),
    });
    broker.recover().await?;
    let (running, stop) = (broker.clone(), stop.clone());
    tasks.spawn(async move {
        running.run(stop.cancelled_owned()).await;
        "broker"
    });
    Ok(broker)
}

/// What credentials are made at, beside the seal.
fn backends(config: &Config, state: &State) -> Result<Backends, StartError> {
    let values = StaticSecret::new(state.store.clone(), Arc::clone(&state.seal));
    let values = Arc::new(values);
    let mut backends = Backends {
        credentials: config.broker.credentials.clone(),
        ..Backends::default()
    };
    for (name, at) in &config.broker.backends {
        let here = |credential: &CredentialName| {
            let template = config.broker.credentials.get(credential);
            template.is_some_and(|template| template.backend == *name)
        };
        let accounts = config.broker.accounts.iter();
        let accounts = accounts.filter(|(credential, _)| here(credential));
        let accounts = accounts.map(|(name, account)| (name.clone(), account.clone()));
        let backend = at.open(&accounts.collect(), &values);
        let backend = backend.map_err(|source| StartError::Backend {
            name: name.clone(),
            source,
        })?;
        backends.remotes.insert(name.clone(), backend);
    }
    Ok(backends)
}
