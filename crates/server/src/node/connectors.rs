//! What agents ask through this node, as the configuration names it.

use std::sync::Arc;

use bailiwick_enforce::egress::Connectors;
use bailiwick_store::{Store, StoreError};

use super::StartError;
use crate::config::Config;

/// Connectors by name.
pub(super) fn by_name(config: &Config) -> Connectors {
    let all = config.connectors.iter().map(|at| &at.connector);
    all.map(|connector| (connector.name().clone(), Arc::clone(connector)))
        .collect()
}

/// A name is a tool server's or a connector's: scopes and policies tell them apart by nothing else.
pub(super) async fn check_names(config: &Config, store: &Store) -> Result<(), StartError> {
    let servers = store.read(|rows| rows.servers()).await;
    let servers = servers.map_err(|error: StoreError| error)?;
    let connectors = by_name(config);
    let twice = servers
        .into_iter()
        .find(|server| connectors.contains_key(&server.name));
    twice.map_or(Ok(()), |server| Err(StartError::NameTwice(server.name)))
}
