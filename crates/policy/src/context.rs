//! The request's context `{input, bw}` as Cedar values, built per call without a detour through expressions.

use bailiwick_core::Timestamp;
use bailiwick_core::task::RequestSource;
use bailiwick_core::zone::Zone;
use cedar_policy_core::ast::{Context, Value, ValueKind};

use crate::bundle::Bundle;
use crate::call::{Call, Setting};
use crate::uid::uid;

/// The context of one call; `input` is left out for a question that is not about arguments.
pub(crate) fn of_call(call: &Call<'_>, arguments: Option<Value>, bundle: &Bundle) -> Context {
    let effect = ("effect", call.effect.as_str().into());
    build(arguments, facts(&call.setting(), Some(effect), bundle))
}

/// The context of one act.
pub(crate) fn of_act(setting: &Setting<'_>, input: Value, bundle: &Bundle) -> Context {
    build(Some(input), facts(setting, None, bundle))
}

fn build(input: Option<Value>, facts: Value) -> Context {
    let parts = input.map(|input| ("input", input));
    let record = Value::record(parts.into_iter().chain([("bw", facts)]), None);
    match record.value {
        ValueKind::Record(members) => Context::Value(members),
        // `Value::record` makes a record.
        _ => Context::empty(),
    }
}

fn facts(setting: &Setting<'_>, effect: Option<(&'static str, Value)>, bundle: &Bundle) -> Value {
    let (task, types) = (setting.task, &bundle.types);
    let labels = task.labels.iter().map(|label| label.as_str().into());
    let chain = setting
        .chain
        .iter()
        .map(|agent| uid(&types.agent, agent.as_str()).into());
    let requested_by = match task.requested_by {
        RequestSource::User => "user",
        RequestSource::Orchestrator => "orchestrator",
        RequestSource::Agent => "agent",
    };
    let known = [
        ("id", task.id.to_string().into()),
        ("workflow", task.workflow.as_str().into()),
        ("stage", task.stage.as_str().into()),
        ("risk", task.risk.as_long().into()),
        ("labels", Value::set(labels, None)),
        ("age_s", long(setting.now.since(task.created_at).as_secs())),
        ("calls", long(task.usage.calls)),
        ("writes", long(task.usage.writes)),
        ("escalations", long(task.usage.escalations)),
        ("requested_by", requested_by.into()),
    ];
    let more = setting.facts.values_of_task();
    let about_task = Value::record(known.into_iter().chain(more), None);
    let known = [
        ("user", uid(&types.user, setting.user.as_str()).into()),
        ("chain", Value::set(chain, None)),
        ("depth", long(task.depth)),
        ("task", about_task),
        ("now", time(setting.now, bundle.zone())),
    ];
    let more = setting.facts.values();
    Value::record(known.into_iter().chain(effect).chain(more), None)
}

/// Seconds since the epoch; hour of the day and day of the week (0 is Monday) in the bundle's time zone.
fn time(now: Timestamp, zone: &Zone) -> Value {
    let local = zone.local(now);
    record([
        ("epoch_s", now.as_secs().into()),
        ("hour", local.hour.into()),
        ("weekday", local.weekday.into()),
    ])
}

fn record<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::record(members, None)
}

pub(crate) fn long(number: u64) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}
