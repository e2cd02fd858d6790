//! A caller on a byte stream: newline-delimited JSON-RPC with one tool server, for a caller that was authenticated before (`mcp.sock`).

use std::sync::Arc;

use bailiwick_core::name::ServerName;
use bailiwick_core::{Code, Fault, Problem};
use bytes::Bytes;
use hyper::HeaderMap;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::envelope::{Envelope, Message};
use super::headers::meta_version;
use super::methods::Context;
use super::outlet::{MAX_WAITING, Outlet};
use super::revision::revision;
use super::session::Session;
use super::splice::on_one_line;
use crate::answer::Refusal;
use crate::caller::Caller;
use crate::gateway::Gateway;
use bailiwick_core::json::Limits;

/// One line of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Without its line break.
    Whole(Vec<u8>),
    /// Over the bound; skipped to its end.
    TooLong,
    /// The stream ended; an unfinished line is nothing.
    End,
}

/// Reads one line of at most `bound` bytes.
pub(crate) async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    bound: usize,
) -> std::io::Result<Line> {
    let (mut line, mut too_long) = (Vec::new(), false);
    loop {
        let chunk = reader.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(Line::End);
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let taken = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
        too_long |= line.len() + taken.len() > bound;
        if !too_long {
            line.extend_from_slice(taken);
        }
        let used = taken.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Ok(if too_long {
                Line::TooLong
            } else {
                Line::Whole(line)
            });
        }
        if too_long {
            line = Vec::new();
        }
    }
}

impl Gateway {
    /// Serves one caller until it closes the stream, its session is cut, or the gateway stops.
    pub async fn serve_stdio<S>(
        self: &Arc<Self>,
        server: &ServerName,
        caller: &Caller,
        stream: S,
    ) -> Result<(), Problem>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let view = self.decider.admit(caller, server)?;
        let row = self
            .decider
            .replica()
            .view(|state| state.server(server).cloned())
            .map_err(|behind| behind.problem())?;
        let row = row.ok_or_else(|| {
            Problem::new(
                Code::ServerUnknown,
                format!("no tool server {server} is registered"),
                "",
            )
        })?;
        let session = Session::open(self, row, caller, &view)?;
        let (reader, mut writer) = tokio::io::split(stream);
        let mut lines = BufReader::new(reader);
        let (out, mut outgoing) = mpsc::channel::<Bytes>(MAX_WAITING);
        session.inbound.listen(Outlet::over(out.clone()));
        let requests = TaskTracker::new();
        let writing = async {
            while let Some(message) = outgoing.recv().await {
                let mut line = on_one_line(&message);
                line.push(b'\n');
                writer.write_all(&line).await?;
                writer.flush().await?;
            }
            std::io::Result::Ok(())
        };
        let reading = async {
            loop {
                match read_line(&mut lines, Limits::ENVELOPE.bytes).await {
                    Ok(Line::End) | Err(_) => return,
                    Ok(Line::Whole(line)) if line.is_empty() => {}
                    Ok(Line::Whole(line)) => self.line(&session, line, &out, &requests).await,
                    Ok(Line::TooLong) => {
                        let refusal = Refusal::new(
                            Code::EnvelopeInvalid,
                            "the message is too long",
                            "a message has at most 4 MiB",
                        );
                        let _ = out.send(refusal.as_error_with(None, -32_600)).await;
                    }
                }
            }
        };
        tokio::select! {
            () = reading => {}
            _ = writing => {}
            () = session.entered.token().cancelled() => {}
            () = self.stop.cancelled() => {}
        }
        session.close();
        requests.close();
        // Each open call ends with its session, and puts its outcome on record before it does.
        requests.wait().await;
        Ok(())
    }

    async fn line(
        self: &Arc<Self>,
        session: &Arc<Session>,
        line: Vec<u8>,
        out: &mpsc::Sender<Bytes>,
        requests: &TaskTracker,
    ) {
        let envelope = match Envelope::parse(Bytes::from(line), &Limits::ENVELOPE) {
            Ok(envelope) => envelope,
            Err(error) => {
                self.metrics.refuse(error.code());
                let _ = out
                    .send(Refusal::of(&error.problem()).as_error_with(None, error.rpc_code()))
                    .await;
                return;
            }
        };
        let alone = meta_version(&envelope)
            .and_then(|name| revision(&name))
            .is_some_and(|revision| !revision.handshake);
        let context = Context {
            headers: HeaderMap::new(),
            parameters: HeaderMap::new(),
            stateless: alone,
            caller: session.caller.clone(),
        };
        match envelope.message() {
            Message::Request { .. } => {
                let (gateway, session, out) = (Arc::clone(self), Arc::clone(session), out.clone());
                // Bounded by the session's bound on open requests.
                requests.spawn(async move {
                    let outlet = Outlet::over(out.clone());
                    let reply = gateway
                        .request(&session, &envelope, &context, &outlet)
                        .await;
                    let _ = out.send(reply.body).await;
                });
            }
            Message::Notification { .. } => self.notification(session, &envelope, &context).await,
            Message::Response { .. } => {
                self.answered_by_client(session, &envelope, &context).await;
            }
        }
    }
}
