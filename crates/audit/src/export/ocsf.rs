//! `ocsf`: one line an event in the Open Cybersecurity Schema Framework 1.8.0 (schema.ocsf.io). What the schema has no place for stands in
//! `unmapped.bailiwick`, with the whole leaf, so nothing is lost.

use std::io::Write;

use bailiwick_core::decision::Outcome as Verdict;
use bailiwick_core::effect::Effect;
use bailiwick_core::event::{Event, Status};
use serde_json::{Map, Value, json};

use self::class::{Activity, Class, class_of};
use super::otlp::{call_of, span_id, trace_id};
use super::{ExportError, Exporter, Recorded};

mod class;

/// Version of the schema.
pub const VERSION: &str = "1.8.0";

/// Writes lines.
#[derive(Debug)]
pub struct Ocsf<W>(pub W);

impl<W: Write> Exporter for Ocsf<W> {
    fn take(&mut self, record: &Recorded<'_>) -> Result<(), ExportError> {
        serde_json::to_writer(&mut self.0, &event(record)?)?;
        Ok(self.0.write_all(b"\n")?)
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        Ok(self.0.flush()?)
    }
}

/// One event in the schema's terms.
pub fn event(record: &Recorded<'_>) -> Result<Value, serde_json::Error> {
    let (leaf, event) = (record.leaf, &record.leaf.event);
    let (class, activity) = class_of(event);
    let activity_id = activity.id();
    let (status_id, status) = status(event);
    let mut out = base(record, class, &activity);
    out.extend(members(json!({
        "activity_id": activity_id,
        "type_uid": class.uid() * 100 + u64::from(activity_id),
        "severity_id": severity(event, class),
        "status_id": status_id,
        "status": status,
        "message": message(event),
        "unmapped": {"bailiwick": {
            "origin": record.origin,
            "index": record.index,
            "leaf_hash": record.leaf_hash,
            "leaf": serde_json::from_slice::<Value>(record.bytes)?,
        }},
    })));
    if let Some(outcome) = &event.outcome {
        out.extend(
            outcome
                .code
                .clone()
                .map(|code| ("status_code".to_owned(), code.into())),
        );
        if outcome.us > 0 {
            out.insert("duration".to_owned(), json!(outcome.us.div_ceil(1_000)));
        }
    }
    if let Some(actor) = actor(event) {
        out.insert("actor".to_owned(), actor);
    }
    out.extend(match class {
        Class::Api => api(event, leaf.ts.as_millis()),
        Class::Http => egress(event),
        Class::Authentication => authentication(event),
        Class::UserAccess => access(event),
        Class::AuthorizeSession => approval(event),
        Class::Entity => entity(event, record.origin),
        Class::Finding => finding(event, record.origin),
    });
    Ok(Value::Object(out))
}

/// What every class has.
fn base(record: &Recorded<'_>, class: Class, activity: &Activity) -> Map<String, Value> {
    let (leaf, event) = (record.leaf, &record.leaf.event);
    let mut metadata = members(json!({
        "version": VERSION,
        "product": {"name": "Bailiwick", "vendor_name": "Bailiwick", "version": leaf.src.version},
        "uid": event.id,
        "event_code": event.kind.as_str(),
        "sequence": record.index,
        "log_name": record.origin,
        "log_version": leaf.v.to_string(),
        "profiles": class.profiles(event),
    }));
    if let Some(task) = &event.task {
        metadata.insert("correlation_uid".to_owned(), json!(task.root));
    }
    members(json!({
        "class_uid": class.uid(),
        "class_name": class.name(),
        "category_uid": class.category(),
        "activity_name": activity.name(),
        "time": leaf.ts.as_millis(),
        "metadata": metadata,
    }))
}

/// Who acted, and for whom.
fn actor(event: &Event) -> Option<Value> {
    let mut actor = Map::new();
    if let Some(agent) = &event.agent {
        actor.insert("app_name".to_owned(), json!(agent.id));
        actor.extend(agent.instance.map(|id| ("app_uid".to_owned(), json!(id))));
    }
    if let Some(user) = event.user.as_ref().or(event.actor.as_ref()) {
        actor.insert("user".to_owned(), json!({"uid": user}));
    }
    if let Some(task) = &event.task {
        actor.insert("session".to_owned(), json!({"uid": task.id}));
    }
    if let Some(decision) = event.decision.as_ref().filter(|_| !actor.is_empty()) {
        let verdict = decision.effect.as_str();
        let by = decision.policies.iter();
        let mut list: Vec<Value> = by
            .map(|policy| json!({"decision": verdict, "policy": {"uid": policy}}))
            .collect();
        if list.is_empty() {
            list.push(json!({"decision": verdict}));
        }
        actor.insert("authorizations".to_owned(), list.into());
    }
    (!actor.is_empty()).then_some(Value::Object(actor))
}

/// A call: class API Activity with the profiles `ai_operation` and `trace`.
fn api(event: &Event, at: i64) -> Map<String, Value> {
    let name = event.agent.as_ref().map(|agent| agent.id.to_string());
    let name = name.or_else(|| event.actor.clone());
    let name = name.unwrap_or_else(|| "unknown".to_owned());
    let mut source = members(json!({"name": name}));
    if let Some(id) = event.agent.as_ref().and_then(|agent| agent.instance) {
        source.insert("instance_uid".to_owned(), json!(id));
    }
    let action = event.action.as_ref();
    let operation = action.map_or(event.kind.as_str(), |action| action.op.as_str());
    let mut api = members(json!({"operation": operation}));
    if let Some(request) = action.and_then(|action| action.request_id.as_ref()) {
        api.insert("request".to_owned(), json!({"uid": request}));
    }
    if let Some(outcome) = &event.outcome {
        let mut response = Map::new();
        response.extend(
            outcome
                .code
                .clone()
                .map(|code| ("error".to_owned(), code.into())),
        );
        response.insert("message".to_owned(), json!(outcome.status));
        api.insert("response".to_owned(), Value::Object(response));
    }
    let mut out = Map::new();
    if let Some(server) = action.and_then(|action| action.server.as_ref()) {
        api.insert("service".to_owned(), json!({"name": server}));
        out.insert("dst_endpoint".to_owned(), json!({"svc_name": server}));
    }
    if let Some((server, tool)) =
        action.and_then(|action| action.server.as_ref().zip(action.tool.as_ref()))
    {
        out.extend(members(json!({
            "resources": [{"name": tool, "uid": format!("{server}/{tool}"), "type": "tool"}],
            "message_context": {"name": tool, "service": {"name": server}, "ai_role_id": 3, "ai_role": "Tool"},
        })));
        if let Some(task) = &event.task {
            let mut trace = members(json!({"uid": trace_id(task.root.bits())}));
            if let Some(outcome) = &event.outcome {
                let took = i64::try_from(outcome.us / 1_000).unwrap_or(0);
                trace.insert(
                    "span".to_owned(),
                    json!({"uid": span_id(call_of(event)), "operation": operation, "start_time": at - took, "end_time": at}),
                );
            }
            out.insert("trace".to_owned(), Value::Object(trace));
        }
    }
    // The schema asks who called even where nobody was recognised.
    if event.agent.is_none() && event.actor.is_none() && event.user.is_none() {
        out.insert("actor".to_owned(), json!({"app_name": "unknown"}));
    }
    out.insert("src_endpoint".to_owned(), Value::Object(source));
    out.insert("api".to_owned(), Value::Object(api));
    out
}

/// A request through a connector: class HTTP Activity. A method that the schema does not know is told by the activity's name alone.
fn egress(event: &Event) -> Map<String, Value> {
    let method = event.action.as_ref().map(|action| action.op.as_str());
    let method = method.filter(|method| class::http_method(method).is_some());
    let request = method.map_or_else(|| json!({}), |method| json!({"http_method": method}));
    members(json!({ "http_request": request }))
}

/// Sign-in of a process, a person or a token: class Authentication.
fn authentication(event: &Event) -> Map<String, Value> {
    members(json!({"user": subject(event), "service": {"name": "bailiwick"}}))
}

/// What a task or delegation gives or takes: class User Access Management.
fn access(event: &Event) -> Map<String, Value> {
    let mut out = members(json!({"user": subject(event), "privileges": [privilege(event)]}));
    if let Some(task) = &event.task {
        let resource = json!([{"uid": task.id, "type": "task"}]);
        out.insert("resources".to_owned(), resource);
    }
    out
}

/// A person's answer about one call: class Authorize Session.
fn approval(event: &Event) -> Map<String, Value> {
    let mut out = members(json!({"user": subject(event), "privileges": [privilege(event)]}));
    if let Some(approval) = &event.approval {
        out.insert("session".to_owned(), json!({"uid": approval.id}));
    }
    out
}

/// Something that is registered and changes: class Entity Management.
fn entity(event: &Event, origin: &str) -> Map<String, Value> {
    let family = event.kind.as_str().split('.').next().unwrap_or_default();
    let (kind, id) = match (&event.change, &event.lease) {
        (Some(change), _) => (change.kind.clone(), change.id.clone()),
        (None, Some(lease)) => ("lease".to_owned(), lease.id.to_string()),
        (None, None) if family == "log" => ("log".to_owned(), origin.to_owned()),
        (None, None) => (family.to_owned(), event.id.to_string()),
    };
    // The schema knows policies by a number of their own.
    let type_id = if kind == "policy" { 5 } else { 99 };
    members(json!({"entity": {"name": id, "uid": id, "type": kind, "type_id": type_id}}))
}

/// Something that people should look at: class Detection Finding.
fn finding(event: &Event, origin: &str) -> Map<String, Value> {
    let about = event.change.as_ref();
    let title = about.map_or_else(
        || format!("{} of {origin}", event.kind.as_str()),
        |change| format!("{}: {} {}", event.kind.as_str(), change.kind, change.id),
    );
    let mut out = members(
        json!({"finding_info": {"uid": event.id, "title": title, "types": [event.kind.as_str()]}}),
    );
    if let Some((server, tool)) = event
        .action
        .as_ref()
        .and_then(|action| action.server.as_ref().zip(action.tool.as_ref()))
    {
        let resource = json!([{"name": tool, "uid": format!("{server}/{tool}"), "type": "tool"}]);
        out.insert("resources".to_owned(), resource);
    }
    out
}

/// Who is meant: the agent as a service account, else the person.
fn subject(event: &Event) -> Value {
    let Some(agent) = &event.agent else {
        let person = event.user.as_ref().or(event.actor.as_ref());
        let person = person.map_or("unknown", String::as_str);
        return json!({"uid": person, "type_id": 0});
    };
    let mut user = members(json!({"name": agent.id, "type_id": 4, "type": "Service"}));
    user.extend(agent.instance.map(|id| ("uid".to_owned(), json!(id))));
    Value::Object(user)
}

fn privilege(event: &Event) -> String {
    let action = event.action.as_ref();
    let call = action.and_then(|action| action.server.as_ref().zip(action.tool.as_ref()));
    match (call, &event.task, &event.change) {
        (Some((server, tool)), _, _) => format!("{server}/{tool}"),
        (None, _, Some(change)) => format!("{} {}", change.kind, change.id),
        (None, Some(task), None) => format!("task {}", task.id),
        (None, None, None) => event.kind.as_str().to_owned(),
    }
}

fn status(event: &Event) -> (u8, &'static str) {
    let status = event.outcome.as_ref().map(|outcome| outcome.status);
    let verdict = event.decision.as_ref().map(|decision| decision.effect);
    match (status, verdict) {
        (Some(Status::Ok), _) | (None, Some(Verdict::Allow)) => (1, "Success"),
        (Some(Status::Unknown), _) | (None, None) => (0, "Unknown"),
        (None, Some(Verdict::StepUp)) => (99, "Held for approval"),
        (Some(_), _) | (None, Some(Verdict::Deny)) => (2, "Failure"),
    }
}

/// 1 informational, 2 low, 3 medium, 4 high.
fn severity(event: &Event, class: Class) -> u8 {
    let escalates =
        event.action.as_ref().and_then(|action| action.effect) == Some(Effect::Escalate);
    match (class, status(event).0) {
        (Class::Finding, _) => 4,
        (_, 2) if escalates => 3,
        (_, 2) => 2,
        _ => 1,
    }
}

fn message(event: &Event) -> String {
    let what = event
        .action
        .as_ref()
        .map(|action| match (&action.server, &action.tool) {
            (Some(server), Some(tool)) => format!("{server}/{tool}"),
            _ => action.op.clone(),
        });
    match what {
        Some(what) => format!("{} {what}", event.kind.as_str()),
        None => event.kind.as_str().to_owned(),
    }
}

/// The members of an object literal.
fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
