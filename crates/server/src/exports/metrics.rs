//! Metrics of continuous exports.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// How far an export is behind the log.
#[derive(Debug, Clone, Default)]
pub struct ExportMetrics {
    next: Gauge,
    lag: Gauge,
    failures: Counter,
    rejected: Counter,
}

impl ExportMetrics {
    /// Adds them to a registry, below the shape's name.
    pub fn register(&self, registry: &mut Registry, shape: &'static str) {
        let registry = registry.sub_registry_with_label(("shape".into(), shape.into()));
        registry.register(
            "bailiwick_exported_size",
            "Events handed over",
            self.next.clone(),
        );
        registry.register(
            "bailiwick_export_lag_events",
            "Durable events that are not handed over yet",
            self.lag.clone(),
        );
        registry.register(
            "bailiwick_export_failures",
            "Batches that could not be handed over and are tried again",
            self.failures.clone(),
        );
        registry.register(
            "bailiwick_export_rejected_events",
            "Events that the receiver refused for good",
            self.rejected.clone(),
        );
    }

    pub(super) fn stands(&self, next: u64, durable: u64) {
        self.next.set(i64::try_from(next).unwrap_or(i64::MAX));
        let lag = durable.saturating_sub(next);
        self.lag.set(i64::try_from(lag).unwrap_or(i64::MAX));
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }

    pub(super) fn rejected(&self, events: u64) {
        self.rejected.inc_by(events);
    }
}
