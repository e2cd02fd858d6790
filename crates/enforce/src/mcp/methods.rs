//! What each method may do (04 §4): decided, filtered, passed, or refused. What is not named here is refused.

use std::sync::Arc;

use bailiwick_core::event::EventType;
use bailiwick_core::json::Kind;
use bailiwick_core::{Code, Fault, Problem, Secret};
use bytes::Bytes;
use hyper::HeaderMap;

use super::envelope::{Envelope, Message, same_id};
use super::lists;
use super::outlet::{Outlet, Reply};
use super::revision::{META_CAPABILITIES, WITHHELD, revision};
use super::session::Session;
use super::splice::{Splices, member_ranges};
use super::upstream::{Answer, Outbound, UpstreamError};
use crate::answer::Refusal;
use crate::call;
use crate::gateway::Gateway;
use crate::live::Cut;
use crate::ports::LeaseWanted;
use crate::record;

/// How a message came.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// Headers that go on to an HTTP upstream.
    pub(crate) headers: HeaderMap,
    /// Whether it stands alone (revision without handshake): its caller takes it back by going away.
    pub(crate) stateless: bool,
}

/// What a request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// Decided as its tool.
    Call,
    /// Goes on with what clients may not offer taken out.
    Open,
    /// Goes on as it is.
    Pass,
    /// Goes on; elements of this member are filtered.
    List(&'static str),
    /// Refused.
    Refuse,
}

fn route(method: &str) -> Route {
    match method {
        "tools/call" => Route::Call,
        "initialize" | "server/discover" => Route::Open,
        "ping" | "logging/setLevel" => Route::Pass,
        "tools/list" => Route::List("tools"),
        "prompts/list" => Route::List("prompts"),
        "resources/list" => Route::List("resources"),
        "resources/templates/list" => Route::List("resourceTemplates"),
        _ => Route::Refuse,
    }
}

/// Why a request of ours did not come to its end.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// A fence cut it, or its task or process ended.
    Cut(Cut),
    /// Its caller took it back or went away.
    Cancelled,
    /// The upstream failed.
    Failed(UpstreamError),
}

impl Gateway {
    /// Answers one request of a session.
    pub(crate) async fn request(
        &self,
        session: &Arc<Session>,
        envelope: &Envelope,
        context: &Context,
        outlet: &Outlet,
    ) -> Reply {
        let Message::Request { id, method } = envelope.message() else {
            return Reply {
                status: 202,
                body: Bytes::new(),
            };
        };
        session.touch(self.ports.clock.monotonic());
        let Some(open) = session.begin(&same_id(id)) else {
            let help = "give each open request an id of its own, and wait for answers";
            let refusal = Refusal::new(
                Code::ServerBusy,
                "the id is in use, or too many requests are open in this session",
                help,
            );
            return self.error(&refusal, id, 200);
        };
        let route = route(method);
        if !matches!(method, "server/discover" | "ping") {
            session.use_it();
        }
        match route {
            Route::Call => {
                call::run(self, session, envelope, context, outlet, &open.cancelled).await
            }
            Route::Refuse => self.refuse_method(session, id, method, context).await,
            Route::Open | Route::Pass | Route::List(_) => {
                let raw = if route == Route::Open {
                    withhold(envelope)
                } else {
                    envelope.raw().clone()
                };
                let sent = async {
                    let bearer = self.bearer(session).await.map_err(Ok)?;
                    let outbound = outbound(id, &raw, envelope, context, bearer.as_ref());
                    self.forward(session, outbound, context, outlet, &open.cancelled)
                        .await
                        .map_err(Err)
                };
                match sent.await {
                    Err(Ok(problem)) => self.error(&Refusal::of(&problem), id, 200),
                    Err(Err(stopped)) => self.stopped(&stopped, id, method),
                    Ok(answer) => {
                        self.answered(session, envelope, route, answer, context)
                            .await
                    }
                }
            }
        }
    }

    /// Passes on, or drops, one notification of a session.
    pub(crate) async fn notification(
        &self,
        session: &Arc<Session>,
        envelope: &Envelope,
        context: &Context,
    ) {
        session.touch(self.ports.clock.monotonic());
        let passes = match envelope.method() {
            // Only a request of this very session can be taken back, and what never left is not taken back at the server.
            Some("notifications/cancelled") => {
                let id = envelope
                    .params()
                    .and_then(|params| params.member("requestId"));
                id.is_some_and(|id| session.cancel(&same_id(id.as_str())))
            }
            Some("notifications/initialized") => true,
            // Nothing that a server could ask for is passed on, so nothing that would answer it is either.
            _ => false,
        };
        if !passes || envelope.raw().len() > super::inbound::MAX_NOTIFICATION {
            return;
        }
        // Taking back a call is sent by the call itself, so that it is sent once.
        if envelope.method() == Some("notifications/cancelled") {
            return;
        }
        let sent = match self.bearer(session).await {
            Ok(bearer) => {
                session
                    .upstream
                    .notify(envelope.raw(), &context.headers, bearer.as_ref())
                    .await
            }
            Err(problem) => Err(UpstreamError::Down(problem.message)),
        };
        if let Err(error) = sent {
            tracing::debug!(server = %session.server.name, %error, "a notification was not delivered");
        }
    }

    /// Sends a request and waits for the answer, a cut, the caller's change of mind, or the bound on one call.
    pub(crate) async fn forward(
        &self,
        session: &Session,
        outbound: Outbound<'_>,
        context: &Context,
        outlet: &Outlet,
        cancelled: &tokio_util::sync::CancellationToken,
    ) -> Result<Answer, Stopped> {
        let answer = tokio::time::timeout(
            self.settings.call_timeout,
            session.upstream.request(outbound, outlet),
        );
        let gone = async {
            // With a handshake, a caller that goes away has not taken anything back.
            if context.stateless {
                outlet.closed().await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        let stopped = tokio::select! {
            biased;
            cut = session.entered.cut() => Stopped::Cut(cut),
            () = cancelled.cancelled() => Stopped::Cancelled,
            () = gone => Stopped::Cancelled,
            answer = answer => match answer {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => Stopped::Failed(error),
                Err(_) => Stopped::Failed(UpstreamError::Timeout),
            },
        };
        if !matches!(
            stopped,
            Stopped::Failed(UpstreamError::Down(_) | UpstreamError::Busy)
        ) {
            self.take_back(session, &outbound, context).await;
        }
        Err(stopped)
    }

    /// Tells the server that nobody waits any more. It may or may not stop.
    pub(crate) async fn take_back(
        &self,
        session: &Session,
        outbound: &Outbound<'_>,
        context: &Context,
    ) {
        // Over HTTP without sessions, closing the stream says it.
        if context.stateless && session.upstream.takes_bearer() {
            return;
        }
        let raw = Bytes::from(format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{},"reason":"no longer wanted"}}}}"#,
            outbound.id
        ));
        let sent = session
            .upstream
            .notify(&raw, outbound.headers, outbound.bearer);
        let _ = tokio::time::timeout(TAKE_BACK, sent).await;
    }

    /// The credential that the session's server takes for requests that are no calls.
    pub(crate) async fn bearer(
        &self,
        session: &Session,
    ) -> Result<Option<Secret<String>>, Problem> {
        let (Some(credential), true) =
            (&session.server.credential, session.upstream.takes_bearer())
        else {
            return Ok(None);
        };
        let view = self.decider.admit(&session.caller, &session.server.name)?;
        let wanted = LeaseWanted {
            server: session.server.name.clone(),
            credential: credential.clone(),
            task: session.caller.task,
            instance: session.caller.instance,
            agent: view.agent.name.clone(),
            cause: None,
        };
        self.ports
            .leaser
            .lease(wanted)
            .await
            .map(|leased| Some(leased.bearer))
    }

    /// A JSON-RPC error, counted.
    pub(crate) fn error(&self, refusal: &Refusal, id: &str, status: u16) -> Reply {
        self.metrics.refuse(refusal.code);
        Reply {
            status,
            body: refusal.as_error(Some(id)),
        }
    }

    async fn answered(
        &self,
        session: &Arc<Session>,
        request: &Envelope,
        route: Route,
        answer: Answer,
        context: &Context,
    ) -> Reply {
        let Answer { envelope, status } = answer;
        match (route, request.method()) {
            (Route::List(member), _) => {
                lists::filter(self, session, request, &envelope, member, context).await
            }
            (_, Some("initialize")) => match agreed(&envelope) {
                Ok(Some(revision)) => {
                    session.agree(revision);
                    Reply {
                        status,
                        body: envelope.raw().clone(),
                    }
                }
                Ok(None) => Reply {
                    status,
                    body: envelope.raw().clone(),
                },
                Err(problem) => {
                    self.error(&Refusal::of(&problem), request.id().unwrap_or("null"), 200)
                }
            },
            _ => Reply {
                status,
                body: envelope.raw().clone(),
            },
        }
    }

    fn stopped(&self, stopped: &Stopped, id: &str, method: &str) -> Reply {
        match stopped {
            // A probe that the server does not know, in whatever way it says so: clients of both eras then shake hands.
            Stopped::Failed(UpstreamError::Status(status))
                if method == "server/discover" && (400..500).contains(status) =>
            {
                let refusal = Refusal::new(
                    Code::UpstreamProtocol,
                    "Method not found",
                    "open the session with initialize",
                );
                Reply {
                    status: 404,
                    body: refusal.as_error_with(Some(id), -32_601),
                }
            }
            other => self.error(&refusal_of(other), id, 200),
        }
    }

    async fn refuse_method(
        &self,
        session: &Session,
        id: &str,
        method: &str,
        context: &Context,
    ) -> Reply {
        self.metrics.refuse(Code::NoPermit);
        let view = self
            .decider
            .admit(&session.caller, &session.server.name)
            .ok();
        let mut event = record::event(
            &self.ports,
            EventType::ToolRefused,
            &session.caller,
            view.as_ref(),
        );
        let named = record::Named {
            server: &session.server.name,
            tool: None,
            request_id: id,
            arguments: "",
        };
        event.action = Some(named.action(method));
        event.outcome = Some(record::refused(Code::NoPermit));
        let event = record::narrow(&self.ports, event).await;
        let refusal = Refusal::new(
            Code::NoPermit,
            "this gateway does not pass this method on",
            "call tools",
        )
        .on_record(event);
        let status = if context.stateless { 404 } else { 200 };
        Reply {
            status,
            body: refusal.as_error_with(Some(id), -32_601),
        }
    }
}

/// How long telling a server that nobody waits may take.
const TAKE_BACK: std::time::Duration = std::time::Duration::from_secs(2);

/// A request of the caller, ready to go on.
pub(crate) fn outbound<'a>(
    id: &'a str,
    raw: &'a Bytes,
    envelope: &'a Envelope,
    context: &'a Context,
    bearer: Option<&'a Secret<String>>,
) -> Outbound<'a> {
    let progress = envelope
        .params()
        .and_then(|params| params.member("_meta")?.member("progressToken"));
    Outbound {
        id,
        raw,
        headers: &context.headers,
        bearer,
        progress: progress.map(|token| token.as_str()),
    }
}

/// What a caller is told about a request that did not come to its end.
pub(crate) fn refusal_of(stopped: &Stopped) -> Refusal {
    match stopped {
        Stopped::Cut(cut) => {
            let code = if cut.fence.is_some() {
                Code::Revoked
            } else {
                Code::CallCut
            };
            Refusal::new(
                code,
                format!("cut: {}", cut.reason),
                "what ran before the cut is on record; open a new task to go on",
            )
        }
        Stopped::Cancelled => Refusal::new(
            Code::CallCut,
            "the caller took the request back",
            "what ran before that is on record",
        ),
        Stopped::Failed(error) => Refusal::of(&error.problem()),
    }
}

/// The revision that the server agreed to; none if it answered with an error.
fn agreed(answer: &Envelope) -> Result<Option<String>, Problem> {
    let Some(result) = answer.result() else {
        return Ok(None);
    };
    let name = result
        .member("protocolVersion")
        .and_then(|version| version.string())
        .unwrap_or_default();
    match revision(&name) {
        Some(revision) => Ok(Some(revision.name.to_owned())),
        None => Err(Problem::new(
            Code::VersionUnsupported,
            "the tool server chose an MCP revision that is not spoken here",
            "update the tool server or this node",
        )),
    }
}

/// The request without the client capabilities that would let a server ask it something.
fn withhold(envelope: &Envelope) -> Bytes {
    let Some(params) = envelope.params() else {
        return envelope.raw().clone();
    };
    let in_meta = params
        .member("_meta")
        .and_then(|meta| meta.member(META_CAPABILITIES));
    let mut splices = Splices::default();
    for capabilities in [params.member("capabilities"), in_meta]
        .into_iter()
        .flatten()
    {
        if capabilities.kind() == Kind::Object {
            let members = capabilities.members().unwrap_or_default();
            let keep = |index: usize| {
                members
                    .get(index)
                    .is_some_and(|member| !WITHHELD.contains(&member.key.as_ref()))
            };
            splices.retain(&member_ranges(&capabilities), keep);
        }
    }
    if splices.is_empty() {
        envelope.raw().clone()
    } else {
        Bytes::from(splices.apply(envelope.raw()))
    }
}
