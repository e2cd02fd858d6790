//! The question to the caller's own user to go and answer an approval, by MCP's URL elicitation where the client offers it (04 §13).

use bailiwick_core::approval::Approval;
use bytes::Bytes;
use serde_json::json;

use super::Waiting;
use crate::ask::{Onward, Own, Resumed};
use crate::gateway::Gateway;
use crate::mcp::Outlet;
use crate::mcp::lists::own_id;
use crate::mcp::methods::Context;
use crate::mcp::session::Session;

/// How the user of a caller is asked.
pub(crate) enum Elicit<'a> {
    /// Not at all: the client does not offer it.
    No,
    /// By the answer to the call (2026-07-28); the client makes the call again.
    Answer,
    /// They were, and did not go.
    Declined,
    /// By a request on the call's stream (2025-11-25).
    Request(&'a Session),
}

impl<'a> Elicit<'a> {
    /// What fits a call.
    pub(crate) fn of(
        session: &'a Session,
        context: &Context,
        onward: &Onward,
        resumed: &Resumed,
    ) -> Self {
        let offers = onward.declared.has(crate::ask::Kind::Url);
        match (onward.approval, context.stateless) {
            (Some(false), _) => Self::Declined,
            // The server's own question goes first: an answer holds one state.
            (None, true) if offers && resumed.begins() => Self::Answer,
            (None, false) if offers => Self::Request(session),
            _ => Self::No,
        }
    }
}

/// A question that is with the client.
pub(super) struct Open<'a> {
    own: Option<Own<'a>>,
    asked: bool,
    outlet: &'a Outlet,
    elicitation: String,
}

impl<'a> Open<'a> {
    /// Asks, if the client is to be asked by a request and can be.
    pub(super) fn ask(gateway: &Gateway, waiting: &'a Waiting<'_>, asked: &Approval) -> Self {
        let mut open = Self {
            own: None,
            asked: false,
            outlet: waiting.outlet,
            elicitation: asked.id.to_string(),
        };
        let Elicit::Request(session) = &waiting.elicit else {
            return open;
        };
        let id = own_id(gateway);
        let own = session.inbound.asks.add_own(id.clone());
        let params = json!({
            "mode": "url",
            "elicitationId": open.elicitation,
            "url": gateway.ports.approver.url(asked.id),
            "message": MESSAGE,
        });
        let request = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{params}}}"#
        );
        open.own = own.filter(|_| waiting.outlet.offer(Bytes::from(request)));
        open.asked = open.own.is_some();
        open
    }

    /// Resolves once, with whether the user went to see; never if nobody was asked.
    pub(super) async fn answered(&mut self) -> bool {
        let Some(own) = &mut self.own else {
            return std::future::pending().await;
        };
        let went = (&mut own.answer).await;
        self.own = None;
        // A question that nobody can answer any more changes nothing.
        went.unwrap_or(true)
    }

    /// Tells a client whose user was asked that there is nothing left to do.
    pub(super) fn complete(&self) {
        if self.asked {
            let id = &self.elicitation;
            let note = json!({
                "jsonrpc": "2.0",
                "method": "notifications/elicitation/complete",
                "params": { "elicitationId": id },
            });
            self.outlet.offer(Bytes::from(note.to_string()));
        }
    }
}

/// What the user reads beside the URL.
pub(crate) const MESSAGE: &str = "A tool call waits for a person's approval. Sign in there to see exactly what would run, and answer.";
