//! What each method may do (04 §4): decided, filtered, passed, or refused. What is not named here is refused.

use std::sync::Arc;

use bailiwick_core::event::EventType;
use bailiwick_core::{Code, Problem};
use bytes::Bytes;
use hyper::HeaderMap;

use super::envelope::{Envelope, Message, same_id};
use super::forward::{Stopped, outbound, refusal_of};
use super::lists::{self, List};
use super::outlet::{Outlet, Reply};
use super::revision::revision;
use super::session::Session;
use super::upstream::{Answer, UpstreamError};
use crate::answer::Refusal;
use crate::ask::{self, Asking};
use crate::call;
use crate::caller::Caller;
use crate::catalogue::Pinned;
use crate::fetch::{self, Fetched};
use crate::gateway::Gateway;
use crate::record;

/// How a message came.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// Headers that go on to an HTTP upstream.
    pub(crate) headers: HeaderMap,
    /// Headers that repeat arguments, as far as anybody can tell yet.
    pub(crate) parameters: HeaderMap,
    /// Whether it stands alone (revision without handshake): its caller takes it back by going away.
    pub(crate) stateless: bool,
    /// Who sent this very message: its token may be newer than the one that opened the session.
    pub(crate) caller: Caller,
}

/// What a request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// Decided as its tool.
    Call,
    /// Decided as a prompt or resource.
    Fetch(Fetched),
    /// Goes on with what clients may not offer taken out.
    Open,
    /// Goes on as it is.
    Pass,
    /// Goes on; elements are filtered.
    List(List),
    /// Refused.
    Refuse,
}

fn route(method: &str, stateless: bool) -> Route {
    match method {
        // Subscriptions of a session; without one, `subscriptions/listen` is in their place.
        "resources/subscribe" | "resources/unsubscribe" if stateless => Route::Refuse,
        "tools/call" => Route::Call,
        "prompts/get" => Route::Fetch(Fetched::Prompt),
        "resources/read" | "resources/subscribe" => Route::Fetch(Fetched::Resource),
        "completion/complete" => Route::Fetch(Fetched::Completion),
        "subscriptions/listen" => Route::Fetch(Fetched::Stream),
        "initialize" | "server/discover" => Route::Open,
        "ping" | "logging/setLevel" | "resources/unsubscribe" => Route::Pass,
        "tools/list" => Route::List(List::Pinned(Pinned::Tools)),
        "prompts/list" => Route::List(List::Pinned(Pinned::Prompts)),
        "resources/list" => Route::List(List::Resources),
        "resources/templates/list" => Route::List(List::Templates),
        _ => Route::Refuse,
    }
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
        let route = route(method, context.stateless);
        if !matches!(method, "server/discover" | "ping") {
            session.use_it();
        }
        match route {
            Route::Call => {
                call::run(self, session, envelope, context, outlet, &open.cancelled).await
            }
            Route::Fetch(fetched) => {
                let asked = fetch::Asking {
                    session,
                    envelope,
                    context,
                    outlet,
                    cancelled: &open.cancelled,
                };
                fetch::run(self, fetched, &asked).await
            }
            Route::Refuse => self.refuse_method(session, id, method, context).await,
            Route::Open | Route::Pass | Route::List(_) => {
                let raw = if route == Route::Open {
                    let onward = ask::onward(self, session, envelope, context).await;
                    if method == "initialize" {
                        session.inbound.offer(onward.declared, onward.offers);
                    }
                    onward.raw
                } else {
                    envelope.raw().clone()
                };
                let sent = async {
                    let bearer = self.bearer(session, &context.caller).await.map_err(Ok)?;
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
            Some("notifications/initialized" | "notifications/roots/list_changed") => true,
            _ => false,
        };
        if !passes || envelope.raw().len() > super::inbound::MAX_NOTIFICATION {
            return;
        }
        // Taking back a call is sent by the call itself, so that it is sent once.
        if envelope.method() == Some("notifications/cancelled") {
            return;
        }
        let sent = match self.bearer(session, &context.caller).await {
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
        if Asking::of(&answer.envelope).is_some() {
            // Nothing but calls, prompts and resources is answered in rounds (2026-07-28, multi round-trip requests).
            let message = "the tool server asks where no question may be asked";
            let refusal = Refusal::new(Code::AskRefused, message, "");
            return self.error(&refusal, request.id().unwrap_or("null"), 200);
        }
        if let Route::List(list) = route {
            return lists::filter(self, session, request, &answer, list, context).await;
        }
        let Answer { envelope, status } = answer;
        match (route, request.method()) {
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
            .admit(&context.caller, &session.server.name)
            .ok();
        let mut event = record::event(
            &self.ports,
            EventType::ToolRefused,
            &context.caller,
            view.as_ref(),
        );
        let named = record::Named {
            op: method,
            server: &session.server.name,
            tool: None,
            request_id: id,
            arguments: "",
        };
        event.action = Some(named.action());
        event.outcome = Some(record::refused(Code::NoPermit));
        let event = record::narrow(&self.ports, event).await;
        let refusal = Refusal::new(
            Code::NoPermit,
            "this gateway does not pass this method on",
            "call tools, get prompts, read resources",
        )
        .on_record(event);
        let status = if context.stateless { 404 } else { 200 };
        Reply {
            status,
            body: refusal.as_error_with(Some(id), -32_601),
        }
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
