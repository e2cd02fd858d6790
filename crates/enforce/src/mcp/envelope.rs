//! The JSON-RPC 2.0 envelope over raw bytes (04 §1): what is authorised here is, byte for byte, what is forwarded.
//!
//! One value, no batch, no duplicate keys at any level, and exactly one of request, notification and response.

use std::ops::Range;

use bailiwick_core::json::{Flaw, JsonError, Kind, Limits, Text, check};
use bailiwick_core::{Code, Fault};
use bytes::Bytes;

/// Longest string id, in bytes.
pub const MAX_ID: usize = 128;
/// Longest method name, in bytes.
pub const MAX_METHOD: usize = 128;

/// A message whose envelope was checked. Cheap to clone; ranges point into the bytes as received.
#[derive(Debug, Clone)]
pub struct Envelope {
    raw: Bytes,
    kind: Shape,
}

#[derive(Debug, Clone)]
enum Shape {
    Request {
        id: Range<usize>,
        method: String,
        params: Option<Range<usize>>,
    },
    Notification {
        method: String,
        params: Option<Range<usize>>,
    },
    Response {
        id: Option<Range<usize>>,
        result: Option<Range<usize>>,
    },
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Wants an answer.
    Request {
        /// The id as JSON text: a quoted string or an integer.
        id: &'a str,
        /// The method.
        method: &'a str,
    },
    /// Wants none.
    Notification {
        /// The method.
        method: &'a str,
    },
    /// Answers a request.
    Response {
        /// The id as JSON text; none in an error about a message that could not be read.
        id: Option<&'a str>,
    },
}

/// Why a message is not one that every parser reads alike.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not JSON, or not strict enough.
    #[error("the message is not JSON that has one reading: {0}")]
    Json(JsonError),
    /// JSON, but not one JSON-RPC message.
    #[error("the message is not one JSON-RPC 2.0 message: {what} at byte {offset}")]
    Shape {
        /// What is wrong.
        what: &'static str,
        /// Where.
        offset: usize,
    },
}

impl EnvelopeError {
    /// The JSON-RPC error code.
    pub fn rpc_code(&self) -> i64 {
        match self {
            // Over a limit is well-formed JSON that we do not take.
            Self::Json(JsonError {
                kind: Flaw::TooLarge | Flaw::TooDeep | Flaw::TooMany,
                ..
            })
            | Self::Shape { .. } => -32_600,
            Self::Json(_) => -32_700,
        }
    }

    /// The byte where it goes wrong.
    pub fn offset(&self) -> usize {
        match self {
            Self::Json(error) => error.offset,
            Self::Shape { offset, .. } => *offset,
        }
    }
}

impl Fault for EnvelopeError {
    fn code(&self) -> Code {
        Code::EnvelopeInvalid
    }

    fn help(&self) -> String {
        "send one JSON-RPC 2.0 message: UTF-8, each key once per object, at most 4 MiB and 64 deep, no batch".to_owned()
    }
}

impl Envelope {
    /// Reads one message.
    pub fn parse(raw: Bytes, limits: &Limits) -> Result<Self, EnvelopeError> {
        let text = check(&raw, limits).map_err(EnvelopeError::Json)?;
        let kind = shape(&text)?;
        Ok(Self { raw, kind })
    }

    /// What it is.
    pub fn message(&self) -> Message<'_> {
        match &self.kind {
            Shape::Request { id, method, .. } => Message::Request {
                id: self.str(id),
                method,
            },
            Shape::Notification { method, .. } => Message::Notification { method },
            Shape::Response { id, .. } => Message::Response {
                id: id.as_ref().map(|id| self.str(id)),
            },
        }
    }

    /// The method, unless it is a response.
    pub fn method(&self) -> Option<&str> {
        match &self.kind {
            Shape::Request { method, .. } | Shape::Notification { method, .. } => Some(method),
            Shape::Response { .. } => None,
        }
    }

    /// The id as JSON text.
    pub fn id(&self) -> Option<&str> {
        match self.message() {
            Message::Request { id, .. } => Some(id),
            Message::Response { id } => id,
            Message::Notification { .. } => None,
        }
    }

    /// The bytes as received.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// `params`, with ranges that point into [`Self::raw`].
    pub fn params(&self) -> Option<Text<'_>> {
        match &self.kind {
            Shape::Request { params, .. } | Shape::Notification { params, .. } => {
                params.as_ref().and_then(|_| self.whole()?.member("params"))
            }
            Shape::Response { .. } => None,
        }
    }

    /// `result`, with ranges that point into [`Self::raw`]; none for an error.
    pub fn result(&self) -> Option<Text<'_>> {
        match &self.kind {
            Shape::Response {
                result: Some(_), ..
            } => self.whole()?.member("result"),
            _ => None,
        }
    }

    /// The whole message.
    pub fn whole(&self) -> Option<Text<'_>> {
        check(&self.raw, &CHECKED).ok()
    }

    fn str(&self, range: &Range<usize>) -> &str {
        self.raw
            .get(range.clone())
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }
}

/// One spelling for an id or progress token: two JSON texts of the same string or integer are the same id, however a peer escapes it.
pub fn same_id(id: &str) -> String {
    match serde_json::from_str::<String>(id) {
        Ok(text) => serde_json::Value::String(text).to_string(),
        Err(_) => id.to_owned(),
    }
}

/// The bytes were checked when they came in; looking again needs no limits.
const CHECKED: Limits = Limits {
    bytes: usize::MAX,
    depth: usize::MAX,
    members: usize::MAX,
    caseless: false,
};

fn shape(text: &Text<'_>) -> Result<Shape, EnvelopeError> {
    let wrong = |what, at: &Text<'_>| EnvelopeError::Shape {
        what,
        offset: at.range().start,
    };
    match text.kind() {
        Kind::Object => {}
        Kind::Array => return Err(wrong("a batch", text)),
        _ => return Err(wrong("not an object", text)),
    }
    let (mut id, mut method, mut params, mut result, mut error, mut version) =
        (None, None, None, None, None, None);
    for member in text.members().unwrap_or_default() {
        match member.key.as_ref() {
            "jsonrpc" => version = Some(member.value),
            "id" => id = Some(member.value),
            "method" => method = Some(member.value),
            "params" => params = Some(member.value),
            "result" => result = Some(member.value),
            "error" => error = Some(member.value),
            _ => {}
        }
    }
    if version.and_then(|version| version.string()).as_deref() != Some("2.0") {
        return Err(wrong("`jsonrpc` is not \"2.0\"", &version.unwrap_or(*text)));
    }
    if let Some(params) = params.filter(|params| !matches!(params.kind(), Kind::Object)) {
        return Err(wrong("`params` is not an object", &params));
    }
    if let Some(id) = id {
        let null_in_error = id.kind() == Kind::Null && error.is_some();
        if !null_in_error && !usable_id(&id) {
            return Err(wrong(
                "`id` is neither an integer nor a string of 1 to 128 bytes",
                &id,
            ));
        }
    }
    match (method, id, result, error) {
        (Some(method), id, None, None) => {
            let name = method
                .string()
                .ok_or_else(|| wrong("`method` is not a string", &method))?;
            if name.is_empty() || name.len() > MAX_METHOD {
                return Err(wrong("`method` does not have 1 to 128 bytes", &method));
            }
            let (method, params) = (name.into_owned(), params.map(|params| params.range()));
            Ok(match id {
                Some(id) => Shape::Request {
                    id: id.range(),
                    method,
                    params,
                },
                None => Shape::Notification { method, params },
            })
        }
        (None, Some(id), Some(result), None) => Ok(Shape::Response {
            id: Some(id.range()),
            result: Some(result.range()),
        }),
        (None, id, None, Some(_)) => {
            let id = id.filter(|id| id.kind() != Kind::Null).map(|id| id.range());
            Ok(Shape::Response { id, result: None })
        }
        _ => Err(wrong(
            "not exactly one of request, notification and response",
            text,
        )),
    }
}

fn usable_id(id: &Text<'_>) -> bool {
    match id.kind() {
        Kind::String => (3..=MAX_ID + 2).contains(&id.as_bytes().len()),
        // `1.0` and `1e0` are integers to some parsers and not to others.
        Kind::Number => {
            id.as_bytes().len() <= 20
                && id
                    .as_bytes()
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || *byte == b'-')
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
