//! `/mcp/{server}` over HTTP (MCP streamable HTTP, both eras): POST, GET, DELETE. Host and origin first, then the caller, then the message.

pub(crate) mod answer;
mod challenge;
mod detached;
mod door;
mod listen;

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::json::Limits;
use bailiwick_core::name::ServerName;
use bailiwick_core::server::Server;
use bailiwick_core::{Code, Fault, Problem};
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Limited};
use hyper::body::Body as HttpBody;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response};

use super::envelope::{Envelope, Message};
use super::headers::{self, SESSION, single};
use super::methods::Context;
use super::session::Session;
use crate::answer::Refusal;
use crate::caller::Caller;
use crate::gateway::Gateway;

pub(crate) use door::is_loopback;
pub use listen::MAX_CONNECTIONS;

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, Broken>;

/// A body that breaks off: its connection ends with it, so that nobody takes it for whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer breaks off here")]
pub struct Broken;

/// A request's body must be there within this time.
const BODY: Duration = Duration::from_secs(30);
/// Bytes of a refused request's body that are read for the sake of the connection.
const MAX_DISCARDED: usize = 256 << 10;
/// And how long that may take.
const DISCARD: Duration = Duration::from_secs(2);

impl Gateway {
    /// Answers one HTTP request.
    pub async fn handle<B>(self: &Arc<Self>, request: Request<B>) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let origin = match self.check_door(&head.headers, &head.uri) {
            Ok(origin) => origin,
            Err(problem) => return answer::problem(&problem),
        };
        let answered = self.route(&head, body).await;
        let mut response = answered.unwrap_or_else(|problem| answer::problem(&problem));
        answer::finish(self, &mut response, origin);
        response
    }

    async fn route<B>(
        self: &Arc<Self>,
        head: &hyper::http::request::Parts,
        body: B,
    ) -> Result<Response<Body>, Problem>
    where
        B: HttpBody<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let path = head.uri.path();
        if let Some(rest) = path.strip_prefix("/p/") {
            return Ok(self.egress(head, body, rest, None).await);
        }
        if let Some(rest) = path.strip_prefix("/.well-known/oauth-protected-resource/mcp/") {
            return self.metadata(rest, &head.method);
        }
        let name = path
            .strip_prefix("/mcp/")
            .and_then(|name| name.parse::<ServerName>().ok());
        let name = name.ok_or_else(|| {
            Problem::new(
                Code::NotFound,
                "there is nothing here",
                "MCP servers are at /mcp/<server>",
            )
        })?;
        if ![Method::POST, Method::GET, Method::DELETE].contains(&head.method) {
            return Ok(answer::method_not_allowed("GET, POST, DELETE"));
        }
        let caller = match self.caller(head, &name).await {
            Ok(caller) => caller,
            Err(mut response) => {
                discard(body, &mut response).await;
                return Ok(*response);
            }
        };
        let server = self
            .decider
            .replica()
            .view(|state| state.server(&name).cloned())
            .map_err(|behind| behind.problem())?;
        let server = server.ok_or_else(|| {
            Problem::new(
                Code::ServerUnknown,
                format!("no tool server {name} is registered"),
                "",
            )
        })?;
        match head.method {
            Method::GET => self.get(&head.headers, &server, &caller).await,
            Method::DELETE => self.delete(&head.headers, &server, &caller).await,
            _ => {
                let body = read(&head.headers, body).await?;
                self.post(&head.headers, body, &server, &caller).await
            }
        }
    }

    /// The authenticated caller, who may talk to this server at all; otherwise the answer that says why not.
    async fn caller(
        &self,
        head: &hyper::http::request::Parts,
        server: &ServerName,
    ) -> Result<Caller, Box<Response<Body>>> {
        let authenticated = self
            .authenticator
            .authenticate(self, head, (&self.resource(server), &self.resource(server)))
            .await;
        let caller = match authenticated {
            Ok(caller) => caller,
            Err(problem) => return Err(Box::new(self.challenge(&problem, server, None).await)),
        };
        match self.decider.admit(&caller, server) {
            Ok(_) => Ok(caller),
            Err(problem) => Err(Box::new(
                self.challenge(&problem, server, Some(&caller)).await,
            )),
        }
    }

    async fn post(
        self: &Arc<Self>,
        headers: &HeaderMap,
        body: Bytes,
        server: &Arc<Server>,
        caller: &Caller,
    ) -> Result<Response<Body>, Problem> {
        let envelope = match Envelope::parse(body, &Limits::ENVELOPE) {
            Ok(envelope) => envelope,
            Err(error) => {
                self.metrics.refuse(error.code());
                let refusal = Refusal::of(&error.problem());
                return Ok(answer::json(
                    400,
                    refusal.as_error_with(None, error.rpc_code()),
                ));
            }
        };
        let id = envelope.id().map(str::to_owned);
        match self.message(headers, envelope, server, caller).await {
            Ok(response) => Ok(response),
            Err(problem) => {
                self.metrics.refuse(problem.code);
                let status = match problem.code {
                    Code::HeaderMismatch
                    | Code::VersionUnsupported
                    | Code::EnvelopeInvalid
                    | Code::InvalidInput => 400,
                    code => code.http_status(),
                };
                let (refusal, id) = (Refusal::of(&problem), id.as_deref());
                let body = if problem.code == Code::VersionUnsupported {
                    let requested = single(headers, &headers::VERSION)?;
                    refusal.as_unsupported(id, requested.as_deref())
                } else {
                    refusal.as_error(id)
                };
                Ok(answer::json(status, body))
            }
        }
    }

    async fn message(
        self: &Arc<Self>,
        headers: &HeaderMap,
        envelope: Envelope,
        server: &Arc<Server>,
        caller: &Caller,
    ) -> Result<Response<Body>, Problem> {
        let alone = headers::standing_alone(headers, &envelope)?;
        let context = Context {
            headers: headers::onward(headers),
            parameters: headers::candidates(headers),
            stateless: alone.is_some(),
            caller: caller.clone(),
        };
        let named = single(headers, &SESSION)?;
        let (session, opens) = match (named, alone.is_some(), envelope.method()) {
            (Some(id), _, _) => {
                let session = self
                    .sessions
                    .find(&id, caller, server)
                    .ok_or_else(session_unknown)?;
                headers::check_agreed(headers, session.revision().as_deref())?;
                (session, false)
            }
            (None, false, Some("initialize")) => {
                let probed = self.sessions.take_probe(caller, server);
                (probed.map_or_else(|| self.open(server, caller), Ok)?, true)
            }
            (None, true, _) => (self.stateless(server, caller)?, false),
            (None, false, _) => {
                let help = "initialise first, and send the Mcp-Session-Id of the answer";
                return Err(Problem::new(
                    Code::InvalidInput,
                    "the request names no MCP session",
                    help,
                ));
            }
        };
        match envelope.message() {
            Message::Request { .. } => Ok(self
                .exchange(session, envelope, context, headers, opens)
                .await),
            Message::Notification { .. } => {
                self.notification(&session, &envelope, &context).await;
                Ok(answer::accepted())
            }
            Message::Response { .. } => {
                self.answered_by_client(&session, &envelope, &context).await;
                Ok(answer::accepted())
            }
        }
    }

    fn open(&self, server: &Arc<Server>, caller: &Caller) -> Result<Arc<Session>, Problem> {
        let view = self.decider.admit(caller, &server.name)?;
        Session::open(self, Arc::clone(server), caller, &view)
    }

    fn stateless(&self, server: &Arc<Server>, caller: &Caller) -> Result<Arc<Session>, Problem> {
        if let Some(session) = self.sessions.stateless(caller, server) {
            return Ok(session);
        }
        self.sessions.keep_stateless(self.open(server, caller)?)
    }

    async fn delete(
        &self,
        headers: &HeaderMap,
        server: &Server,
        caller: &Caller,
    ) -> Result<Response<Body>, Problem> {
        let Some(id) = single(headers, &SESSION)? else {
            return Ok(answer::method_not_allowed("POST"));
        };
        let session = self
            .sessions
            .find(&id, caller, server)
            .ok_or_else(session_unknown)?;
        if let Ok(bearer) = self.bearer(&session, caller).await {
            session
                .upstream
                .end(&headers::onward(headers), bearer.as_ref())
                .await;
        }
        self.sessions.remove(&id);
        Ok(answer::empty(204))
    }
}

fn session_unknown() -> Problem {
    Problem::new(
        Code::SessionUnknown,
        "there is no such MCP session for this caller",
        "initialise again",
    )
}

/// Takes a refused request's body off the connection, so that the caller can try again on it, as it does with a new nonce. What is too
/// large or too slow for that ends the connection, and the answer says so.
pub(crate) async fn discard<B>(body: B, response: &mut Response<Body>)
where
    B: HttpBody<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let whole = Limited::new(body, MAX_DISCARDED).collect();
    if !matches!(tokio::time::timeout(DISCARD, whole).await, Ok(Ok(_))) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
}

/// The body of a POST, whole, within its bounds.
async fn read<B>(headers: &HeaderMap, body: B) -> Result<Bytes, Problem>
where
    B: HttpBody<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let media = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(
            Code::InvalidInput,
            "the body is not application/json",
            "send Content-Type: application/json",
        ));
    }
    whole(body, Limits::ENVELOPE.bytes, Code::TooLarge).await
}

/// A body within `bound` bytes and its time; `over` says that it is longer.
pub(crate) async fn whole<B>(body: B, bound: usize, over: Code) -> Result<Bytes, Problem>
where
    B: HttpBody<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let limited = Limited::new(body, bound).collect();
    match tokio::time::timeout(BODY, limited).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Problem::new(
            over,
            format!("the body has more than {bound} bytes"),
            "send smaller messages",
        )),
        Ok(Err(_)) => Err(Problem::new(
            Code::InvalidInput,
            "the body broke off",
            "send it whole",
        )),
        Err(_) => Err(Problem::new(
            Code::TimedOut,
            "the body did not come within 30 s",
            "send it at once",
        )),
    }
}

#[cfg(test)]
mod tests;
