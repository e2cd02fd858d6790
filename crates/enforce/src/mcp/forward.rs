//! One request on its way to the tool server and back: it ends with the answer, a cut, its caller's change of mind, or a bound.

use bailiwick_core::{Code, Fault, Problem, Secret};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::envelope::Envelope;
use super::methods::Context;
use super::outlet::Outlet;
use super::session::Session;
use super::upstream::{Answer, LONGEST, Outbound, UpstreamError};
use crate::answer::Refusal;
use crate::caller::Caller;
use crate::gateway::Gateway;
use crate::lease::{self, For};
use crate::live::Cut;

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
    /// Sends a request and waits for the answer, a cut, the caller's change of mind, or the bound on one call.
    pub(crate) async fn forward(
        &self,
        session: &Session,
        outbound: Outbound<'_>,
        context: &Context,
        outlet: &Outlet,
        cancelled: &CancellationToken,
    ) -> Result<Answer, Stopped> {
        let bound = if outbound.standing {
            // No stream outlives the token that opened it.
            let token = context.caller.token.as_ref();
            token.map_or(LONGEST, |token| {
                LONGEST.min(token.expires.since(self.ports.clock.wall()))
            })
        } else {
            self.settings.call_timeout
        };
        let answer = tokio::time::timeout(bound, session.upstream.request(outbound, outlet));
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
        if matches!(stopped, Stopped::Failed(UpstreamError::SessionGone)) {
            // The caller's next message finds no session, and it opens a new one.
            session.close();
        }
        if !matches!(
            stopped,
            Stopped::Failed(
                UpstreamError::Down(_) | UpstreamError::Busy | UpstreamError::SessionGone
            )
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
        caller: &Caller,
    ) -> Result<Option<Secret<String>>, Problem> {
        let (Some(credential), true) =
            (&session.server.credential, session.upstream.takes_bearer())
        else {
            return Ok(None);
        };
        let view = self.decider.admit(caller, &session.server.name)?;
        let wanted = For {
            caller,
            view: &view,
            known: &self.decider.known(&view, caller),
            server: Some(&session.server.name),
            credential,
            cause: None,
        };
        let taken = lease::take(self, &wanted).await;
        let taken =
            taken.map_err(|refusal| Problem::new(refusal.code, refusal.message, refusal.help));
        taken.map(|(leased, _)| Some(leased.bearer))
    }
}

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
        standing: envelope.method() == Some("subscriptions/listen"),
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

/// How long telling a server that nobody waits may take.
const TAKE_BACK: std::time::Duration = std::time::Duration::from_secs(2);
