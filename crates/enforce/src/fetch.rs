//! Prompts and resources, from the request's envelope to the last byte of its answer: decided by the built-in actions of policy
//! (04 §4), on record before they leave and before they come back, as calls are.

mod wanted;

use std::sync::Arc;

use bailiwick_core::decision::Outcome;
use bailiwick_core::event::{Event, EventType};
use bailiwick_core::json::{Limits, check};
use bailiwick_core::{Effect, Fault};
use tokio_util::sync::CancellationToken;

use crate::answer::Refusal;
use crate::ask;
use crate::call::{self, Running};
use crate::catalogue::Pinned;
use crate::decider::{Decided, Fetch, OwnedWhat, Standing, StandingFetch};
use crate::gateway::Gateway;
use crate::mcp::envelope::Envelope;
use crate::mcp::methods::Context;
use crate::mcp::session::Session;
use crate::mcp::splice::without_members;
use crate::mcp::{Outlet, Reply, lists};
use crate::record::{self, Named};
use wanted::Wanted;

/// What a method fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// A prompt.
    Prompt,
    /// A resource, once or whenever it changes.
    Resource,
    /// Values for an argument of a prompt or of a template of resources: decided as these.
    Completion,
    /// News of a server, and of the resources that are named.
    Stream,
}

/// A request of a caller, with all it came with.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) session: &'a Arc<Session>,
    pub(crate) envelope: &'a Envelope,
    pub(crate) context: &'a Context,
    pub(crate) outlet: &'a Outlet,
    pub(crate) cancelled: &'a CancellationToken,
}

/// Fetches it and answers.
pub(crate) async fn run(gateway: &Gateway, fetched: Fetched, asking: &Asking<'_>) -> Reply {
    let started = gateway.ports.clock.monotonic();
    let (reply, outcome) = match attempt(gateway, fetched, asking).await {
        Ok(done) => {
            let (status, body) = (done.status, done.body);
            (Reply { status, body }, done.outcome)
        }
        Err(refusal) => {
            gateway.metrics.refuse(refusal.code);
            let body = refusal.as_error(asking.envelope.id());
            (Reply::ok(body), call::outcome_name(&refusal))
        }
    };
    let took = gateway.ports.clock.monotonic().saturating_sub(started);
    gateway.metrics.call(outcome, took);
    reply
}

async fn attempt(
    gateway: &Gateway,
    fetched: Fetched,
    asking: &Asking<'_>,
) -> Result<call::Done, Refusal> {
    let Asking {
        session,
        envelope,
        context,
        outlet,
        cancelled,
    } = *asking;
    let wanted = Wanted::read(fetched, envelope)?;
    let (server, caller) = (&session.server.name, &context.caller);
    let arguments = envelope
        .params()
        .map(|params| without_members(&params, |name| name == "_meta"))
        .unwrap_or_default();
    let named = Named {
        op: envelope.method().unwrap_or_default(),
        server,
        tool: wanted.pinned(),
        request_id: envelope.id().unwrap_or("null"),
        arguments: std::str::from_utf8(&arguments).unwrap_or_default(),
    };
    // In the index first, then the fences: what falls in between finds this here.
    let entered = call::enter(gateway, session, caller, named.tool)?;
    if wanted.pinned().is_some() {
        let list = Pinned::Prompts;
        if let Err(refusal) =
            lists::refresh(gateway, session, list, envelope, context, cancelled).await
        {
            return Err(call::unlisted(gateway, context, &named, refusal).await);
        }
    }
    let now = gateway.ports.clock.monotonic();
    let resumed = session.rounds.resume(envelope, now)?;
    let onward = ask::onward(gateway, session, envelope, context).await;
    let shown = wanted
        .pinned()
        .and_then(|pinned| session.shown(Pinned::Prompts).digest(pinned));
    let mut allowed: Option<Decided> = None;
    for what in wanted.each(shown) {
        let fetch = Fetch {
            caller,
            server,
            what,
            count: !resumed.counted,
        };
        let decided = gateway.decider.fetch(&fetch).await;
        if decided.decision.outcome != Outcome::Allow {
            let refusal = Refusal::from_decision(&decided.decision);
            let mut event = event(gateway, EventType::ToolRefused, asking, &named, &decided);
            event.outcome = Some(record::refused(refusal.code));
            return Err(refusal.on_record(record::narrow(&gateway.ports, event).await));
        }
        allowed = Some(decided);
    }
    let decided = match allowed {
        Some(decided) => decided,
        // News that name no resource: any grant on the server will do, and fences and the task's state.
        None => gateway
            .decider
            .admitted(caller, server)
            .map_err(|problem| Refusal::of(&problem))?,
    };
    let intent = event(gateway, EventType::ToolIntent, asking, &named, &decided);
    record::grant(&gateway.ports, intent.clone())
        .await
        .map_err(|error| Refusal::of(&error.problem()))?;
    let what = wanted.each(shown).into_iter().map(OwnedWhat::from);
    if let Some(standing) = standing(asking, &decided, what.collect()) {
        gateway.stands(&entered, &decided, standing).await;
    }
    let mut running = Running::new(
        gateway,
        session,
        context,
        intent,
        entered,
        (onward.offers, resumed),
    );
    let nothing = check(b"{}", &Limits::ENVELOPE).map_err(|error| Refusal::of(&error.problem()))?;
    running
        .run(
            (envelope, &onward.raw),
            &nothing,
            context,
            outlet,
            cancelled,
            &decided,
        )
        .await
}

/// What it is decided again by, while it goes on.
fn standing(asking: &Asking<'_>, decided: &Decided, what: Vec<OwnedWhat>) -> Option<Standing> {
    let session = asking.session;
    let takes = session.upstream.takes_bearer();
    Some(Standing::Fetch(StandingFetch {
        caller: asking.context.caller.clone(),
        server: session.server.name.clone(),
        what,
        known: Arc::clone(decided.known.as_ref()?),
        credential: session.server.credential.clone().filter(|_| takes),
        labels: decided.view.as_ref()?.task.labels.clone(),
    }))
}

/// The event about one decision. Whatever a pinned prompt's effect was said to be, fetching changes nothing.
fn event(
    gateway: &Gateway,
    kind: EventType,
    asking: &Asking<'_>,
    named: &Named<'_>,
    decided: &Decided,
) -> Event {
    let caller = &asking.context.caller;
    let mut event = record::decided(gateway, kind, caller, named, decided);
    if let Some(action) = &mut event.action {
        action.effect = Some(Effect::Read);
    }
    event
}

#[cfg(test)]
mod tests;
