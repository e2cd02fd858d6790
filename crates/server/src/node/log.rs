//! What the node's log is opened with.

use std::sync::Arc;

use bailiwick_audit::Options;
use bailiwick_core::{Clock, Rng};
use bailiwick_crypto::seal::Seal;
use bailiwick_store::Store;

use super::checkpoints::StoredCheckpoints;
use super::{StartError, keys, log_keys};
use crate::config::Config;
use crate::witnesses;

/// Name of the configured node's log.
pub(super) fn origin(config: &Config) -> String {
    format!("{}/{}", config.identity.trust_domain, config.node.name)
}

/// Keys from the store, everything else from the configuration, and what witnesses hold.
pub(super) async fn options(
    config: &Config,
    store: &Store,
    seal: &Seal,
    http: &reqwest::Client,
    (clock, rng): (Arc<dyn Clock>, Arc<dyn Rng>),
) -> Result<Options, StartError> {
    let origin = origin(config);
    let held = log_keys::held(store, seal, &origin, clock.wall(), &*rng).await?;
    let keks = keys::keks(store, seal, clock.wall(), &*rng).await?;
    Ok(Options {
        segment_size: config.audit.segment,
        min_free: config.audit.min_free,
        max_untiled: config.audit.max_untiled,
        value_max: usize::try_from(config.audit.payload_max).unwrap_or(usize::MAX),
        payload: config.audit.payload,
        retention: config.audit.retention,
        payload_retention: config.audit.payload_retention,
        hold_from: config.audit.hold_from,
        publish_every: config.audit.publish_every,
        older_keks: keks.older,
        older_signers: held.older,
        former: held.former,
        checkpoints: Arc::new(StoredCheckpoints(store.clone())),
        seen: witnesses::held(&config.audit.witnesses, http, &origin).await,
        ..Options::new(
            config.node.data_dir.join("audit"),
            config.node.name.to_string(),
            held.newest,
            keks.newest,
            clock,
            rng,
        )
    })
}
