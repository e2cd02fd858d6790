//! A client's answer to a question, on its way to the server: it belongs to a question that is open, and is on record first.

use bailiwick_core::event::EventType;
use bytes::Bytes;

use super::open::Due;
use super::{Kind, refusal, roots};
use crate::gateway::Gateway;
use crate::mcp::envelope::{Envelope, Message, same_id};
use crate::mcp::methods::Context;
use crate::mcp::session::Session;
use crate::mcp::splice::Splices;
use crate::record::{self, Named};

impl Gateway {
    /// Takes a client's answer. One that nobody waits for goes nowhere.
    pub(crate) async fn answered_by_client(
        &self,
        session: &Session,
        envelope: &Envelope,
        context: &Context,
    ) {
        let now = self.ports.clock.monotonic();
        session.touch(now);
        let Message::Response { id: Some(id) } = envelope.message() else {
            return self.metrics.drop_message();
        };
        let asked = match session.inbound.asks.take(&same_id(id), now) {
            Some(Due::Server(asked)) => asked,
            Some(Due::Own(waiting)) => {
                let action = envelope.result().and_then(|result| result.member("action"));
                let went = action.and_then(|action| action.string());
                // Whoever asked may have stopped waiting.
                let _ = waiting.send(went.as_deref() == Some("accept"));
                return;
            }
            None => return self.metrics.drop_message(),
        };
        let raw = match asked.kind {
            Kind::Roots => {
                let mut splices = Splices::default();
                if let Some(result) = envelope.result() {
                    let caller = &context.caller;
                    roots::within_scope(self, session, caller, &mut splices, &result).await;
                }
                Bytes::from(splices.apply(envelope.raw()))
            }
            Kind::Sample | Kind::Form | Kind::Url => envelope.raw().clone(),
        };
        let view = self
            .decider
            .admit(&context.caller, &session.server.name)
            .ok();
        let caller = &context.caller;
        let mut event = record::event(&self.ports, EventType::ToolAnswered, caller, view.as_ref());
        let named = Named {
            op: method(asked.kind),
            server: &session.server.name,
            tool: None,
            request_id: id,
            arguments: "",
        };
        event.action = Some(named.action());
        event.cause = Some(asked.event);
        event.sealed.push(record::sealed("/result", &raw));
        let raw = match record::grant(&self.ports, event).await {
            Ok(_) if view.is_some() => raw,
            _ => refusal("the answer could not be put on record").as_error(Some(id)),
        };
        let sent = match self.bearer(session, caller).await {
            Ok(bearer) => {
                let upstream = &session.upstream;
                upstream
                    .notify(&raw, &context.headers, bearer.as_ref())
                    .await
                    .map_err(|error| error.to_string())
            }
            Err(problem) => Err(problem.message),
        };
        if let Err(error) = sent {
            tracing::debug!(server = %session.server.name, error, "a client's answer was not delivered");
        }
    }
}

const fn method(kind: Kind) -> &'static str {
    match kind {
        Kind::Sample => "sampling/createMessage",
        Kind::Form | Kind::Url => "elicitation/create",
        Kind::Roots => "roots/list",
    }
}
