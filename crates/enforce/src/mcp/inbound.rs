//! What a tool server sends on its own: notifications go on, requests are decided before the client sees them (04 §12).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bailiwick_core::Code;
use bailiwick_core::name::ServerName;
use bytes::Bytes;

use super::envelope::{Envelope, Message, same_id};
use super::outlet::Outlet;
use crate::answer::{self, Refusal};
use crate::ask::{self, Asks, Offers};
use crate::caller::Caller;
use crate::catalogue::{Pinned, Shown};
use crate::decider::LocalDecider;
use crate::gateway::Gateway;
use crate::metrics::Metrics;
use crate::ports::Ports;

/// Largest notification that is passed on, in bytes.
pub(crate) const MAX_NOTIFICATION: usize = 64 << 10;
/// Requests of one server in one session that are decided; what comes after is refused without a look.
const MAX_DECIDED: usize = 1_024;

/// The receiving end of one upstream session, shared by session and transport.
pub(crate) struct Inbound {
    pub(crate) server: ServerName,
    tools: Mutex<Shown>,
    prompts: Mutex<Shown>,
    ports: Ports,
    metrics: Metrics,
    decider: Arc<LocalDecider>,
    caller: Caller,
    /// Questions that wait for the client's answer.
    pub(crate) asks: Asks,
    /// What the client offered in the handshake, and what of that the server may use.
    offers: Mutex<(Offers, Offers)>,
    /// The caller's standing stream, while there is one.
    standing: Mutex<Option<Outlet>>,
    asked: Mutex<usize>,
}

impl Inbound {
    pub(crate) fn new(gateway: &Gateway, server: ServerName, caller: Caller) -> Self {
        Self {
            server,
            tools: Mutex::default(),
            prompts: Mutex::default(),
            ports: gateway.ports.clone(),
            metrics: gateway.metrics.clone(),
            decider: Arc::clone(&gateway.decider),
            caller,
            asks: Asks::default(),
            offers: Mutex::default(),
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
            Message::Request { id, method } => {
                let asked = self.ask(envelope, (id, method), raw, outlet).await;
                asked.err().map(|refusal| {
                    self.metrics.refuse(refusal.code);
                    refusal.as_error(Some(id))
                })
            }
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

    /// Notes what the client offers: all of it, and what of that the server may use.
    pub(crate) fn offer(&self, declared: Offers, permitted: Offers) {
        *self.offers.lock().unwrap_or_else(PoisonError::into_inner) = (declared, permitted);
    }

    /// What the client offers: all of it, and what of that the server may use.
    pub(crate) fn offers(&self) -> (Offers, Offers) {
        *self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server waits for its client.
    pub(crate) fn waits_for_client(&self) -> bool {
        self.asks.waits(self.ports.clock.monotonic())
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

    /// Passes a question on to the client if it may be asked, and says why if not.
    async fn ask(
        &self,
        envelope: &Envelope,
        (id, method): (&str, &str),
        raw: Bytes,
        outlet: Option<&Outlet>,
    ) -> Result<(), Refusal> {
        let refuse = |why: &str| {
            let help = "answer without asking the client";
            Err(Refusal::new(Code::AskRefused, why, help))
        };
        {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            *asked += 1;
            if *asked > MAX_DECIDED {
                return refuse("the tool server asks too much");
            }
        }
        let params = envelope.params();
        let request = ask::Request {
            server: &self.server,
            caller: &self.caller,
            method,
            id,
            params: params.as_ref(),
            offers: self.offers().1,
        };
        let (kind, event) = ask::decide(&self.ports, &self.decider, &request).await?;
        let now = self.ports.clock.monotonic();
        let id = same_id(id);
        if !self.asks.add(&id, kind, event, now) {
            return refuse("too many questions are open, or the id of one is in use");
        }
        let standing = self
            .standing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let reached = outlet.is_some_and(|outlet| outlet.offer(raw.clone()))
            || standing.is_some_and(|standing| standing.offer(raw));
        if reached {
            return Ok(());
        }
        self.asks.take(&id, now);
        refuse("the client cannot be reached now")
    }
}
