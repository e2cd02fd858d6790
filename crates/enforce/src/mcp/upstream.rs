//! The tool server's side of a session: a child process or a streamable HTTP endpoint. Nothing is ever sent twice.

mod http;
mod stdio;

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::json::Limits;
use bailiwick_core::server::{Server, Transport};
use bailiwick_core::{Code, Fault, Problem, Secret};
use bytes::Bytes;
use hyper::HeaderMap;
use tokio_util::sync::CancellationToken;

use super::envelope::Envelope;
use super::inbound::Inbound;
use super::outlet::Outlet;
use crate::gateway::Gateway;

/// Largest message of a tool server, in bytes.
pub(crate) const MAX_ANSWER: usize = 16 << 20;
/// A server that shows no sign of life for this long after a request has failed.
pub(crate) const SILENCE: Duration = Duration::from_mins(1);
/// No stream stands longer.
pub(crate) const LONGEST: Duration = Duration::from_hours(24);
/// What is taken from a tool server: larger than what is taken from a caller, and keys may differ in case.
pub(crate) const ANSWER_LIMITS: Limits = Limits {
    bytes: MAX_ANSWER,
    depth: 64,
    members: 1_000_000,
    caseless: false,
};

/// The tool server's side of one session.
pub(crate) enum Upstream {
    /// A child process of this session alone.
    Stdio(stdio::Child),
    /// An HTTP endpoint.
    Http(http::Remote),
}

/// A message on its way to the server.
#[derive(Clone, Copy)]
pub(crate) struct Outbound<'a> {
    /// The id as JSON text.
    pub(crate) id: &'a str,
    /// The bytes, exactly as authorised.
    pub(crate) raw: &'a Bytes,
    /// Headers that go along on HTTP ([`super::headers::onward`]).
    pub(crate) headers: &'a HeaderMap,
    /// The leased credential.
    pub(crate) bearer: Option<&'a Secret<String>>,
    /// The progress token as JSON text, if the request carries one.
    pub(crate) progress: Option<&'a str>,
    /// Whether it stands open until somebody ends it, such as a subscription: silence says nothing then.
    pub(crate) standing: bool,
}

impl Outbound<'_> {
    /// How long the server may show no sign of life.
    pub(crate) const fn silence(&self) -> Duration {
        if self.standing { LONGEST } else { SILENCE }
    }
}

/// The server's answer to one request.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The response; its id is the request's.
    pub(crate) envelope: Envelope,
    /// HTTP status, 200 on stdio.
    pub(crate) status: u16,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// It cannot be reached, or does not start.
    #[error("the tool server cannot be reached: {0}")]
    Down(String),
    /// Its queue is full.
    #[error("the tool server does not keep up")]
    Busy,
    /// It went away, or refused, after it may have read the request.
    #[error("the tool server gave no answer: {0}")]
    Lost(String),
    /// It was silent for too long.
    #[error("the tool server did not answer in time")]
    Timeout,
    /// It answered something that is not MCP.
    #[error("the tool server answered with something that is not MCP: {0}")]
    Protocol(String),
    /// Its answer is over the bound.
    #[error("the tool server's answer is over {MAX_ANSWER} bytes")]
    TooLarge,
    /// It no longer knows the session.
    #[error("the tool server no longer knows this session")]
    SessionGone,
    /// It answered a plain HTTP error to something that it does not know.
    #[error("the tool server answered with HTTP status {0}")]
    Status(u16),
}

impl UpstreamError {
    /// Whether the request may have run.
    pub(crate) fn may_have_run(&self) -> bool {
        !matches!(self, Self::Down(_) | Self::Busy | Self::SessionGone)
    }
}

impl Fault for UpstreamError {
    fn code(&self) -> Code {
        match self {
            Self::Down(_) | Self::Lost(_) => Code::ServerDown,
            Self::Busy => Code::ServerBusy,
            Self::Timeout => Code::UpstreamTimeout,
            Self::Protocol(_) | Self::Status(_) => Code::UpstreamProtocol,
            Self::TooLarge => Code::AnswerTooLarge,
            Self::SessionGone => Code::SessionUnknown,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::SessionGone => "initialise again".to_owned(),
            _ if self.may_have_run() => {
                "the call may have run: look before calling again".to_owned()
            }
            _ => "the call did not run; try again later, or ask the operator of the server"
                .to_owned(),
        }
    }
}

impl Upstream {
    /// Starts the child, or gets ready to call the endpoint. `ended` ends it.
    pub(crate) fn open(
        gateway: &Gateway,
        server: &Server,
        inbound: Arc<Inbound>,
        ended: CancellationToken,
    ) -> Result<Self, Problem> {
        match &server.transport {
            Transport::Http { url } => {
                Ok(Self::Http(http::Remote::new(gateway, url.clone(), inbound)))
            }
            Transport::Stdio {
                command,
                env,
                pass_env,
            } => {
                let launch = stdio::Launch {
                    command,
                    env,
                    pass_env,
                    scratch: &gateway.settings.scratch,
                };
                let child = stdio::Child::start(gateway, &launch, inbound, ended);
                child.map(Self::Stdio).map_err(|error| error.problem())
            }
        }
    }

    /// Sends a request and waits for its answer. Dropping the future gives up waiting; it does not take the request back.
    pub(crate) async fn request(
        &self,
        outbound: Outbound<'_>,
        outlet: &Outlet,
    ) -> Result<Answer, UpstreamError> {
        match self {
            Self::Stdio(child) => child.request(outbound, outlet).await,
            Self::Http(remote) => remote.request(outbound, outlet).await,
        }
    }

    /// Sends a notification.
    pub(crate) async fn notify(
        &self,
        raw: &Bytes,
        headers: &HeaderMap,
        bearer: Option<&Secret<String>>,
    ) -> Result<(), UpstreamError> {
        match self {
            Self::Stdio(child) => child.send(raw),
            Self::Http(remote) => remote.notify(raw, headers, bearer).await,
        }
    }

    /// Follows what the server sends on its own, until it ends. `Ok(false)` at once if it has no such stream.
    pub(crate) async fn listen(
        &self,
        headers: &HeaderMap,
        bearer: Option<&Secret<String>>,
    ) -> Result<Option<http::Listening>, UpstreamError> {
        match self {
            // A child's notifications come in by themselves.
            Self::Stdio(_) => Ok(None),
            Self::Http(remote) => remote.listen(headers, bearer).await.map(Some),
        }
    }

    /// Ends the server's own session.
    pub(crate) async fn end(&self, headers: &HeaderMap, bearer: Option<&Secret<String>>) {
        if let Self::Http(remote) = self {
            remote.end(headers, bearer).await;
        }
    }

    /// Whether it is over.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Stdio(child) => child.is_gone(),
            Self::Http(_) => false,
        }
    }

    /// Whether it takes a credential.
    pub(crate) fn takes_bearer(&self) -> bool {
        matches!(self, Self::Http(_))
    }
}
