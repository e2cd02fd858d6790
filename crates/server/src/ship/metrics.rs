//! Metrics of shipping.

use std::sync::atomic::{AtomicI64, Ordering};

use bailiwick_core::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// How far the place is behind the log.
#[derive(Debug, Default)]
pub struct ShipMetrics {
    size: Gauge,
    lag: Gauge,
    at: Gauge,
    failures: Counter,
    known: AtomicI64,
}

impl ShipMetrics {
    /// Adds them to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "bailiwick_shipped_size",
            "Events that are shipped",
            self.size.clone(),
        );
        registry.register(
            "bailiwick_ship_lag_events",
            "Durable events that are not shipped yet",
            self.lag.clone(),
        );
        registry.register(
            "bailiwick_shipped_time_seconds",
            "When the log was shipped last, in seconds since 1970",
            self.at.clone(),
        );
        registry.register(
            "bailiwick_ship_failures",
            "Rounds of shipping that did not end well",
            self.failures.clone(),
        );
    }

    pub(super) fn shipped(&self, size: u64, durable: u64, at: Timestamp) {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        self.known.store(size, Ordering::Relaxed);
        self.size.set(size);
        self.at.set(at.as_secs());
        self.behind(durable);
    }

    pub(super) fn failed(&self, durable: u64) {
        self.failures.inc();
        self.behind(durable);
    }

    fn behind(&self, durable: u64) {
        let durable = i64::try_from(durable).unwrap_or(i64::MAX);
        self.lag
            .set(durable.saturating_sub(self.known.load(Ordering::Relaxed)));
    }
}
