//! What the gateway counts (`docs/reference/gateway.md`): `bailiwick_mcp_calls`, `_seconds`, `_refused`, `_sessions`, `_dropped`;
//! and `bailiwick_policy_diverged`.

use std::time::Duration;

use bailiwick_core::Code;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The gateway's metrics. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    calls: Family<Vec<(&'static str, &'static str)>, Counter>,
    refused: Family<Vec<(&'static str, &'static str)>, Counter>,
    seconds: Histogram,
    sessions: Gauge,
    dropped: Counter,
    diverged: Counter,
    decided_again: Histogram,
    cut_again: Counter,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        // From a decision without a hop to an approval that took a while.
        let buckets = [
            0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0,
            600.0,
        ];
        Self {
            calls: Family::default(),
            refused: Family::default(),
            seconds: Histogram::new(buckets),
            sessions: Gauge::default(),
            dropped: Counter::default(),
            diverged: Counter::default(),
            decided_again: Histogram::new([
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
            ]),
            cut_again: Counter::default(),
        }
    }

    /// Publishes them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "bailiwick_mcp_calls",
            "Tool calls by outcome",
            self.calls.clone(),
        );
        registry.register(
            "bailiwick_mcp_refused",
            "Messages and callers refused, by code",
            self.refused.clone(),
        );
        registry.register(
            "bailiwick_mcp_seconds",
            "Seconds from a tool call's arrival to its last byte",
            self.seconds.clone(),
        );
        registry.register(
            "bailiwick_mcp_sessions",
            "MCP sessions now open",
            self.sessions.clone(),
        );
        registry.register(
            "bailiwick_mcp_dropped",
            "Lines and messages of tool servers that were not passed on",
            self.dropped.clone(),
        );
        registry.register(
            "bailiwick_policy_diverged",
            "Calls that were looked up in two ways and found by other policies; any is an alarm",
            self.diverged.clone(),
        );
        registry.register(
            "bailiwick_reevaluation_seconds",
            "Seconds from the commit of a change until everything it concerns was decided again",
            self.decided_again.clone(),
        );
        registry.register(
            "bailiwick_reevaluation_cut",
            "Calls and streams that were cut because a change took their permission away",
            self.cut_again.clone(),
        );
    }

    /// One tool call ended.
    pub(crate) fn call(&self, outcome: &'static str, took: Duration) {
        self.calls.get_or_create(&vec![("outcome", outcome)]).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Something was refused.
    pub(crate) fn refuse(&self, code: Code) {
        self.refused
            .get_or_create(&vec![("code", code.as_str())])
            .inc();
    }

    /// Something that a tool server wrote went nowhere.
    pub(crate) fn drop_message(&self) {
        self.dropped.inc();
    }

    /// The index of policies found others than are there.
    pub(crate) fn diverge(&self) {
        self.diverged.inc();
    }

    /// Everything that a change concerns was decided again.
    pub(crate) fn decided_again(&self, took: Duration) {
        self.decided_again.observe(took.as_secs_f64());
    }

    /// So many calls and streams were cut for a change.
    pub(crate) fn cut_again(&self, many: usize) {
        self.cut_again
            .inc_by(u64::try_from(many).unwrap_or(u64::MAX));
    }

    pub(crate) fn sessions(&self, now: usize) {
        self.sessions.set(i64::try_from(now).unwrap_or(i64::MAX));
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
