//! What carries the record elsewhere while the node runs: shipping, continuous exports, and the notifier.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::start::State;
use super::{Addresses, StartError};
use crate::config::Config;
use crate::exports::{OtlpFollower, ParquetFollower, Webhook};
use crate::ship::{Place, Shipper};
use crate::telemetry::Metrics;

/// Starts what is configured.
pub(super) fn start(
    config: &Config,
    state: &State,
    http: &reqwest::Client,
    addresses: &Addresses,
    metrics: &Metrics,
    tasks: &mut JoinSet<&'static str>,
    stop: &CancellationToken,
) -> Result<(), StartError> {
    let (log, cursors) = (&state.log, config.node.data_dir.join("exports"));
    if let Some(to) = &config.audit.ship {
        let shipper = Arc::new(Shipper::new(
            Place::open(&to.url, http, None)?,
            to.every,
            Arc::clone(log),
            Arc::clone(&state.clock),
        ));
        metrics.add(|registry| shipper.register(registry));
        tasks.spawn(shipper.run(stop.clone()));
    }
    if let Some(endpoint) = &config.audit.otlp {
        let follower = OtlpFollower::new(Arc::clone(log), http.clone(), endpoint, &cursors);
        let follower = Arc::new(follower);
        metrics.add(|registry| follower.register(registry));
        tasks.spawn(follower.run(stop.clone()));
    }
    if let Some(to) = &config.audit.parquet {
        let follower = ParquetFollower::new(Arc::clone(log), to.dir.clone(), to.every, &cursors);
        let follower = Arc::new(follower);
        metrics.add(|registry| follower.register(registry));
        tasks.spawn(follower.run(stop.clone()));
    }
    if let Some(to) = &config.webhook {
        let (log, clock) = (Arc::clone(log), Arc::clone(&state.clock));
        let console = &addresses.console_url;
        let notifier = Webhook::open(to, log, http.clone(), clock, console, &cursors)?;
        let notifier = Arc::new(notifier);
        metrics.add(|registry| notifier.register(registry));
        tasks.spawn(notifier.run(stop.clone()));
    }
    Ok(())
}
