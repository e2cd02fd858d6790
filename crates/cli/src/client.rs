//! The one HTTP client: the node's API over its unix socket, or over TCP, with TLS or in the clear, with a bearer token. Every request has its own
//! connection; answers are bounded.

mod target;

use std::time::Duration;

use bailiwick_core::{Code, Problem};
use bailiwick_crypto::tls::TlsStream;
use bailiwick_policy::Flaw;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::failure::{Failure, Place};

pub(crate) use target::{Target, encode};

/// Bytes of one answer.
const LARGEST_ANSWER: usize = 64 << 20;
/// Time to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// Time until an answer is complete. Followed streams have none.
const ANSWER: Duration = Duration::from_mins(2);

/// A client of one node.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    target: Target,
}

/// An answer of any status.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
}

impl Client {
    /// A client of the node there.
    pub(crate) fn new(target: Target) -> Self {
        Self { target }
    }

    /// Reads.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.json(Method::GET, path, None).await
    }

    /// Reads with query parameters.
    pub(crate) async fn query(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Value, Failure> {
        self.get(&with_query(path, query)).await
    }

    /// Reads something whose exact bytes count.
    pub(crate) async fn read<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<T, Failure> {
        let exchange = self.exchange(Method::GET, path, None, Bytes::new());
        parsed(&exchange.await?)
    }

    /// Does something.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.json(Method::POST, path, Some(body)).await
    }

    /// Changes something.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.json(Method::PATCH, path, Some(body)).await
    }

    /// Replaces something.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.json(Method::PUT, path, Some(body)).await
    }

    /// Stores raw bytes.
    pub(crate) async fn put_bytes(&self, path: &str, body: Vec<u8>) -> Result<Value, Failure> {
        let headers = [(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        )];
        value(
            &self
                .exchange(Method::PUT, path, headers, body.into())
                .await?,
        )
    }

    /// Removes something.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.json(Method::DELETE, path, None).await
    }

    async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let headers = body.map(|_| (CONTENT_TYPE, HeaderValue::from_static("application/json")));
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        value(&self.exchange(method, path, headers, body).await?)
    }

    /// One request and its whole answer, whatever the status.
    pub(crate) async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Exchange, Failure> {
        let answered = async {
            let response = self.send(method, path, headers, body).await?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, LARGEST_ANSWER).collect().await;
            let body = body.map_err(|error| self.unreachable(&error.to_string()))?;
            Ok(Exchange {
                status: parts.status,
                headers: parts.headers,
                body: body.to_bytes(),
            })
        };
        let late = |_| {
            let message = format!(
                "{} did not answer within {} s",
                self.target,
                ANSWER.as_secs()
            );
            Failure::from(Problem::new(Code::TimedOut, message, "see the node's log"))
        };
        tokio::time::timeout(ANSWER, answered).await.map_err(late)?
    }

    /// The lines of an answer that does not end by itself.
    pub(crate) async fn follow(&self, path: &str) -> Result<Lines, Failure> {
        let response = self.send(Method::GET, path, None, Bytes::new()).await?;
        Ok(Lines {
            body: self.good(response).await?.into_body(),
            buffer: Vec::new(),
        })
    }

    /// An answer of any length, piece by piece.
    pub(crate) async fn download(&self, path: &str, body: &Value) -> Result<Download, Failure> {
        let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let body = body.to_string().into();
        let response = self.send(Method::POST, path, headers, body).await?;
        Ok(Download {
            client: self.clone(),
            body: self.good(response).await?.into_body(),
        })
    }

    /// The response, if it is no refusal.
    async fn good(
        &self,
        response: http::Response<Incoming>,
    ) -> Result<http::Response<Incoming>, Failure> {
        if response.status().is_success() {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await;
        let body = body
            .map_err(|error| self.unreachable(&error.to_string()))?
            .to_bytes();
        Err(refused(&Exchange {
            status: parts.status,
            headers: parts.headers,
            body,
        }))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<http::Response<Incoming>, Failure> {
        let malformed = |error: &dyn std::fmt::Display| {
            Failure::internal(format!("the request cannot be made: {error}"))
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.target.host());
        if let Some(token) = self.target.token() {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|error| malformed(&error))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|error| malformed(&error))?;
        let connect = async {
            match &self.target {
                Target::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
                Target::Tcp { authority, tls, .. } => {
                    let stream = TcpStream::connect(Target::address(authority)).await?;
                    match tls {
                        None => Ok(Stream::Tcp(stream)),
                        Some(tls) => {
                            let name = tls.name.clone();
                            let stream = tls.connector.connect(name, stream).await?;
                            Ok(Stream::Tls(Box::new(stream)))
                        }
                    }
                }
            }
        };
        let stream = match tokio::time::timeout(CONNECT, connect).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.unreachable(&error.to_string())),
            Err(_) => return Err(self.unreachable("no connection within 5 s")),
        };
        match stream {
            Stream::Tls(stream) => self.talk(stream, request).await,
            Stream::Unix(stream) => self.talk(stream, request).await,
            Stream::Tcp(stream) => self.talk(stream, request).await,
        }
    }

    async fn talk<S>(
        &self,
        stream: S,
        request: Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unreachable(&error.to_string()))?;
        // It ends with the answer's body, or when the answer is dropped.
        tokio::spawn(connection);
        sender
            .send_request(request)
            .await
            .map_err(|error| self.unreachable(&error.to_string()))
    }

    fn unreachable(&self, why: &str) -> Failure {
        let help = match &self.target {
            Target::Unix(_) => {
                "start it with `bailiwick serve`, or name another with --node or BAILIWICK_NODE"
            }
            Target::Tcp { tls: None, .. } => {
                "check the address and that the node runs there; one with TLS is https://"
            }
            Target::Tcp { tls: Some(_), .. } => {
                "check the address, that the node runs there, and the authorities of its certificate: --ca or BAILIWICK_CA"
            }
        };
        Problem::new(
            Code::NodeUnreachable,
            format!("no node answers at {}: {why}", self.target),
            help,
        )
        .into()
    }
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// An answer that comes in pieces.
#[derive(Debug)]
pub(crate) struct Download {
    client: Client,
    body: Incoming,
}

impl Download {
    /// The next piece; `None` once the answer is complete. An answer that breaks off is a failure.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| {
                let message = format!("the answer of {} broke off: {error}", self.client.target);
                Failure::from(Problem::new(
                    Code::NodeUnreachable,
                    message,
                    "see the node's log",
                ))
            })?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

/// Lines of a stream, bounded.
#[derive(Debug)]
pub(crate) struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Lines {
    /// The next line without its end; `None` when the stream ends.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
            if self.buffer.len() > LARGEST_ANSWER {
                return None;
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }

    /// The JSON of the next server-sent event; `None` when the stream ends.
    pub(crate) async fn event(&mut self) -> Option<Value> {
        loop {
            let line = self.next().await?;
            if let Some(value) = line
                .strip_prefix("data:")
                .and_then(|data| serde_json::from_str(data).ok())
            {
                return Some(value);
            }
        }
    }
}

/// The body of a good answer, or the problem of another.
fn value(exchange: &Exchange) -> Result<Value, Failure> {
    if !exchange.status.is_success() {
        return Err(refused(exchange));
    }
    if exchange.body.is_empty() {
        return Ok(Value::Null);
    }
    parsed(exchange)
}

/// The body of an answer that is no refusal.
fn parsed<T: serde::de::DeserializeOwned>(exchange: &Exchange) -> Result<T, Failure> {
    if !exchange.status.is_success() {
        return Err(refused(exchange));
    }
    serde_json::from_slice(&exchange.body).map_err(|error| {
        Problem::new(
            Code::NodeUnreachable,
            format!("the node's answer is not JSON: {error}"),
            "is it a Bailiwick node?",
        )
        .into()
    })
}

/// The problem document of a refused request. A code that this program does not know keeps its name in the message.
pub(crate) fn refused(exchange: &Exchange) -> Failure {
    let document: Value = serde_json::from_slice(&exchange.body).unwrap_or(Value::Null);
    let text = |name: &str| {
        document
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let request_id = Some(text("request_id")).filter(|id| !id.is_empty());
    let known = document
        .get("code")
        .and_then(|code| serde_json::from_value::<Code>(code.clone()).ok());
    let problem = match known {
        Some(code) => Problem::new(code, text("message"), text("help")),
        None if !text("error").is_empty() => {
            // RFC 6749 §5.2.
            Problem::new(
                by_status(exchange.status),
                format!("{}: {}", text("error"), text("error_description")),
                "",
            )
        }
        None => {
            let said = if text("message").is_empty() {
                text("code")
            } else {
                text("message")
            };
            Problem::new(
                by_status(exchange.status),
                format!("the node answered {} {said}", exchange.status).trim_end(),
                "",
            )
        }
    };
    let flaws = document.get("flaws").cloned().unwrap_or_default();
    let flaws: Vec<Flaw> = serde_json::from_value(flaws).unwrap_or_default();
    Failure {
        request_id,
        places: flaws.into_iter().map(Place::of).collect(),
        ..Failure::from(problem)
    }
}

fn by_status(status: StatusCode) -> Code {
    match status.as_u16() {
        401 => Code::NotSignedIn,
        403 => Code::NotPermitted,
        404 => Code::NotFound,
        409 => Code::Conflict,
        412 => Code::VersionConflict,
        413 => Code::TooLarge,
        400..=499 => Code::InvalidInput,
        _ => Code::NodeUnreachable,
    }
}

pub(crate) fn with_query(path: &str, query: &[(&str, String)]) -> String {
    if query.is_empty() {
        return path.to_owned();
    }
    let members: Vec<_> = query
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    format!("{path}?{}", members.join("&"))
}

#[cfg(test)]
mod tests;
