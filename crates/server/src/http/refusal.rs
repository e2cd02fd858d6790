//! Refusals as clients see them: a problem document with the status of the code table. The outermost layer adds the request id.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bailiwick_core::id::RequestId;
use bailiwick_core::{Code, Problem};
use serde::Serialize;
use serde_json::{Map, Value};

/// A refusal. Its body is written by [`document`], which knows the request.
#[derive(Debug, Clone)]
pub struct Refused(pub Problem);

impl Refused {
    /// A refusal made where no error type of its own is worth having.
    pub fn new(code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self(Problem::new(code, message, help))
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code.http_status());
        let mut response = status
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response();
        response.extensions_mut().insert(self.0);
        response
    }
}

/// More members of a problem document, beside the four that each has.
#[derive(Debug, Clone, Default)]
pub struct Details(pub Map<String, Value>);

/// A refusal that says more than a problem does.
#[derive(Debug, Clone)]
pub struct Detailed {
    /// The problem.
    pub problem: Problem,
    /// The rest.
    pub details: Details,
}

impl From<Problem> for Detailed {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            details: Details::default(),
        }
    }
}

impl IntoResponse for Detailed {
    fn into_response(self) -> Response {
        let mut response = Refused(self.problem).into_response();
        response.extensions_mut().insert(self.details);
        response
    }
}

/// A refusal on the wire.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProblemDocument {
    /// Stable code, see `docs/reference/http-api.md`.
    pub code: String,
    /// What happened and why.
    pub message: String,
    /// What to do; empty when there is nothing to add.
    pub help: String,
    /// The request, as the node's log names it.
    pub request_id: String,
    /// What only this refusal has, such as the `flaws` of a bundle.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
}

/// The problem document of a refusal.
pub fn document(problem: &Problem, details: Details, request: RequestId) -> ProblemDocument {
    ProblemDocument {
        code: problem.code.as_str().to_owned(),
        message: problem.message.clone(),
        help: problem.help.clone(),
        request_id: request.to_string(),
        details: details.0,
    }
}
