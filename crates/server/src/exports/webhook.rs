//! `[notify] webhook`: what somebody should know of, sent as it comes on record, by Standard Webhooks (standardwebhooks.com, v1). The record is
//! its outbox: what is not taken is sent again, over restarts, in order. Nothing sealed goes with it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bailiwick_audit::Log;
use bailiwick_audit::export::{ExportError, Exporter, Recorded};
use bailiwick_core::event::{Event, EventType};
use bailiwick_core::{Clock, Secret, Timestamp};
use bailiwick_crypto::hash::hmac_sha256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Cursor, ExportMetrics, FollowError, follow, take};
use crate::config::WebhookTo;
use crate::node::StartError;
use crate::secret_file;

/// Time for the receiver to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Events looked at before it is kept how far it has come.
const LOOK: usize = 1024;
/// What nobody took for this long is given up, so that it holds back nothing else.
const GIVE_UP_AFTER: Duration = Duration::from_hours(24);
/// What a secret begins with.
const SECRET_PREFIX: &str = "whsec_";
/// Bytes of a secret.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Who follows, as the node names it.
const NAME: &str = "notifier";

/// Follows the log and tells of what people should know.
pub struct Webhook {
    log: Arc<Log>,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    url: String,
    /// Where people look at what they are told of.
    console: String,
    secret: Secret<Vec<u8>>,
    cursor: Cursor,
    /// What the cursor was last written as by this process.
    kept: AtomicU64,
    metrics: ExportMetrics,
}

/// One event to tell of.
struct Notice {
    index: u64,
    event: String,
    at: Timestamp,
    body: String,
}

impl Webhook {
    /// Tells of what is recorded from its first start on. The cursor is in `dir`.
    pub fn open(
        to: &WebhookTo,
        log: Arc<Log>,
        client: reqwest::Client,
        clock: Arc<dyn Clock>,
        console: &str,
        dir: &Path,
    ) -> Result<Self, StartError> {
        let what = "the secret of [notify] webhook";
        let unusable = |source| StartError::Path {
            path: to.secret_file.clone(),
            what,
            source,
        };
        let text = secret_file::read(
            &to.secret_file,
            what,
            "others could sign what the receiver believes",
        )?;
        let secret = key_of(text.expose()).ok_or_else(|| {
            unusable(std::io::Error::other(
                "it is not `whsec_` and the base64 of 24 to 64 bytes",
            ))
        })?;
        let cursor = Cursor::new(dir.join("webhook.cursor"));
        // What is older is no news.
        cursor
            .begin(log.size())
            .map_err(|source| StartError::Path {
                path: dir.to_owned(),
                what: "where the notifier stands",
                source,
            })?;
        Ok(Self {
            log,
            client,
            clock,
            url: to.url.clone(),
            console: console.trim_end_matches('/').to_owned(),
            secret,
            cursor,
            kept: AtomicU64::new(0),
            metrics: ExportMetrics::default(),
        })
    }

    /// Adds the metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry, "webhook");
    }

    /// Tells until `stop`. What is not told by then is told after the next start.
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
        NAME
    }

    async fn batch(&self, next: u64) -> Result<u64, FollowError> {
        let collected = Notices {
            console: self.console.clone(),
            found: Vec::new(),
        };
        let (collected, taken) = take(&self.log, next, LOOK, collected).await?;
        for notice in &collected.found {
            if let Some(why) = self.tell(notice).await? {
                self.metrics.rejected(1);
                tracing::error!(
                    url = self.url,
                    event = notice.event,
                    why,
                    "the receiver does not take this for good"
                );
            }
            self.keep(notice.index.saturating_add(1))?;
        }
        let next = taken.next.max(next);
        // Most events are nobody's news: reading a few again costs less than a sync for each batch of them.
        if next.saturating_sub(self.kept.load(Ordering::Relaxed)) >= LOOK as u64 {
            self.keep(next)?;
        }
        Ok(next)
    }

    fn keep(&self, next: u64) -> std::io::Result<()> {
        self.cursor.write(next)?;
        self.kept.store(next, Ordering::Relaxed);
        Ok(())
    }

    /// Sends one notice; none if it was taken, or why it never will be.
    async fn tell(&self, notice: &Notice) -> Result<Option<String>, FollowError> {
        let now = self.clock.wall();
        let sent = self.send(notice, now).await;
        let failed = match sent {
            Ok(200..=299) => return Ok(None),
            Ok(status @ 400..=499) if ![408, 425, 429].contains(&status) => {
                return Ok(Some(format!("status {status}")));
            }
            Ok(status) => FollowError::Status(status),
            Err(error) => FollowError::Send(error),
        };
        if now.since(notice.at) > GIVE_UP_AFTER {
            return Ok(Some(format!("{failed} for a day")));
        }
        Err(failed)
    }

    async fn send(&self, notice: &Notice, now: Timestamp) -> Result<u16, reqwest::Error> {
        let seconds = now.as_secs().to_string();
        let parts: [&[u8]; 5] = [
            notice.event.as_bytes(),
            b".",
            seconds.as_bytes(),
            b".",
            notice.body.as_bytes(),
        ];
        let signature = STANDARD.encode(hmac_sha256(self.secret.expose(), &parts));
        let sending = self
            .client
            .post(&self.url)
            .timeout(ANSWER_WITHIN)
            .header("content-type", "application/json")
            .header("webhook-id", &notice.event)
            .header("webhook-timestamp", &seconds)
            .header("webhook-signature", format!("v1,{signature}"))
            .body(notice.body.clone());
        // What it says beside its status is not read.
        Ok(sending.send().await?.status().as_u16())
    }
}

/// The key in a secret's text.
fn key_of(text: &str) -> Option<Secret<Vec<u8>>> {
    let key = STANDARD.decode(text.strip_prefix(SECRET_PREFIX)?).ok()?;
    SECRET_BYTES.contains(&key.len()).then(|| Secret::new(key))
}

/// Whether somebody should know of events of this type.
const fn is_news(kind: EventType) -> bool {
    matches!(
        kind,
        EventType::ApprovalRequested
            | EventType::ApprovalAnswered
            | EventType::ApprovalClosed
            | EventType::NoticeGiven
            | EventType::TaskOutlived
            | EventType::LeaseOrphaned
            | EventType::EgressReflected
            | EventType::ToolDrifted
            | EventType::PolicyDiverged
            | EventType::LogDegraded
            | EventType::LogScrubFailed
    )
}

/// Where people look at it.
fn page(event: &Event) -> Option<String> {
    if let Some(approval) = &event.approval {
        return Some(format!("approvals/{}", approval.id));
    }
    let task = event.task.as_ref()?;
    Some(format!("tasks/{}", task.id))
}

/// The news among the events of a batch.
struct Notices {
    console: String,
    found: Vec<Notice>,
}

impl Exporter for Notices {
    fn take(&mut self, record: &Recorded<'_>) -> Result<(), ExportError> {
        let event = &record.leaf.event;
        if !is_news(event.kind) {
            return Ok(());
        }
        let leaf: Value = serde_json::from_slice(record.bytes).unwrap_or_default();
        let url = page(event).map(|page| format!("{}/{page}", self.console));
        let body = json!({
            "type": event.kind,
            "timestamp": record.leaf.ts,
            "data": { "log": record.origin, "index": record.index, "url": url, "event": leaf },
        });
        self.found.push(Notice {
            index: record.index,
            event: event.id.to_string(),
            at: record.leaf.ts,
            body: body.to_string(),
        });
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        Ok(())
    }
}
