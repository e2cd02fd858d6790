//! What a tool server asks of its client (04 §12): decided before the client sees it, in either era, and on record both ways. What a
//! client does not offer, or policy does not let it offer, is refused.

mod answered;
mod form;
mod offers;
mod open;
mod required;
mod roots;
mod rounds;

use bailiwick_core::Code;
use bailiwick_core::decision::Outcome;
use bailiwick_core::event::{Event, EventType};
use bailiwick_core::id::EventId;
use bailiwick_core::json::Text;
use bailiwick_core::name::ServerName;

use crate::answer::Refusal;
use crate::caller::Caller;
use crate::decider::{Decided, LocalDecider};
use crate::ports::Ports;
use crate::record::{self, Named};
pub(crate) use offers::{APPROVAL, Offers, Onward, onward};
pub(crate) use open::{Asks, Own};
pub(crate) use required::{Asking, judge};
pub(crate) use rounds::{Resumed, Rounds};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// That the client's model says something.
    Sample,
    /// That its user fills in a form.
    Form,
    /// That its user goes to a URL.
    Url,
    /// Which directories it works in.
    Roots,
}

impl Kind {
    /// What a request of this method and these params asks; none if it is nothing that a client is asked.
    pub(crate) fn of(method: &str, params: Option<&Text<'_>>) -> Option<Self> {
        match method {
            "sampling/createMessage" => Some(Self::Sample),
            "roots/list" => Some(Self::Roots),
            "elicitation/create" => {
                let mode = params.and_then(|params| params.member("mode"));
                match mode.map(|mode| mode.string()) {
                    None => Some(Self::Form),
                    Some(Some(mode)) if mode == "form" => Some(Self::Form),
                    Some(Some(mode)) if mode == "url" => Some(Self::Url),
                    Some(_) => None,
                }
            }
            _ => None,
        }
    }
}

/// One request of a server, as it came.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) server: &'a ServerName,
    pub(crate) caller: &'a Caller,
    pub(crate) method: &'a str,
    /// The id, or the key among the requests of one answer, as JSON text.
    pub(crate) id: &'a str,
    pub(crate) params: Option<&'a Text<'a>>,
    /// What its client may be asked.
    pub(crate) offers: Offers,
}

/// Decides one request of a server and puts it on record. What it is, and the event; the client may see it after that.
pub(crate) async fn decide(
    ports: &Ports,
    decider: &LocalDecider,
    request: &Request<'_>,
) -> Result<(Kind, EventId), Refusal> {
    let Request {
        server,
        caller,
        method,
        id,
        params,
        offers,
    } = *request;
    let named = Named {
        op: method,
        server,
        tool: None,
        request_id: id,
        arguments: params.map_or("{}", Text::as_str),
    };
    let kind = Kind::of(method, params).filter(|kind| offers.has(*kind));
    let Some(kind) = kind else {
        let refusal = refusal("the client does not offer this, or may not");
        return Err(refused(ports, caller, &named, None, refusal).await);
    };
    if kind == Kind::Form && params.is_none_or(form::wants_secret) {
        let refusal = refusal("a form may not ask for passwords, keys or cards");
        return Err(refused(ports, caller, &named, None, refusal).await);
    }
    let said = decider.ask(caller, server, kind).await;
    if said.decision.outcome != Outcome::Allow {
        let why = Refusal::from_decision(&said.decision);
        let refusal = refusal(&why.message);
        return Err(refused(ports, caller, &named, Some(&said), refusal).await);
    }
    let event = event(ports, EventType::ToolAsked, caller, &named, Some(&said));
    let event = record::grant(ports, event).await;
    let event = event.map_err(|_| refusal("it could not be put on record"))?;
    Ok((kind, event))
}

/// An event about what a server asks.
fn event(
    ports: &Ports,
    kind: EventType,
    caller: &Caller,
    named: &Named<'_>,
    decided: Option<&Decided>,
) -> Event {
    let view = decided.and_then(|decided| decided.view.as_ref());
    let mut event = record::event(ports, kind, caller, view);
    event.action = Some(named.action());
    event.decision = decided.map(record::decision);
    event
        .sealed
        .push(record::sealed("/args", named.arguments.as_bytes()));
    event
}

async fn refused(
    ports: &Ports,
    caller: &Caller,
    named: &Named<'_>,
    decided: Option<&Decided>,
    refusal: Refusal,
) -> Refusal {
    let mut event = event(ports, EventType::ToolRefused, caller, named, decided);
    event.outcome = Some(record::refused(refusal.code));
    let message = format!(
        "the tool server asked for {}: {}",
        named.op, refusal.message
    );
    Refusal { message, ..refusal }.on_record(record::narrow(ports, event).await)
}

fn refusal(why: &str) -> Refusal {
    Refusal::new(Code::AskRefused, why, "answer without asking the client")
}

#[cfg(test)]
mod tests;
