//! Why a call did not give a result, as the agent sees it: from a refused tool result, a JSON-RPC error or an HTTP status.

use std::error::Error;
use std::fmt;

use rmcp::model::{CallToolResult, ErrorData};
use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::DynamicTransportError;
use rmcp::transport::streamable_http_client::StreamableHttpError;
use serde::Serialize;
use serde_json::Value;

use super::http::HttpError;

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Denial {
    /// The decision's code if there is a decision, else one of `tool_error`, `rpc_error`, `http_refused`, `session_lost`,
    /// `stream_cut`, `cancelled`, `no_credentials`, `unreachable`, `unexpected`, `invalid_command`, `busy`.
    pub code: String,
    /// What happened, in the words of whoever refused.
    pub message: String,
    /// `_meta."bailiwick/decision"` of the result, or the `data` of the error, or the problem in the body, unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Value>,
    /// HTTP status, if the refusal was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `WWW-Authenticate`, if it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl Denial {
    /// A denial without more to it.
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            decision: None,
            status: None,
            challenge: None,
        }
    }

    /// A tool result with `isError`.
    pub(super) fn of_result(result: &CallToolResult) -> Self {
        let decision = result
            .meta
            .as_ref()
            .and_then(|meta| meta.0.get(DECISION))
            .cloned();
        Self::decided(decision, "tool_error", super::answer::text(result))
    }

    /// A request that failed as a whole.
    pub(super) fn of_service(error: &ServiceError) -> Self {
        match error {
            ServiceError::McpError(error) => Self::of_rpc(error),
            ServiceError::TransportSend(error) => Self::of_transport(error),
            ServiceError::TransportClosed => {
                Self::new("stream_cut", "the stream ended before the answer")
            }
            ServiceError::Cancelled { reason } => {
                Self::new("cancelled", reason.as_deref().unwrap_or("cancelled"))
            }
            other => Self::new("unexpected", chain(other)),
        }
    }

    /// A connection that was not opened.
    pub(super) fn of_opening(error: &ClientInitializeError) -> Self {
        match error {
            ClientInitializeError::TransportError { error, .. } => Self::of_transport(error),
            ClientInitializeError::JsonRpcError(error) => Self::of_rpc(error),
            ClientInitializeError::LegacyFallbackFailed { fallback, .. } => {
                Self::of_opening(fallback)
            }
            other => Self::new("unexpected", chain(other)),
        }
    }

    fn of_rpc(error: &ErrorData) -> Self {
        let mut denial = Self::decided(error.data.clone(), "rpc_error", error.message.to_string());
        if denial.code == "rpc_error" {
            denial.message = format!("{} ({})", denial.message, error.code.0);
        }
        denial
    }

    fn of_transport(error: &DynamicTransportError) -> Self {
        match error.error.downcast_ref::<StreamableHttpError<HttpError>>() {
            Some(StreamableHttpError::Client(HttpError::Refused {
                status,
                challenge,
                body,
            })) => Self {
                status: Some(status.as_u16()),
                challenge: challenge.clone(),
                ..Self::of_body(body)
            },
            Some(StreamableHttpError::Client(error @ HttpError::Authorise(_))) => {
                Self::new("no_credentials", chain(error))
            }
            Some(StreamableHttpError::Client(error @ HttpError::Exchange(_))) => {
                Self::new("unreachable", chain(error))
            }
            Some(StreamableHttpError::SessionExpired) => {
                Self::new("session_lost", "the server does not know the session")
            }
            Some(StreamableHttpError::Sse(_) | StreamableHttpError::UnexpectedEndOfStream) => {
                Self::new("stream_cut", "the stream ended before the answer")
            }
            _ => Self::new("unexpected", chain(error)),
        }
    }

    /// The body of a refused request: a JSON-RPC error, a problem `{code, message, …}`, an OAuth error, or text.
    fn of_body(body: &str) -> Self {
        let Ok(value) = serde_json::from_str::<Value>(body) else {
            return Self::new("http_refused", body);
        };
        let text =
            |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(error) = value.get("error").filter(|error| error.is_object()) {
            return Self::decided(
                error.get("data").cloned(),
                "rpc_error",
                text(error, "message").unwrap_or_default(),
            );
        }
        if let Some(error) = text(&value, "error") {
            let message = text(&value, "error_description").unwrap_or_else(|| body.to_owned());
            return Self::decided(Some(value), &error, message);
        }
        let message = text(&value, "message").unwrap_or_else(|| body.to_owned());
        Self::decided(Some(value), "http_refused", message)
    }

    /// The decision names the code if it has one; without a code it is no decision.
    fn decided(decision: Option<Value>, otherwise: &str, message: String) -> Self {
        let decision =
            decision.filter(|decision| decision.get("code").is_some_and(Value::is_string));
        let code = decision
            .as_ref()
            .and_then(|decision| decision.get("code"))
            .and_then(Value::as_str)
            .unwrap_or(otherwise);
        Self {
            code: code.to_owned(),
            message,
            decision,
            status: None,
            challenge: None,
        }
    }
}

/// An error with all its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Where a gateway's decision stands in the `_meta` of a refused call.
const DECISION: &str = "bailiwick/decision";
