//! What a caller gets instead of an answer: a tool result with `isError`, which models read, or a JSON-RPC error (04, Errors).

use std::fmt::Write;

use bailiwick_core::decision::{Decision, Outcome};
use bailiwick_core::id::{ApprovalId, EventId};
use bailiwick_core::{Code, Problem};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::ask::APPROVAL;
use crate::mcp::revision::standing_alone;
use crate::step_up::MESSAGE;

/// Our JSON-RPC error code, outside the ranges that JSON-RPC and MCP reserve.
pub const RPC_REFUSED: i64 = 7_000;

/// A refusal, as callers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// `deny` or `step_up`.
    pub decision: Outcome,
    /// What happened and why.
    pub message: String,
    /// What to do.
    pub help: String,
    /// The event on record, to ask about.
    pub event: Option<EventId>,
    /// The approval that would let it run.
    pub approval: Option<Box<Asked>>,
}

/// An approval that a call waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its id.
    pub id: ApprovalId,
    /// Where a person answers it.
    pub url: String,
    /// Seconds after which asking again makes sense.
    pub retry_after_s: u64,
    /// Whether the client is to ask its user to go there, and then calls again (2026-07-28).
    pub elicit: bool,
}

impl Refusal {
    /// From a problem, before any decision.
    pub fn of(problem: &Problem) -> Self {
        Self::new(problem.code, problem.message.clone(), problem.help.clone())
    }

    /// From parts.
    pub fn new(code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            code,
            decision: Outcome::Deny,
            message: message.into(),
            help: help.into(),
            event: None,
            approval: None,
        }
    }

    /// From a decision that is not `allow`. What would have to change stays with people who may read explanations.
    pub fn from_decision(decision: &Decision) -> Self {
        let code = decision.code.unwrap_or(Code::NoPermit);
        let first = |pick: fn(&bailiwick_core::decision::Reason) -> &String| {
            decision
                .reasons
                .iter()
                .map(pick)
                .find(|text| !text.is_empty())
                .cloned()
                .unwrap_or_default()
        };
        let message = first(|reason| &reason.reason);
        let message = if message.is_empty() {
            code.to_string()
        } else {
            message
        };
        Self {
            decision: decision.outcome,
            ..Self::new(code, message, first(|reason| &reason.fix))
        }
    }

    /// With the event that recorded it.
    #[must_use]
    pub fn on_record(mut self, event: Option<EventId>) -> Self {
        self.event = event;
        self
    }

    /// As a tool result for the request `id` (JSON text). Revisions without handshake want a `resultType`; older ones get none.
    pub fn as_result(&self, id: &str, stateless: bool) -> Bytes {
        if let Some(asked) = self.approval.as_ref().filter(|asked| asked.elicit) {
            return message(id, "result", &self.as_question(asked));
        }
        let mut text = format!(
            "Refused ({}): {}.",
            self.code,
            self.message.trim_end_matches('.')
        );
        if !self.help.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(text, " What to do: {}.", self.help.trim_end_matches('.'));
        }
        if let Some(asked) = &self.approval {
            let _ = write!(text, " A person answers at {}", asked.url);
        }
        let mut result = json!({
            "content": [{ "type": "text", "text": text }],
            "isError": true,
            "_meta": { "bailiwick/decision": self.data() },
        });
        if let (true, Some(members)) = (stateless, result.as_object_mut()) {
            members.insert("resultType".into(), "complete".into());
        }
        message(id, "result", &result)
    }

    fn as_question(&self, asked: &Asked) -> Value {
        let params = json!({ "mode": "url", "url": asked.url, "message": MESSAGE });
        json!({
            "resultType": "input_required",
            "inputRequests": { APPROVAL: { "method": "elicitation/create", "params": params } },
            "_meta": { "bailiwick/decision": self.data() },
        })
    }

    /// As a JSON-RPC error for the request `id` (JSON text), or for a message whose id could not be read.
    pub fn as_error(&self, id: Option<&str>) -> Bytes {
        self.as_error_with(id, self.rpc_code())
    }

    /// The same with another JSON-RPC code.
    pub fn as_error_with(&self, id: Option<&str>, rpc_code: i64) -> Bytes {
        let error = json!({ "code": rpc_code, "message": self.message, "data": self.data() });
        message(id.unwrap_or("null"), "error", &error)
    }

    /// As the error about a revision that is not spoken (MCP 2026-07-28, `UnsupportedProtocolVersionError`).
    pub fn as_unsupported(&self, id: Option<&str>, requested: Option<&str>) -> Bytes {
        let mut data = self.data();
        if let Some(members) = data.as_object_mut() {
            members.insert("requested".into(), requested.into());
            members.insert("supported".into(), standing_alone().into());
        }
        let error = json!({ "code": self.rpc_code(), "message": self.message, "data": data });
        message(id.unwrap_or("null"), "error", &error)
    }

    /// As the body of an HTTP answer outside of MCP.
    pub fn as_problem(&self) -> Bytes {
        let mut data = self.data();
        if let Some(members) = data.as_object_mut() {
            members.insert("message".into(), self.message.clone().into());
        }
        data.to_string().into()
    }

    fn rpc_code(&self) -> i64 {
        match self.code {
            Code::HeaderMismatch => -32_020,
            Code::VersionUnsupported => -32_022,
            Code::ToolUnknown | Code::ArgumentsInvalid | Code::EnvelopeInvalid => -32_602,
            _ => RPC_REFUSED,
        }
    }

    fn data(&self) -> Value {
        let mut data = Map::new();
        data.insert("code".into(), self.code.as_str().into());
        data.insert("decision".into(), self.decision.as_str().into());
        if let Some(event) = self.event {
            data.insert("event".into(), event.to_string().into());
        }
        if let Some(asked) = &self.approval {
            data.insert("approval".into(), asked.id.to_string().into());
            data.insert("url".into(), asked.url.clone().into());
            data.insert("retry_after_s".into(), asked.retry_after_s.into());
        }
        data.insert("help".into(), self.help.clone().into());
        Value::Object(data)
    }
}

/// One JSON-RPC response. `id` is JSON text that was checked when it came in.
pub fn message(id: &str, member: &str, value: &Value) -> Bytes {
    Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"{member}":{value}}}"#
    ))
}
