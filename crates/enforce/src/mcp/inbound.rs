//! What a tool server sends on its own: notifications go on, requests are refused and put on record (04 §12; no policy for them yet).

use std::sync::{Mutex, MutexGuard, PoisonError};

use bailiwick_core::Code;
use bailiwick_core::event::EventType;
use bailiwick_core::name::ServerName;
use bytes::Bytes;

use super::envelope::{Envelope, Message};
use super::outlet::Outlet;
use crate::answer::{self, Refusal};
use crate::caller::Caller;
use crate::catalogue::{Pinned, Shown};
use crate::metrics::Metrics;
use crate::ports::Ports;
use crate::record;
use crate::replica::View;

/// Largest notification that is passed on, in bytes.
pub(crate) const MAX_NOTIFICATION: usize = 64 << 10;
/// Requests of one server in one session that are put on record; what comes after is answered alone.
const MAX_RECORDED: usize = 64;

/// The receiving end of one upstream session, shared by session and transport.
pub(crate) struct Inbound {
    pub(crate) server: ServerName,
    tools: Mutex<Shown>,
    prompts: Mutex<Shown>,
    ports: Ports,
    metrics: Metrics,
    caller: Caller,
    view: View,
    /// The caller's standing stream, while there is one.
    standing: Mutex<Option<Outlet>>,
    asked: Mutex<usize>,
}

impl Inbound {
    pub(crate) fn new(
        server: ServerName,
        ports: Ports,
        metrics: Metrics,
        caller: Caller,
        view: View,
    ) -> Self {
        Self {
            server,
            tools: Mutex::default(),
            prompts: Mutex::default(),
            ports,
            metrics,
            caller,
            view,
            standing: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    /// Takes a message that answers nothing of ours; gives what to send back to the server, if anything.
    pub(crate) async fn take(
        &self,
        envelope: &Envelope,
        raw: Bytes,
        outlet: Option<&Outlet>,
    ) -> Option<Bytes> {
        match envelope.message() {
            Message::Notification { method } => {
                self.notified(method, raw, outlet);
                None
            }
            Message::Request { id, method: "ping" } => {
                Some(answer::message(id, "result", &serde_json::json!({})))
            }
            Message::Request { id, method } => Some(self.refuse(id, method).await),
            Message::Response { .. } => {
                self.metrics.drop_message();
                None
            }
        }
    }

    /// What this session has shown of its tools or prompts.
    pub(crate) fn shown(&self, pinned: Pinned) -> MutexGuard<'_, Shown> {
        let shown = match pinned {
            Pinned::Tools => &self.tools,
            Pinned::Prompts => &self.prompts,
        };
        shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something on the wire that is no message.
    pub(crate) fn dropped(&self) {
        self.metrics.drop_message();
    }

    /// Makes this the standing stream; an earlier one gets nothing more.
    pub(crate) fn listen(&self, outlet: Outlet) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = Some(outlet);
    }

    fn notified(&self, method: &str, raw: Bytes, outlet: Option<&Outlet>) {
        match method {
            "notifications/tools/list_changed" => self.shown(Pinned::Tools).stale(),
            "notifications/prompts/list_changed" => self.shown(Pinned::Prompts).stale(),
            _ => {}
        }
        let standing = self
            .standing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let passed = raw.len() <= MAX_NOTIFICATION
            && outlet
                .or(standing.as_ref())
                .is_some_and(|outlet| outlet.offer(raw));
        if !passed {
            self.metrics.drop_message();
        }
    }

    async fn refuse(&self, id: &str, method: &str) -> Bytes {
        self.metrics.refuse(Code::AskRefused);
        let first = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            *asked += 1;
            *asked <= MAX_RECORDED
        };
        let mut event_id = None;
        if first {
            let mut event = record::event(
                &self.ports,
                EventType::ToolRefused,
                &self.caller,
                Some(&self.view),
            );
            let named = record::Named {
                op: method,
                server: &self.server,
                tool: None,
                request_id: id,
                arguments: "",
            };
            event.action = Some(named.action());
            event.outcome = Some(record::refused(Code::AskRefused));
            event_id = record::narrow(&self.ports, event).await;
        }
        let message = "this gateway passes no requests of tool servers on to clients";
        Refusal::new(
            Code::AskRefused,
            message,
            "answer without asking the client",
        )
        .on_record(event_id)
        .as_error(Some(id))
    }
}
