//! `[audit] export.otlp`: events as log records to a collector, OTLP over HTTP in JSON (OTLP 1.x §OTLP/HTTP). Batches go one after the
//! other; what the collector cannot take now is sent again, what it says is bad is not.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_audit::Log;
use bailiwick_audit::export::otlp::{Batch, MAX_RECORDS};
use bailiwick_audit::export::{ExportError, Exporter, Recorded};
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Cursor, ExportMetrics, FollowError, follow, take};

/// Time for the collector to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Longest answer read.
const MAX_ANSWER: usize = 64 << 10;

/// Follows the log and sends what comes.
pub struct OtlpFollower {
    log: Arc<Log>,
    client: reqwest::Client,
    url: String,
    cursor: Cursor,
    metrics: ExportMetrics,
}

/// What the collector did with a batch.
enum Answer {
    Taken,
    /// Some or all of it is bad: sending it again would not help.
    Rejected {
        events: u64,
        why: String,
    },
}

impl OtlpFollower {
    /// Sends to the collector at `endpoint`, whose logs are at `/v1/logs`. The cursor is in `dir`.
    pub fn new(log: Arc<Log>, client: reqwest::Client, endpoint: &str, dir: &Path) -> Self {
        Self {
            log,
            client,
            url: format!("{}/v1/logs", endpoint.trim_end_matches('/')),
            cursor: Cursor::new(dir.join("otlp.cursor")),
            metrics: ExportMetrics::default(),
        }
    }

    /// Adds the metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry, "otlp");
    }

    /// Sends until `stop`. What is not sent by then is sent after the next start.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> &'static str {
        let batch = |next| self.batch(next);
        follow(
            &self.log,
            &self.cursor,
            &self.metrics,
            &self.url,
            &stop,
            batch,
        )
        .await;
        "export to a collector"
    }

    /// Sends one batch and keeps that it is sent.
    async fn batch(&self, next: u64) -> Result<u64, FollowError> {
        let (mut collected, taken) =
            take(&self.log, next, MAX_RECORDS, Collected::default()).await?;
        if let Some(request) = collected.0.request()
            && let Answer::Rejected { events, why } = self.send(&request).await?
        {
            let events = if events == 0 { taken.events } else { events };
            self.metrics.rejected(events);
            tracing::error!(
                url = self.url,
                events,
                why,
                "the collector refused events for good"
            );
        }
        let next = taken.next.max(next);
        self.cursor.write(next)?;
        Ok(next)
    }

    async fn send(&self, request: &Value) -> Result<Answer, FollowError> {
        let sending = self
            .client
            .post(&self.url)
            .timeout(ANSWER_WITHIN)
            .json(request)
            .send();
        let mut answer = sending.await?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                break;
            }
        }
        match status {
            200..=299 => Ok(partial(&body)),
            // Bad data, which the specification says not to send again. All else may be another day's.
            400 | 413 => Ok(Answer::Rejected {
                events: 0,
                why: format!("status {status}"),
            }),
            _ => Err(FollowError::Status(status)),
        }
    }
}

/// `ExportLogsServiceResponse`: a collector may take a part only.
fn partial(body: &[u8]) -> Answer {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let rejected = body.pointer("/partialSuccess/rejectedLogRecords");
    let events = match rejected {
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        Some(number) => number.as_u64().unwrap_or(0),
        None => 0,
    };
    if events == 0 {
        return Answer::Taken;
    }
    let why = body
        .pointer("/partialSuccess/errorMessage")
        .and_then(Value::as_str);
    let why = why.unwrap_or_default().chars().take(200).collect();
    Answer::Rejected { events, why }
}

/// One batch.
#[derive(Default)]
struct Collected(Batch);

impl Exporter for Collected {
    fn take(&mut self, record: &Recorded<'_>) -> Result<(), ExportError> {
        self.0.push(record);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        Ok(())
    }
}
