//! Metrics of the log itself: whether its files verify and its clock is right.

use std::fmt;
use std::sync::Arc;

use bailiwick_audit::Log;
use bailiwick_audit::verify::Verdict;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;

/// Reads the log when it is asked.
pub(super) struct LogMetrics(pub(super) Arc<Log>);

impl fmt::Debug for LogMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogMetrics({})", self.0.origin())
    }
}

impl Collector for LogMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let scrubbed = self.0.scrubbed().borrow().clone();
        let mut gauge = |name, help, value: i64| {
            let gauge = ConstGauge::new(value);
            let descriptor = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(descriptor)
        };
        gauge(
            "bailiwick_log_clock_off",
            "1 while the wall clock differs from the time that passed",
            self.0.is_clock_off().into(),
        )?;
        let Some(scrubbed) = scrubbed else {
            return Ok(());
        };
        gauge(
            "bailiwick_log_scrubbed_timestamp_seconds",
            "When all files of the log were last verified",
            scrubbed.at.as_secs(),
        )?;
        gauge(
            "bailiwick_log_scrub_failed",
            "1 if one of them did not verify",
            (!matches!(scrubbed.verdict, Verdict::Proven(_))).into(),
        )
    }
}
