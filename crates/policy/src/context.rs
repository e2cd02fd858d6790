//! The request's context `{input, bw}` as Cedar values, built per call without a detour through expressions.

use bailiwick_core::Timestamp;
use bailiwick_core::task::RequestSource;
use cedar_policy_core::ast::{Context, Value, ValueKind};

use crate::call::Call;
use crate::uid::{Types, uid};

/// The context of one call; `input` is left out for a question that is not about arguments.
pub(crate) fn build(call: &Call<'_>, arguments: Option<Value>, types: &Types) -> Context {
    let facts = facts(call, types);
    let parts = arguments.map(|arguments| ("input", arguments));
    let record = Value::record(parts.into_iter().chain([("bw", facts)]), None);
    match record.value {
        ValueKind::Record(members) => Context::Value(members),
        // `Value::record` makes a record.
        _ => Context::empty(),
    }
}

fn facts(call: &Call<'_>, types: &Types) -> Value {
    let task = call.task;
    let labels = task.labels.iter().map(|label| label.as_str().into());
    let chain = call
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
        ("age_s", long(call.now.since(task.created_at).as_secs())),
        ("calls", long(task.usage.calls)),
        ("writes", long(task.usage.writes)),
        ("escalations", long(task.usage.escalations)),
        ("requested_by", requested_by.into()),
    ];
    let more = call.facts.values_of_task();
    let task = Value::record(known.into_iter().chain(more), None);
    let known = [
        ("user", uid(&types.user, call.user.as_str()).into()),
        ("chain", Value::set(chain, None)),
        ("depth", long(call.task.depth)),
        ("effect", call.effect.as_str().into()),
        ("task", task),
        ("now", time(call.now)),
    ];
    Value::record(known.into_iter().chain(call.facts.values()), None)
}

/// Seconds since the epoch, hour of the day and day of the week (0 is Monday), in UTC.
fn time(now: Timestamp) -> Value {
    let seconds = now.as_secs();
    let day = seconds.div_euclid(86_400);
    record([
        ("epoch_s", seconds.into()),
        ("hour", (seconds.rem_euclid(86_400) / 3_600).into()),
        // 1970-01-01 was a Thursday.
        ("weekday", (day + 3).rem_euclid(7).into()),
    ])
}

fn record<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::record(members, None)
}

fn long(number: u64) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}
