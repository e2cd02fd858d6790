//! HTTP answers: JSON where the answer is all there is, a stream of server-sent events where something comes before it.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::Problem;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW, CACHE_CONTROL,
    CONTENT_TYPE, HeaderName, HeaderValue, VARY,
};
use hyper::{HeaderMap, Response, StatusCode};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::detached::Detached;
use super::{Body, Broken};
use crate::caller::Caller;
use crate::gateway::Gateway;
use crate::mcp::envelope::Envelope;
use crate::mcp::headers::{self, SESSION, single};
use crate::mcp::methods::Context;
use crate::mcp::outlet::{Outlet, Reply};
use crate::mcp::session::Session;
use crate::mcp::splice::on_one_line;
use crate::mcp::sse;
use crate::mcp::upstream::LONGEST;
use bailiwick_core::server::Server;

/// A stream that says nothing says at least this often that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

impl Gateway {
    /// Runs one request, and answers with JSON, or with a stream once something comes before the answer or it takes long.
    pub(super) async fn exchange(
        self: &Arc<Self>,
        session: Arc<Session>,
        envelope: Envelope,
        context: Context,
        headers: &HeaderMap,
        opens: bool,
    ) -> Response<Body> {
        let (outlet, mut early) = Outlet::new();
        let hears = accepts_events(headers);
        if !hears && !context.stateless {
            // Whoever takes no stream can be told nothing on the way, and asked nothing.
            early.close();
        }
        let (gateway, own) = (Arc::clone(self), Arc::clone(&session));
        let mut answered = Detached::new(&self.tasks, async move {
            gateway.request(&own, &envelope, &context, &outlet).await
        });
        if opens || !hears {
            // Nothing may precede the answer that brings the session id.
            let reply = answered.await;
            drop(early);
            return self.opened(reply, session, opens);
        }
        tokio::select! {
            biased;
            // What came first goes out first, even if the answer is there as well.
            Some(first) = early.recv() => events(Following { early, answered: answered.hand_over(), first: Some(first), done: false }),
            reply = &mut answered => match early.try_recv() {
                // Both came at once.
                Ok(first) => {
                    let (tell, answered) = oneshot::channel();
                    let _ = tell.send(reply);
                    events(Following { early, answered, first: Some(first), done: false })
                }
                Err(_) => self.opened(reply, session, false),
            },
            () = tokio::time::sleep(KEEP_ALIVE) => events(Following { early, answered: answered.hand_over(), first: None, done: false }),
        }
    }

    /// The standing stream of a session.
    pub(super) async fn get(
        self: &Arc<Self>,
        headers: &HeaderMap,
        server: &Arc<Server>,
        caller: &Caller,
    ) -> Result<Response<Body>, Problem> {
        let Some(id) = single(headers, &SESSION)? else {
            return Ok(method_not_allowed("POST"));
        };
        let session = self
            .sessions
            .find(&id, caller, server)
            .ok_or_else(super::session_unknown)?;
        headers::check_agreed(headers, session.revision().as_deref())?;
        let (outlet, messages) = Outlet::new();
        let bearer = self.bearer(&session, caller).await?;
        match session
            .upstream
            .listen(&headers::onward(headers), bearer.as_ref())
            .await
        {
            Ok(None) => {
                session.inbound.listen(outlet);
            }
            Ok(Some(listening)) => {
                let (gone, cut) = (outlet.clone(), session.entered.token().clone());
                self.tasks.spawn(async move {
                    tokio::select! {
                        ended = listening.run(outlet) => if let Err(error) = ended {
                            tracing::debug!(%error, "a tool server's standing stream broke");
                        },
                        () = gone.closed() => {}
                        () = cut.cancelled() => {}
                    }
                });
            }
            Err(error) => {
                tracing::debug!(%error, server = %server.name, "no standing stream");
                return Ok(method_not_allowed("POST, DELETE"));
            }
        }
        let left = caller.token.as_ref().map_or(Duration::MAX, |token| {
            token.expires.since(self.ports.clock.wall())
        });
        Ok(standing(session, messages, left))
    }

    fn opened(&self, reply: Reply, session: Arc<Session>, opens: bool) -> Response<Body> {
        // Whether it worked matters to what opens a session alone.
        let worked = opens
            && Envelope::parse(reply.body.clone(), &crate::mcp::upstream::ANSWER_LIMITS)
                .is_ok_and(|envelope| envelope.result().is_some());
        let mut response = json(reply.status, reply.body);
        if worked {
            match self.sessions.keep(session, &*self.ports.rng) {
                Ok(id) => {
                    if let Ok(id) = HeaderValue::from_str(&id) {
                        response.headers_mut().insert(SESSION, id);
                    }
                }
                Err(refused) => return problem(&refused),
            }
        } else if opens {
            session.close();
        }
        response
    }
}

/// An answer on its way, with what comes before it.
struct Following {
    early: mpsc::Receiver<Bytes>,
    answered: oneshot::Receiver<Reply>,
    first: Option<Bytes>,
    done: bool,
}

impl Following {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(sse::event(&on_one_line(&first)));
        }
        if self.done {
            return None;
        }
        tokio::select! {
            biased;
            Some(message) = self.early.recv() => Some(sse::event(&on_one_line(&message))),
            reply = &mut self.answered => {
                self.done = true;
                // Without an answer the stream just ends, and the client knows that its call is lost.
                reply.ok().map(|reply| sse::event(&on_one_line(&reply.body)))
            }
            () = tokio::time::sleep(KEEP_ALIVE) => Some(sse::keep_alive()),
        }
    }
}

fn events(following: Following) -> Response<Body> {
    let frames = stream::unfold(following, |mut following| async move {
        let event = following.next().await?;
        Some((Ok::<_, Broken>(Frame::data(event)), following))
    });
    streaming(StreamBody::new(frames).boxed_unsync())
}

/// What a server sends on its own, until the session is cut, the token that opened the stream ends, or the server is done.
fn standing(
    session: Arc<Session>,
    messages: mpsc::Receiver<Bytes>,
    left: Duration,
) -> Response<Body> {
    let until = Box::pin(tokio::time::sleep(left.min(LONGEST)));
    let frames = stream::unfold(
        (session, messages, until),
        |(session, mut messages, mut until)| async move {
            let event = tokio::select! {
                biased;
                () = session.entered.token().cancelled() => None,
                () = &mut until => None,
                message = messages.recv() => message.map(|message| sse::event(&on_one_line(&message))),
                () = tokio::time::sleep(KEEP_ALIVE) => Some(sse::keep_alive()),
            };
            event.map(|event| {
                (
                    Ok::<_, Broken>(Frame::data(event)),
                    (session, messages, until),
                )
            })
        },
    );
    streaming(StreamBody::new(frames).boxed_unsync())
}

fn streaming(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

/// One JSON document.
pub(crate) fn json(status: u16, body: Bytes) -> Response<Body> {
    let mut response = Response::new(
        Full::new(body)
            .map_err(|never| match never {})
            .boxed_unsync(),
    );
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A problem outside any JSON-RPC message.
pub(crate) fn problem(problem: &Problem) -> Response<Body> {
    let body = json!({ "code": problem.code, "message": problem.message, "help": problem.help });
    json(problem.code.http_status(), body.to_string().into())
}

/// Taken, with nothing to say.
pub(super) fn accepted() -> Response<Body> {
    empty(202)
}

pub(super) fn empty(status: u16) -> Response<Body> {
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

pub(super) fn method_not_allowed(allow: &'static str) -> Response<Body> {
    let mut response = empty(405);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// What every answer carries: the next nonce, no caching, and CORS for origins that were let in.
pub(super) fn finish(
    gateway: &Gateway,
    response: &mut Response<Body>,
    origin: Option<HeaderValue>,
) {
    let headers = response.headers_mut();
    if let Ok(nonce) = HeaderValue::from_str(&gateway.authenticator.nonce(&*gateway.ports.clock)) {
        headers.insert(DPOP_NONCE, nonce);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("dpop-nonce, mcp-session-id, www-authenticate"),
        );
        headers.insert(VARY, HeaderValue::from_static("origin"));
    }
}

fn accepts_events(headers: &HeaderMap) -> bool {
    let mut values = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values.any(|value| value.contains("text/event-stream") || value.contains("*/*"))
}
