//! Events about exchanges: which connector and host, by which method, what was decided.

use bailiwick_core::Problem;
use bailiwick_core::event::{Action, ChangeRef, Event, EventType};

use super::Connector;
use super::asked::Target;
use crate::answer::Refusal;
use crate::caller::Caller;
use crate::decider::Decided;
use crate::gateway::Gateway;
use crate::record;

/// The event about one decision.
pub(super) fn event(
    gateway: &Gateway,
    kind: EventType,
    caller: &Caller,
    connector: &Connector,
    (method, words): (&str, &str),
    decided: &Decided,
) -> Event {
    let mut event = record::event(&gateway.ports, kind, caller, decided.view.as_ref());
    event.action = Some(Action {
        effect: Some(decided.effect),
        ..action(connector, method)
    });
    event.change = Some(host(connector));
    event.decision = Some(record::decision(decided));
    event.sealed.push(record::sealed("/args", words.as_bytes()));
    event
}

fn action(connector: &Connector, method: &str) -> Action {
    Action {
        server: Some(connector.name().clone()),
        definition: Some(connector.digest),
        ..Action::named(method)
    }
}

fn host(connector: &Connector) -> ChangeRef {
    ChangeRef {
        kind: "host".to_owned(),
        id: format!("{}:{}", connector.host(), connector.port()),
        before: None,
        after: None,
    }
}

/// Puts on record that a request went nowhere before anything could be decided about it.
pub(crate) async fn refused(
    gateway: &Gateway,
    connector: &Connector,
    caller: &Caller,
    target: &Target,
    problem: &Problem,
) -> Refusal {
    let view = gateway
        .decider
        .replica()
        .view(|state| state.caller(caller.task, caller.instance).ok());
    let view = view.ok().flatten();
    let mut event = record::event(
        &gateway.ports,
        EventType::EgressRefused,
        caller,
        view.as_ref(),
    );
    event.action = Some(action(connector, target.method()));
    event.change = Some(host(connector));
    event
        .sealed
        .push(record::sealed("/args", target.in_words().as_bytes()));
    event.outcome = Some(record::refused(problem.code));
    Refusal::of(problem).on_record(record::narrow(&gateway.ports, event).await)
}
