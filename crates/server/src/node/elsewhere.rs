//! What carries the record elsewhere while the node runs: shipping, and continuous exports.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::start::State;
use crate::config::Config;
use crate::exports::{OtlpFollower, ParquetFollower};
use crate::ship::{Place, Shipper};
use crate::telemetry::Metrics;

/// Starts what is configured.
pub(super) fn start(
    config: &Config,
    state: &State,
    http: &reqwest::Client,
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
    Ok(())
}
