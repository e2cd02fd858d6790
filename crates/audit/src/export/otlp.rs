//! `otlp`: log records of the OpenTelemetry protocol in its JSON form (OTLP 1.x, JSON Protobuf Encoding: ids in hex, 64-bit numbers as
//! strings). One line is one `ExportLogsServiceRequest`, which is what a collector takes at `/v1/logs` and reads from a file.
//!
//! Attributes follow the semantic conventions for generative AI and MCP where they have a name for it; the rest is below `bailiwick.`.
//! The record has no trace context of its own, so ids are derived and stable: all events of a task tree are one trace, whose id is the
//! root task's 128 bits; an intent and its result are one span, whose id is the last 64 bits of the intent's event id.

use std::io::Write;

use bailiwick_core::decision::Outcome as Verdict;
use bailiwick_core::event::{Event, ParentRole, Status};
use bailiwick_core::id::EventId;
use serde_json::{Value, json};

use super::{ExportError, Exporter, Recorded, word};

/// Version of the mapping; stands in the scope of every record.
pub const MAPPING: &str = "1";
/// Most records in one request.
pub const MAX_RECORDS: usize = 512;

/// Writes requests, one a line.
#[derive(Debug)]
pub struct Otlp<W> {
    out: W,
    batch: Batch,
}

impl<W: Write> Otlp<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            batch: Batch::default(),
        }
    }

    fn write(&mut self) -> Result<(), ExportError> {
        if let Some(request) = self.batch.request() {
            serde_json::to_writer(&mut self.out, &request)?;
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }
}

impl<W: Write> Exporter for Otlp<W> {
    fn take(&mut self, record: &Recorded<'_>) -> Result<(), ExportError> {
        self.batch.push(record);
        if self.batch.len() >= MAX_RECORDS {
            self.write()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.write()?;
        Ok(self.out.flush()?)
    }
}

/// Records of one log that go into one request.
#[derive(Debug, Default)]
pub struct Batch {
    origin: String,
    version: String,
    records: Vec<Value>,
}

impl Batch {
    /// Adds an event.
    pub fn push(&mut self, record: &Recorded<'_>) {
        if self.records.is_empty() {
            record.origin.clone_into(&mut self.origin);
            self.version.clone_from(&record.leaf.src.version);
        }
        self.records.push(log_record(record));
    }

    /// Events in it.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The request, and an empty batch after it. None if there is nothing to send.
    pub fn request(&mut self) -> Option<Value> {
        if self.records.is_empty() {
            return None;
        }
        let records = std::mem::take(&mut self.records);
        let resource = [
            text("service.name", "bailiwick"),
            text("service.version", &self.version),
            text("service.instance.id", &self.origin),
        ];
        Some(json!({"resourceLogs": [{
            "resource": {"attributes": resource},
            "scopeLogs": [{
                "scope": {"name": "bailiwick.audit", "version": MAPPING},
                "logRecords": records,
            }],
        }]}))
    }
}

fn log_record(record: &Recorded<'_>) -> Value {
    let leaf = record.leaf;
    let event = &leaf.event;
    let nanos = u64::try_from(leaf.ts.as_micros())
        .unwrap_or(0)
        .saturating_mul(1_000)
        .to_string();
    let (number, name) = severity(event);
    let mut body = json!({
        "timeUnixNano": nanos,
        "observedTimeUnixNano": nanos,
        "severityNumber": number,
        "severityText": name,
        "eventName": format!("bailiwick.{}", event.kind.as_str()),
        // The leaf itself: whoever has the record can hash it and ask for a proof.
        "body": {"stringValue": String::from_utf8_lossy(record.bytes)},
        "attributes": attributes(record),
    });
    if let (Some(task), Some(body)) = (&event.task, body.as_object_mut()) {
        body.insert("traceId".into(), trace_id(task.root.bits()).into());
        if event
            .action
            .as_ref()
            .is_some_and(|action| action.tool.is_some())
        {
            body.insert("spanId".into(), span_id(call_of(event)).into());
        }
    }
    body
}

/// 32 hex digits.
pub(super) fn trace_id(bits: u128) -> String {
    format!("{bits:032x}")
}

/// 16 hex digits: the random end of an event's id.
pub(super) fn span_id(event: EventId) -> String {
    format!("{:016x}", event.bits() & u128::from(u64::MAX))
}

/// The event that stands for the call: the intent of a result, else the event itself.
pub(super) fn call_of(event: &Event) -> EventId {
    let intent = event
        .parents
        .iter()
        .find(|parent| parent.role == ParentRole::Intent);
    intent.map_or(event.id, |parent| parent.id)
}

/// Severity numbers of OTLP: 9 INFO, 13 WARN, 17 ERROR.
fn severity(event: &Event) -> (u8, &'static str) {
    let status = event.outcome.as_ref().map(|outcome| outcome.status);
    let verdict = event.decision.as_ref().map(|decision| decision.effect);
    match (status, verdict) {
        (Some(Status::Error | Status::Timeout | Status::Unknown), _) => (17, "ERROR"),
        (Some(Status::Refused | Status::Cut), _) | (_, Some(Verdict::Deny)) => (13, "WARN"),
        _ => (9, "INFO"),
    }
}

fn attributes(record: &Recorded<'_>) -> Vec<Value> {
    let event = &record.leaf.event;
    let mut list = vec![
        text("bailiwick.event.id", &event.id.to_string()),
        text("bailiwick.log.origin", record.origin),
        number("bailiwick.log.index", record.index),
        text("bailiwick.log.leaf_hash", &record.leaf_hash.to_string()),
    ];
    let mut put = |key: &str, value: Option<String>| {
        list.extend(value.map(|value| text(key, &value)));
    };
    if let Some(agent) = &event.agent {
        put("gen_ai.agent.name", Some(agent.id.to_string()));
        put("gen_ai.agent.id", agent.instance.map(|id| id.to_string()));
    }
    put("user.id", event.user.clone());
    put("bailiwick.actor", event.actor.clone());
    if let Some(task) = &event.task {
        put("bailiwick.task.id", Some(task.id.to_string()));
        put("bailiwick.task.root", Some(task.root.to_string()));
        put("bailiwick.task.risk", word(task.risk));
    }
    if let Some(action) = &event.action {
        if let Some(tool) = &action.tool {
            put("gen_ai.operation.name", Some("execute_tool".into()));
            put("gen_ai.tool.name", Some(tool.to_string()));
            put("gen_ai.tool.call.id", Some(call_of(event).to_string()));
            put("mcp.method.name", Some(action.op.clone()));
            put("jsonrpc.request.id", action.request_id.clone());
        } else {
            put("bailiwick.operation", Some(action.op.clone()));
        }
        put(
            "bailiwick.server",
            action.server.as_ref().map(ToString::to_string),
        );
        put("bailiwick.effect", action.effect.and_then(word));
    }
    put(
        "bailiwick.decision",
        event
            .decision
            .as_ref()
            .map(|one| one.effect.as_str().to_owned()),
    );
    put(
        "bailiwick.approval.id",
        event.approval.as_ref().map(|one| one.id.to_string()),
    );
    put(
        "bailiwick.lease.id",
        event.lease.as_ref().map(|one| one.id.to_string()),
    );
    if let Some(outcome) = &event.outcome {
        put("bailiwick.outcome", word(outcome.status));
        put("error.type", outcome.code.clone());
    }
    put("bailiwick.cause", event.cause.map(|id| id.to_string()));
    list
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn number(key: &str, value: u64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}
