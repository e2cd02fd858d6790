//! What a node tells about itself: log lines on standard error, and metrics in OpenMetrics text.

use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bailiwick_core::{Code, Fault};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// Why log lines cannot be written as configured.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("the log filter cannot be read")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Another part of the process has set up logging already.
    #[error("logging is set up already")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

impl Fault for TelemetryError {
    fn code(&self) -> Code {
        match self {
            Self::Filter(_) => Code::ConfigInvalid,
            Self::Twice(_) => Code::Internal,
        }
    }

    fn help(&self) -> String {
        "see log.filter in docs/reference/configuration.md".to_owned()
    }
}

/// Sets up log lines for the whole process. Call it once, first.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder().parse(&log.filter)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr);
    match log.format {
        LogFormat::Text => lines.with_target(false).finish().try_init()?,
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}

/// All metrics of a node.
#[derive(Debug, Default)]
pub struct Metrics {
    registry: Mutex<Registry>,
}

impl Metrics {
    /// The content type of [`Self::render`].
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Lets a part of the node add its metrics.
    pub fn add(&self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.lock());
    }

    /// All metrics as OpenMetrics text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.lock());
        text
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
