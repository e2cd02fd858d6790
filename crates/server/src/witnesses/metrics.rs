//! Metrics of the witnesses.

use bailiwick_core::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What is counted. Witnesses come from the configuration, so their names are few.
#[derive(Debug, Default)]
pub struct WitnessMetrics {
    answers: Family<Vec<(&'static str, String)>, Counter>,
    size: Gauge,
    at: Gauge,
}

impl WitnessMetrics {
    /// Adds them to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "bailiwick_witness_answers",
            "Checkpoints submitted to a witness, by what came of it: cosigned, conflict, failed",
            self.answers.clone(),
        );
        registry.register(
            "bailiwick_witnessed_size",
            "Events under the newest checkpoint that a quorum of witnesses cosigned",
            self.size.clone(),
        );
        registry.register(
            "bailiwick_witnessed_time_seconds",
            "Since when a quorum has vouched for it, in seconds since 1970",
            self.at.clone(),
        );
    }

    pub(super) fn answered(&self, witness: &str, outcome: &'static str) {
        let labels = vec![
            ("witness", witness.to_owned()),
            ("outcome", outcome.to_owned()),
        ];
        self.answers.get_or_create(&labels).inc();
    }

    pub(super) fn witnessed(&self, size: u64, at: Timestamp) {
        self.size.set(i64::try_from(size).unwrap_or(i64::MAX));
        self.at.set(at.as_secs());
    }
}
