//! A tool server over streamable HTTP: JSON or server-sent events back, message by message. Its credential is leased; nothing of the
//! caller's own credentials ever goes there, and no redirect is followed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bailiwick_core::Secret;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use hyper::HeaderMap;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder, Response};
use tokio_util::task::TaskTracker;

use super::{ANSWER_LIMITS, Answer, MAX_ANSWER, Outbound, SILENCE, UpstreamError};
use crate::gateway::Gateway;
use crate::mcp::envelope::{Envelope, Message, same_id};
use crate::mcp::headers::SESSION;
use crate::mcp::inbound::Inbound;
use crate::mcp::outlet::Outlet;
use crate::mcp::sse;

/// An HTTP endpoint, with the session that it gave us.
#[derive(Clone)]
pub(crate) struct Remote {
    client: Client,
    url: String,
    session: Arc<Mutex<Option<HeaderValue>>>,
    inbound: Arc<Inbound>,
    tasks: TaskTracker,
}

/// A standing stream of the server.
pub(crate) struct Listening {
    remote: Remote,
    response: Response,
    headers: HeaderMap,
    bearer: Option<Secret<String>>,
}

impl Remote {
    pub(super) fn new(gateway: &Gateway, url: String, inbound: Arc<Inbound>) -> Self {
        Self {
            client: gateway.http.clone(),
            url,
            session: Arc::default(),
            inbound,
            tasks: gateway.tasks.clone(),
        }
    }

    /// Posts a request and reads until its answer.
    pub(super) async fn request(
        &self,
        outbound: Outbound<'_>,
        outlet: &Outlet,
    ) -> Result<Answer, UpstreamError> {
        let request = self.post(outbound.raw, outbound.headers, outbound.bearer);
        let response = within(outbound.silence(), request.send())
            .await?
            .map_err(|error| unsent(&error))?;
        let status = response.status().as_u16();
        if let Some(session) = response.headers().get(SESSION) {
            *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.clone());
        }
        match (status, media_type(&response).as_deref()) {
            (200..=299, Some("text/event-stream")) => self
                .events(response, outbound, outlet)
                .await
                .map(|envelope| Answer {
                    envelope,
                    status: 200,
                }),
            (_, Some("application/json")) => {
                let body = collect(response).await?;
                match Envelope::parse(body, &ANSWER_LIMITS) {
                    Ok(envelope) if answers(&envelope, outbound.id) => {
                        Ok(Answer { envelope, status })
                    }
                    _ => Err(self.failed(status, "its JSON is no answer to the request")),
                }
            }
            _ => Err(self.failed(status, "neither JSON nor an event stream")),
        }
    }

    /// Posts a notification.
    pub(super) async fn notify(
        &self,
        raw: &Bytes,
        headers: &HeaderMap,
        bearer: Option<&Secret<String>>,
    ) -> Result<(), UpstreamError> {
        let request = self.post(raw, headers, bearer);
        let response = within(SILENCE, request.send())
            .await?
            .map_err(|error| unsent(&error))?;
        match response.status().as_u16() {
            200..=299 => Ok(()),
            status => Err(self.failed(status, "it refused a notification")),
        }
    }

    /// Opens the standing stream.
    pub(super) async fn listen(
        &self,
        headers: &HeaderMap,
        bearer: Option<&Secret<String>>,
    ) -> Result<Listening, UpstreamError> {
        let request = self
            .dress(self.client.get(&self.url), headers, bearer)
            .header(ACCEPT, "text/event-stream");
        let response = within(SILENCE, request.send())
            .await?
            .map_err(|error| unsent(&error))?;
        let status = response.status().as_u16();
        if status == 200 && media_type(&response).as_deref() == Some("text/event-stream") {
            return Ok(Listening {
                remote: self.clone(),
                response,
                headers: headers.clone(),
                bearer: bearer.cloned(),
            });
        }
        Err(self.failed(status, "it has no standing stream"))
    }

    /// Ends the server's session; it may not know how to.
    pub(super) async fn end(&self, headers: &HeaderMap, bearer: Option<&Secret<String>>) {
        let session = self
            .session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        if session {
            let request = self.dress(self.client.delete(&self.url), headers, bearer);
            if let Err(error) = within(SILENCE, request.send()).await {
                tracing::debug!(%error, "a tool server did not end its session");
            }
        }
    }

    async fn events(
        &self,
        response: Response,
        outbound: Outbound<'_>,
        outlet: &Outlet,
    ) -> Result<Envelope, UpstreamError> {
        let mut parser = sse::Parser::default();
        let mut chunks = response.bytes_stream();
        loop {
            let chunk = match within(outbound.silence(), chunks.next()).await {
                // Who waits for its client says nothing.
                Err(UpstreamError::Timeout) if self.inbound.waits_for_client() => continue,
                chunk => chunk?,
            };
            let Some(chunk) = chunk else { break };
            let chunk =
                chunk.map_err(|error| UpstreamError::Lost(error.without_url().to_string()))?;
            for data in parser.push(&chunk).map_err(|_| UpstreamError::TooLarge)? {
                let Ok(envelope) = Envelope::parse(data.clone(), &ANSWER_LIMITS) else {
                    self.inbound.dropped();
                    continue;
                };
                if answers(&envelope, outbound.id) {
                    return Ok(envelope);
                }
                let reply = self.inbound.take(&envelope, data, Some(outlet)).await;
                self.reply(reply, outbound.headers, outbound.bearer);
            }
        }
        Err(UpstreamError::Lost(
            "its stream ended without the answer".to_owned(),
        ))
    }

    /// Sends our answer to a server's request on a connection of its own, while its stream is read on.
    fn reply(&self, reply: Option<Bytes>, headers: &HeaderMap, bearer: Option<&Secret<String>>) {
        let Some(reply) = reply else { return };
        let (remote, headers, bearer) = (self.clone(), headers.clone(), bearer.cloned());
        self.tasks.spawn(async move {
            if let Err(error) = remote.notify(&reply, &headers, bearer.as_ref()).await {
                tracing::debug!(%error, "a tool server did not take our refusal of its request");
            }
        });
    }

    fn post(
        &self,
        raw: &Bytes,
        headers: &HeaderMap,
        bearer: Option<&Secret<String>>,
    ) -> RequestBuilder {
        self.dress(self.client.post(&self.url), headers, bearer)
            .header(ACCEPT, "application/json, text/event-stream")
            .header(CONTENT_TYPE, "application/json")
            .body(raw.clone())
    }

    fn dress(
        &self,
        request: RequestBuilder,
        headers: &HeaderMap,
        bearer: Option<&Secret<String>>,
    ) -> RequestBuilder {
        let mut request = request.headers(headers.clone());
        if let Some(session) = self
            .session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
        {
            request = request.header(SESSION, session);
        }
        let bearer = bearer
            .and_then(|bearer| HeaderValue::from_str(&format!("Bearer {}", bearer.expose())).ok());
        if let Some(mut value) = bearer {
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        request
    }

    fn failed(&self, status: u16, why: &str) -> UpstreamError {
        let session = self
            .session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        match status {
            404 if session => UpstreamError::SessionGone,
            401 | 403 => UpstreamError::Lost(format!(
                "it refused the gateway's credential (HTTP status {status})"
            )),
            200..=299 => UpstreamError::Protocol(why.to_owned()),
            300..=399 => UpstreamError::Protocol(format!(
                "a redirect (HTTP status {status}), which is not followed"
            )),
            status => UpstreamError::Status(status),
        }
    }
}

impl Listening {
    /// Passes on what comes until the stream ends.
    pub(crate) async fn run(self, outlet: Outlet) -> Result<(), UpstreamError> {
        let mut parser = sse::Parser::default();
        let mut chunks = self.response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk =
                chunk.map_err(|error| UpstreamError::Lost(error.without_url().to_string()))?;
            for data in parser.push(&chunk).map_err(|_| UpstreamError::TooLarge)? {
                match Envelope::parse(data.clone(), &ANSWER_LIMITS) {
                    Ok(envelope) => {
                        let reply = self
                            .remote
                            .inbound
                            .take(&envelope, data, Some(&outlet))
                            .await;
                        self.remote
                            .reply(reply, &self.headers, self.bearer.as_ref());
                    }
                    Err(_) => self.remote.inbound.dropped(),
                }
            }
        }
        Ok(())
    }
}

/// Whether this is the response to our request: anything else that claims another id goes nowhere.
fn answers(envelope: &Envelope, id: &str) -> bool {
    matches!(envelope.message(), Message::Response { id: Some(answered) } if same_id(answered) == same_id(id))
}

async fn within<T>(silence: Duration, future: impl Future<Output = T>) -> Result<T, UpstreamError> {
    tokio::time::timeout(silence, future)
        .await
        .map_err(|_| UpstreamError::Timeout)
}

async fn collect(response: Response) -> Result<Bytes, UpstreamError> {
    let mut body = BytesMut::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = within(SILENCE, chunks.next()).await? {
        let chunk = chunk.map_err(|error| UpstreamError::Lost(error.without_url().to_string()))?;
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(UpstreamError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn media_type(response: &Response) -> Option<String> {
    let value = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    Some(
        value
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase(),
    )
}

/// A request that failed before its answer began. The URL may hold a secret.
fn unsent(error: &reqwest::Error) -> UpstreamError {
    if error.is_connect() {
        return UpstreamError::Down("no connection".to_owned());
    }
    if error.is_timeout() {
        return UpstreamError::Timeout;
    }
    UpstreamError::Lost("the connection broke".to_owned())
}
