//! Labels of one call (04 §8 of the design): what a task is about to read it carries before the call leaves, what an item is about to hold
//! it carries before that; what only the answer tells is durable before the answer goes on.

mod named;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bailiwick_core::Effect;
use bailiwick_core::Problem;
use bailiwick_core::binding::{Binding, WHOLE};
use bailiwick_core::event::{EventType, TaskRef};
use bailiwick_core::id::EventId;
use bailiwick_core::item::ItemKey;
use bailiwick_core::json::Text;
use bailiwick_core::label::{Label, Labels};
use bailiwick_core::name::ServerName;
use bailiwick_core::server::Server;
use bailiwick_core::{Code, Fault as _};
use bailiwick_policy::{ItemIds, Items};

use crate::content::Content;
use crate::decider::Decided;
use crate::duties::redacted_labels;
use crate::gateway::Gateway;
use crate::live::Entered;
use crate::replica::{Replica, State, View};
use named::{Things, named_in_answer, named_in_arguments, whole};

/// What is fetched without a tool is bound to nothing: it may hold whatever its server keeps.
static UNBOUND: LazyLock<Binding> = LazyLock::new(Binding::default);

/// Whose task a call is, and what it goes to.
fn rows(decided: &Decided) -> Result<(&View, &Server, &Binding), Problem> {
    let (Some(view), Some(server)) = (&decided.view, &decided.server) else {
        return Err(Problem::new(Code::Internal, "a call without rows", ""));
    };
    let binding = decided.tool.as_ref().map(|tool| &tool.binding);
    Ok((view, server, binding.unwrap_or(&UNBOUND)))
}

/// What a call is about, as policy is told. A call that does not name it all is about the whole of its server too.
pub(crate) fn items(
    replica: &Replica,
    server: &ServerName,
    binding: &Binding,
    arguments: &Text<'_>,
) -> Result<Items, Problem> {
    let mut things = named_in_arguments(binding, server, arguments)?;
    let labels = replica.view(|state| kept(state, server, binding, &things));
    let labels = labels.map_err(|behind| behind.problem())?;
    let mut kinds: BTreeSet<String> = things.keys.iter().map(|key| key.kind.to_string()).collect();
    if !things.complete {
        kinds.insert(WHOLE.to_owned());
        things.ids.insert(format!("{server}/{WHOLE}"));
    }
    Ok(Items {
        names: ItemIds(things.ids),
        kinds,
        labels: labels.iter().map(ToString::to_string).collect(),
    })
}

/// Before the call leaves: items that it writes take what its task carries, then the task takes what any answer of it would bring.
/// Nothing leaves if one of these cannot be made durable. Gives what an answer brings as far as that is known.
pub(crate) async fn before(
    gateway: &Gateway,
    decided: &Decided,
    arguments: &Text<'_>,
    (cause, entered): (EventId, &Entered),
) -> Result<Labels, Problem> {
    let (view, server, binding) = rows(decided)?;
    let named = named_in_arguments(binding, &server.name, arguments)?;
    let labeller = &gateway.ports.labeller;
    let carried = look(gateway, |state| carried(state, view))?;
    if decided.effect != Effect::Read && !carried.is_empty() {
        let mut keys = named.keys.clone();
        if !named.complete {
            keys.extend(whole(&server.name));
        }
        let new = look(gateway, |state| {
            keys.retain(|key| !state.items().of(key).covers(&carried));
            keys
        })?;
        if !new.is_empty() {
            labeller.items(view.task.id, new, carried, cause).await?;
        }
    }
    let mut brings = server.labels.clone();
    brings.join(&binding.labels);
    brings.join(&of_duties(decided));
    let kept = look(gateway, |state| kept(state, &server.name, binding, &named))?;
    brings.join(&kept);
    take(gateway, view, &brings, (cause, entered)).await?;
    Ok(brings)
}

/// Before the answer goes on: the task takes what the answer tells it holds. Of an answer that is not all values with paths, it is as if it
/// held everything.
pub(crate) async fn after(
    gateway: &Gateway,
    decided: &Decided,
    content: &Content<'_>,
    (cause, entered): (EventId, &Entered),
) -> Result<Labels, Problem> {
    let (view, server, binding) = rows(decided)?;
    let told = told_by_answer(binding);
    if !told && binding.paths.is_empty() {
        return Ok(Labels::default());
    }
    let structured = content.is_structured();
    let here = |path: &str| !structured || content.at(path).next().is_some();
    let paths = binding.paths.iter();
    // What was taken out, it does not carry.
    let gone = redacted_labels(&decided.decision.obligations);
    let paths = paths.filter(|(path, label)| here(path.as_str()) && !gone.contains(label));
    let mut brings: Labels = paths.map(|(_, label)| label.clone()).collect();
    if told {
        let found = named_in_answer(binding, &server.name, content);
        let kept = look(gateway, |state| match found {
            Some(keys) if structured => {
                let mut kept = Labels::default();
                join_items(&mut kept, state, &keys);
                kept
            }
            _ => state.items().any(&server.name),
        })?;
        brings.join(&kept);
    }
    take(gateway, view, &brings, (cause, entered)).await?;
    Ok(brings)
}

/// The task as it is now, for the record of how its call ended.
pub(crate) fn task_now(gateway: &Gateway, event: &mut bailiwick_core::event::Event) {
    debug_assert!(matches!(
        event.kind,
        EventType::ToolResult | EventType::EgressResult
    ));
    let Some(known) = &event.task else { return };
    let now = look(gateway, |state| {
        state.task(known.id).map(|task| TaskRef::of(task))
    });
    if let Ok(Some(now)) = now {
        event.task = Some(now);
    }
}

async fn take(
    gateway: &Gateway,
    view: &View,
    brings: &Labels,
    (cause, entered): (EventId, &Entered),
) -> Result<(), Problem> {
    entered.brings(brings);
    let carried = look(gateway, |state| carried(state, view))?;
    if carried.covers(brings) {
        return Ok(());
    }
    let labeller = &gateway.ports.labeller;
    labeller.task(view.task.id, brings.clone(), cause).await
}

/// The labels of the task by now: calls of it that ran meanwhile may have brought some.
fn carried(state: &State, view: &View) -> Labels {
    let now = state.task(view.task.id);
    now.map_or_else(|| view.task.labels.clone(), |task| task.labels.clone())
}

/// What the things carry that a call is about, as far as that is known before it.
fn kept(state: &State, server: &ServerName, binding: &Binding, things: &Things) -> Labels {
    let mut kept = state.items().whole(server);
    if things.complete {
        join_items(&mut kept, state, &things.keys);
    } else if !told_by_answer(binding) {
        kept.join(&state.items().any(server));
    }
    kept
}

fn told_by_answer(binding: &Binding) -> bool {
    binding.items.iter().any(|named| named.answer.is_some())
}

fn join_items(kept: &mut Labels, state: &State, keys: &[ItemKey]) {
    for key in keys {
        kept.join(&state.items().of(key));
    }
}

fn of_duties(decided: &Decided) -> Labels {
    let duties = decided.decision.obligations.iter();
    let labels = duties.filter(|duty| duty.kind == "label");
    // A label that cannot be read is refused when a bundle is loaded.
    labels
        .filter_map(|duty| duty.argument.parse::<Label>().ok())
        .collect()
}

fn look<T>(gateway: &Gateway, look: impl FnOnce(&State) -> T) -> Result<T, Problem> {
    let seen = gateway.decider.replica().view(look);
    seen.map_err(|behind| behind.problem())
}

#[cfg(test)]
mod tests;
