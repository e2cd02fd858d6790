//! Metrics of the index.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// How far the index is.
#[derive(Debug, Default)]
pub struct IndexMetrics {
    indexed: Gauge,
    behind: Gauge,
}

impl IndexMetrics {
    /// Adds them to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "bailiwick_index_size",
            "Events of the record that are in the index without a gap",
            self.indexed.clone(),
        );
        registry.register(
            "bailiwick_index_behind",
            "Events on record that are behind them",
            self.behind.clone(),
        );
    }

    pub(super) fn stand(&self, indexed: u64, size: u64) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.indexed.set(number(indexed.min(size)));
        self.behind.set(number(size.saturating_sub(indexed)));
    }
}
