//! The body of an answer on its way back. It is carried by a task of its own, so that a fence cuts it even while nobody reads: what the
//! caller then sees is a body that breaks off, never one that ends.

use std::sync::Arc;

use bailiwick_audit::Class;
use bailiwick_core::event::{Event, EventType, Parent, ParentRole, Status};
use bailiwick_core::fence::Subject;
use bailiwick_core::{Code, Fault as _};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::StatusCode;
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::OnReflection;
use super::exchange::Exchange;
use super::lease::InUse;
use super::redactor::Redactor;
use crate::answer::Refusal;
use crate::live::Cut;
use crate::mcp::http::{Body, Broken};
use crate::ports::UpstreamBody;
use crate::record;

/// Pieces of an answer that wait for a slow reader.
const QUEUE: usize = 4;

/// An exchange whose answer is coming.
pub(crate) struct Ending {
    pub(crate) exchange: Exchange,
    pub(crate) in_use: InUse,
    pub(crate) status: StatusCode,
}

/// What the reader gets.
enum Piece {
    Data(Bytes),
    /// Everything has come, and that is on record.
    Whole,
}

impl Ending {
    /// Puts on record that the whole answer came; without that its last byte stays here.
    pub(crate) async fn whole(&self, bytes: u64) -> Result<(), Refusal> {
        let failed = self.status.is_client_error() || self.status.is_server_error();
        let status = if failed { Status::Error } else { Status::Ok };
        let event = self.exchange.ended(status, None, bytes);
        let log = &self.exchange.gateway.ports.recorder;
        let recorded = log.record(event, Class::Grant).await;
        recorded.map_err(|error| {
            let problem = error.problem();
            let message = format!(
                "the request has run, but its result is not on record, so it is withheld: {}",
                problem.message
            );
            Refusal::new(problem.code, message, problem.help)
        })?;
        // What fell while the result was written still keeps the end of the answer here.
        let cut = self
            .exchange
            .entered
            .was_cut()
            .or(self.in_use.entered.was_cut());
        cut.map_or(Ok(()), |cut| Err(cut_short(&cut)))
    }

    async fn broke(&self, status: Status, code: Code, bytes: u64) {
        let event = self.exchange.ended(status, Some(code), bytes);
        record::narrow(&self.exchange.gateway.ports, event).await;
    }

    /// Until everything came, or the first reason to stop.
    async fn carry(self, mut from: UpstreamBody, to: mpsc::Sender<Piece>) {
        let mut redactor = Redactor::new(&self.in_use.patterns);
        let (mut bytes, mut told) = (0_u64, 0);
        let until = tokio::time::sleep(self.exchange.left);
        tokio::pin!(until);
        let stopped = loop {
            let chunk = tokio::select! {
                biased;
                _ = self.exchange.entered.cut() => break Some((Status::Cut, Code::CallCut)),
                _ = self.in_use.entered.cut() => break Some((Status::Cut, Code::CallCut)),
                () = &mut until => break Some((Status::Timeout, Code::TimedOut)),
                () = to.closed() => break Some((Status::Unknown, Code::CallCut)),
                chunk = from.chunk() => chunk,
            };
            let (out, last) = match chunk {
                Ok(Some(chunk)) => {
                    bytes = bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
                    if bytes > self.exchange.bound {
                        break Some((Status::Error, Code::AnswerTooLarge));
                    }
                    (redactor.push(&chunk), false)
                }
                Ok(None) => (redactor.finish(), true),
                Err(_) => break Some((Status::Unknown, Code::EgressUpstream)),
            };
            if redactor.hits() > told {
                if reflected(&self.exchange, &self.in_use, redactor.hits() - told)
                    .await
                    .is_err()
                {
                    break Some((Status::Error, Code::EgressReflected));
                }
                told = redactor.hits();
            }
            if !out.is_empty() {
                let sent = tokio::select! {
                    biased;
                    _ = self.exchange.entered.cut() => break Some((Status::Cut, Code::CallCut)),
                    _ = self.in_use.entered.cut() => break Some((Status::Cut, Code::CallCut)),
                    () = &mut until => break Some((Status::Timeout, Code::TimedOut)),
                    sent = to.send(Piece::Data(out.into())) => sent,
                };
                if sent.is_err() {
                    break Some((Status::Unknown, Code::CallCut));
                }
            }
            if last {
                break None;
            }
        };
        // The upstream hears at once that nobody listens any more.
        drop(from);
        match stopped {
            Some((status, code)) => self.broke(status, code, bytes).await,
            None => {
                if self.whole(bytes).await.is_ok() {
                    // Whoever does not read any more misses nothing.
                    let _ = to.send(Piece::Whole).await;
                }
            }
        }
    }
}

/// The body of the answer, carried from here on.
pub(crate) fn start(ending: Ending, from: UpstreamBody) -> Body {
    let (to, pieces) = mpsc::channel(QUEUE);
    let tasks = ending.exchange.gateway.tasks.clone();
    tasks.spawn(ending.carry(from, to));
    let frames = stream::unfold(Some(pieces), |pieces| async move {
        let mut pieces = pieces?;
        match pieces.recv().await {
            Some(Piece::Data(bytes)) => Some((Ok(Frame::data(bytes)), Some(pieces))),
            Some(Piece::Whole) => None,
            None => Some((Err(Broken), None)),
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

/// No body.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Puts on record that the upstream sent the secret back, and ends the lease where the connector says so.
pub(crate) async fn reflected(
    exchange: &Exchange,
    in_use: &InUse,
    hits: u64,
) -> Result<(), Refusal> {
    let (gateway, connector) = (&exchange.gateway, &exchange.connector);
    tracing::warn!(connector = %connector.name(), lease = %in_use.id(), hits, "an upstream sends its credential back");
    let mut event: Event = record::anonymous(&gateway.ports, EventType::EgressReflected);
    event.agent.clone_from(&exchange.intent.agent);
    event.owner.clone_from(&exchange.intent.owner);
    event.user.clone_from(&exchange.intent.user);
    event.task.clone_from(&exchange.intent.task);
    event.chain.clone_from(&exchange.intent.chain);
    event.action.clone_from(&exchange.intent.action);
    event.change.clone_from(&exchange.intent.change);
    event.lease = Some(in_use.named());
    event.cause = Some(exchange.intent.id);
    event.parents.push(Parent {
        role: ParentRole::Intent,
        id: exchange.intent.id,
    });
    record::narrow(&gateway.ports, event).await;
    if connector.on_reflection == OnReflection::Redact {
        return Ok(());
    }
    let reason = "the upstream sent the credential back";
    let live = gateway.decider.replica().live();
    live.end(&Subject::Lease(in_use.id()), reason);
    let leaser = Arc::clone(&gateway.ports.leaser);
    if let Err(problem) = leaser.end(in_use.id(), "reflected").await {
        tracing::error!(%problem, lease = %in_use.id(), "a lease whose secret came back could not be ended yet");
    }
    let help = "the request has run; an operator looks at the upstream";
    Err(Refusal::new(Code::EgressReflected, reason, help))
}

/// A fence fell, or the task ended.
pub(crate) fn cut_short(cut: &Cut) -> Refusal {
    let code = if cut.fence.is_some() {
        Code::Revoked
    } else {
        Code::CallCut
    };
    Refusal::new(
        code,
        format!("cut while it ran: {}", cut.reason),
        "the request may have run",
    )
}
