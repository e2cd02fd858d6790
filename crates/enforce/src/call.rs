//! One `tools/call`, from its envelope to the last byte of its answer. No call reaches the tool server before its intent is durable, and
//! no answer reaches the caller before its result is.

mod running;

use std::sync::Arc;

use bailiwick_core::approval::Approval;
use bailiwick_core::decision::Outcome;
use bailiwick_core::event::{ApprovalRef, Event, EventType};
use bailiwick_core::json::{Kind, Limits, Text, check};
use bailiwick_core::name::{ToolName, ToolRef};
use bailiwick_core::{Code, Fault};
use bailiwick_policy::DIVERGED;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::answer::Refusal;
use crate::ask;
use crate::caller::Caller;
use crate::catalogue::Pinned;
use crate::decider::{Call, Decided, Standing, StandingCall};
use crate::gateway::Gateway;
use crate::live::Entered;
use crate::mcp::envelope::Envelope;
use crate::mcp::methods::Context;
use crate::mcp::session::Session;
use crate::mcp::{Outlet, Reply, headers, lists};
use crate::record::{self, Named};
use crate::step_up::{self, Elicit, Waiting};
pub(crate) use running::{Done, Running};

/// Runs one call and answers it.
pub(crate) async fn run(
    gateway: &Gateway,
    session: &Arc<Session>,
    envelope: &Envelope,
    context: &Context,
    outlet: &Outlet,
    cancelled: &CancellationToken,
) -> Reply {
    let started = gateway.ports.clock.monotonic();
    let id = envelope.id().unwrap_or("null");
    let (status, body, outcome) =
        match attempt(gateway, session, envelope, context, outlet, cancelled).await {
            Ok(done) => (done.status, done.body, done.outcome),
            Err(refusal) => {
                gateway.metrics.refuse(refusal.code);
                let (status, body) = match refusal.code {
                    // The protocol's own error for a tool that is not there.
                    Code::ToolUnknown | Code::EnvelopeInvalid => (200, refusal.as_error(Some(id))),
                    Code::HeaderMismatch => (400, refusal.as_error(Some(id))),
                    _ => (200, refusal.as_result(id, context.stateless)),
                };
                (status, body, outcome_name(&refusal))
            }
        };
    gateway.metrics.call(
        outcome,
        gateway.ports.clock.monotonic().saturating_sub(started),
    );
    Reply { status, body }
}

async fn attempt(
    gateway: &Gateway,
    session: &Arc<Session>,
    envelope: &Envelope,
    context: &Context,
    outlet: &Outlet,
    cancelled: &CancellationToken,
) -> Result<Done, Refusal> {
    let nothing = check(b"{}", &Limits::ENVELOPE).map_err(|error| Refusal::of(&error.problem()))?;
    let (tool, arguments) = parameters(envelope, nothing)?;
    let named = Named {
        op: "tools/call",
        server: &session.server.name,
        tool: Some(&tool),
        request_id: envelope.id().unwrap_or("null"),
        arguments: arguments.as_str(),
    };
    // In the index first, then the fences: what falls in between finds this call here.
    let entered = enter(gateway, session, &context.caller, Some(&tool))?;
    // A list that cannot be read shows no tool, and the decision says so; a cut or a failing server is said as it is.
    let list = Pinned::Tools;
    if let Err(refusal) = lists::refresh(gateway, session, list, envelope, context, cancelled).await
    {
        return Err(unlisted(gateway, context, &named, refusal).await);
    }
    let now = gateway.ports.clock.monotonic();
    let mut resumed = session.rounds.resume(envelope, now)?;
    let onward = ask::onward(gateway, session, envelope, context).await;
    let shown = session.shown(Pinned::Tools).digest(&tool);
    let call = Call {
        caller: &context.caller,
        server: &session.server.name,
        tool: &tool,
        arguments: &arguments,
        shown,
        discharged: &[],
        count: !resumed.counted,
    };
    let (first, kept) = first(gateway, &call, resumed.approval.take()).await;
    let repeated = match with_parameters(context, &first, &arguments) {
        Ok(repeated) => repeated,
        Err(refusal) => return Err(unlisted(gateway, context, &named, refusal).await),
    };
    let context = &repeated;
    let progress = envelope
        .params()
        .and_then(|params| params.member("_meta")?.member("progressToken"));
    let (decided, approval) = match first.decision.outcome {
        Outcome::Allow => (first, kept),
        Outcome::Deny => return Err(refuse(gateway, context, &named, &first).await),
        Outcome::StepUp => {
            let progress = progress.as_ref().map(Text::as_str);
            let waiting = Waiting {
                call,
                named,
                session,
                entered: &entered,
                cancelled,
                outlet,
                progress,
                elicit: Elicit::of(session, context, &onward, &resumed),
            };
            match step_up::run(gateway, &waiting, &first).await {
                Ok(approved) => (approved.decided, Some(approved.approval)),
                Err(refusal) => {
                    return Err(not_approved(gateway, context, &named, &first, refusal).await);
                }
            }
        }
    };
    let kind = EventType::ToolIntent;
    let mut intent = record::decided(gateway, kind, &context.caller, &named, &decided);
    if let Some(approval) = &approval {
        // Who answered is on record with the answer itself, by account id.
        intent.approval = Some(ApprovalRef {
            id: approval.id,
            approvers: Vec::new(),
        });
    }
    resumed.approval = approval;
    record::grant(&gateway.ports, intent.clone())
        .await
        .map_err(|error| Refusal::of(&error.problem()))?;
    gateway.decider.has_called(&decided);
    if let Some(standing) = standing(&call, &decided, session, resumed.approval.as_ref()) {
        gateway
            .stands(&entered, &decided, Standing::Call(standing))
            .await;
    }
    let mut running = Running::new(
        gateway,
        session,
        context,
        intent,
        entered,
        (onward.offers, resumed),
    );
    running
        .run(
            (envelope, &onward.raw),
            &arguments,
            context,
            outlet,
            cancelled,
            &decided,
        )
        .await
}

/// Puts on record that a call which was held does not run; one that waits on is on record already.
async fn not_approved(
    gateway: &Gateway,
    context: &Context,
    named: &Named<'_>,
    first: &Decided,
    refusal: Refusal,
) -> Refusal {
    if refusal.decision == Outcome::StepUp {
        return refusal;
    }
    let event = refusal.event;
    let own = refused_event(gateway, context, named, first, refusal.code);
    refusal.on_record(record::narrow(&gateway.ports, own).await.or(event))
}

/// What a call is decided again by, while it runs or waits for people.
pub(crate) fn standing(
    call: &Call<'_>,
    decided: &Decided,
    session: &Session,
    approval: Option<&Approval>,
) -> Option<StandingCall> {
    let takes = session.upstream.takes_bearer();
    Some(StandingCall {
        caller: call.caller.clone(),
        server: call.server.clone(),
        tool: call.tool.clone(),
        arguments: Bytes::copy_from_slice(call.arguments.as_bytes()),
        shown: call.shown,
        discharged: approval.map_or_else(Vec::new, |approval| approval.discharges.clone()),
        quorum: approval.map_or(0, |approval| approval.quorum),
        duties: decided.decision.obligations.clone(),
        known: Arc::clone(decided.known.as_ref()?),
        credential: session.server.credential.clone().filter(|_| takes),
        labels: decided.view.as_ref()?.task.labels.clone(),
    })
}

/// The headers that go on with a call: also those that repeat its arguments.
fn with_parameters(
    context: &Context,
    decided: &Decided,
    arguments: &Text<'_>,
) -> Result<Context, Refusal> {
    let definition = decided.tool.as_ref().map(|tool| tool.definition.as_str());
    let repeated = headers::parameters(
        &context.parameters,
        definition.unwrap_or_default(),
        arguments,
    );
    let mut context = context.clone();
    let repeated = repeated.map_err(|problem| Refusal::of(&problem))?;
    context.headers.extend(repeated);
    Ok(context)
}

/// Decides with the approval of an earlier round as long as it is enough; otherwise without.
async fn first(
    gateway: &Gateway,
    call: &Call<'_>,
    approval: Option<Approval>,
) -> (Decided, Option<Approval>) {
    if let Some(approval) = approval {
        let again = Call {
            discharged: &approval.discharges,
            ..*call
        };
        let decided = gateway.decider.decide(&again).await;
        if step_up::covered(&decided, &approval) {
            return (decided, Some(approval));
        }
    }
    (gateway.decider.decide(call).await, None)
}

/// Puts on record that nothing could be decided, because the server does not show what it has.
pub(crate) async fn unlisted(
    gateway: &Gateway,
    context: &Context,
    named: &Named<'_>,
    refusal: Refusal,
) -> Refusal {
    let view = gateway.decider.admit(&context.caller, named.server).ok();
    let mut event = record::event(
        &gateway.ports,
        EventType::ToolRefused,
        &context.caller,
        view.as_ref(),
    );
    event.action = Some(named.action());
    event.outcome = Some(record::refused(refusal.code));
    refusal.on_record(record::narrow(&gateway.ports, event).await)
}

/// Enters a call under every subject of its caller, its server and its tool.
pub(crate) fn enter(
    gateway: &Gateway,
    session: &Session,
    caller: &Caller,
    tool: Option<&ToolName>,
) -> Result<Entered, Refusal> {
    let replica = gateway.decider.replica();
    let subjects = replica
        .view(|state| {
            let view = state.caller(caller.task, caller.instance)?;
            let tool = tool.map(|tool| ToolRef {
                server: session.server.name.clone(),
                tool: tool.clone(),
            });
            Ok(caller.subjects(&view, &session.server.name, tool.as_ref(), None, state.seq))
        })
        .map_err(|behind| Refusal::of(&behind.problem()))?
        .map_err(|problem: bailiwick_core::Problem| Refusal::of(&problem))?;
    Ok(replica.live().enter(subjects))
}

fn parameters<'a>(
    envelope: &'a Envelope,
    nothing: Text<'a>,
) -> Result<(ToolName, Text<'a>), Refusal> {
    let wrong =
        |what: &str| Refusal::new(Code::EnvelopeInvalid, what, "send params {name, arguments}");
    let params = envelope
        .params()
        .ok_or_else(|| wrong("a tools/call without params"))?;
    if params.member("task").is_some() {
        return Err(wrong(
            "calls that go on as tasks of the server are not passed on",
        ));
    }
    let name = params
        .member("name")
        .and_then(|name| name.string())
        .ok_or_else(|| wrong("a tools/call without a tool's name"))?;
    let tool: Option<ToolName> = name.parse().ok();
    // A prompt is no tool, whatever a server calls its tools.
    let tool = tool.filter(|tool| !tool.is_prompt()).ok_or_else(|| {
        Refusal::new(
            Code::ToolUnknown,
            "there is no tool of this name",
            "see tools/list",
        )
    })?;
    let arguments = params.member("arguments").unwrap_or(nothing);
    if arguments.kind() != Kind::Object {
        return Err(wrong("arguments that are no object"));
    }
    Ok((tool, arguments))
}

async fn refuse(
    gateway: &Gateway,
    context: &Context,
    named: &Named<'_>,
    decided: &Decided,
) -> Refusal {
    let refusal = Refusal::from_decision(&decided.decision);
    if decided
        .decision
        .reasons
        .iter()
        .any(|reason| reason.source == DIVERGED)
    {
        alarm(gateway, context, named, decided).await;
    }
    gateway.decider.was_refused(decided);
    let event = refused_event(gateway, context, named, decided, refusal.code);
    let event = record::narrow(&gateway.ports, event).await;
    if let (Code::BudgetExhausted, Some(view)) = (refusal.code, &decided.view) {
        gateway.budget_used_up(view.task.root(), event).await;
    }
    refusal.on_record(event)
}

/// The index of policies is wrong: counted, and on record by an event of its own.
async fn alarm(gateway: &Gateway, context: &Context, named: &Named<'_>, decided: &Decided) {
    gateway.metrics.diverge();
    tracing::error!(server = %named.server, "the index of policies does not find what the policies say");
    let view = decided.view.as_ref();
    let mut event = record::event(
        &gateway.ports,
        EventType::PolicyDiverged,
        &context.caller,
        view,
    );
    event.action = Some(named.action());
    record::narrow(&gateway.ports, event).await;
}

fn refused_event(
    gateway: &Gateway,
    context: &Context,
    named: &Named<'_>,
    decided: &Decided,
    code: Code,
) -> Event {
    let mut event = record::decided(
        gateway,
        EventType::ToolRefused,
        &context.caller,
        named,
        decided,
    );
    event.outcome = Some(record::refused(code));
    event
}

pub(crate) fn outcome_name(refusal: &Refusal) -> &'static str {
    match refusal.code {
        Code::Revoked | Code::CallCut => "cut",
        Code::ApprovalRequired => "held",
        Code::ServerDown | Code::ServerBusy | Code::UpstreamProtocol | Code::AnswerTooLarge => {
            "failed"
        }
        Code::UpstreamTimeout => "timeout",
        _ => "refused",
    }
}

#[cfg(test)]
mod tests;
