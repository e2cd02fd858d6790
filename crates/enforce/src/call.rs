//! One `tools/call`, from its envelope to the last byte of its answer. No call reaches the tool server before its intent is durable, and
//! no answer reaches the caller before its result is.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_audit::Class;
use bailiwick_core::decision::Outcome;
use bailiwick_core::event::{ApprovalRef, Event, EventType, Status};
use bailiwick_core::fence::Subject;
use bailiwick_core::json::{Kind, Limits, Text, check};
use bailiwick_core::name::{ToolName, ToolRef};
use bailiwick_core::{Code, Fault};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::answer::Refusal;
use crate::decider::{Call, Decided};
use crate::gateway::Gateway;
use crate::live::Entered;
use crate::mcp::envelope::Envelope;
use crate::mcp::methods::{self, Context, Stopped};
use crate::mcp::session::Session;
use crate::mcp::upstream::Answer;
use crate::mcp::{Outlet, Reply, lists};
use crate::ports::{LeaseWanted, Leased};
use crate::record::{self, Named};
use crate::step_up::{self, Waiting};

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
    let (body, outcome) =
        match attempt(gateway, session, envelope, context, outlet, cancelled).await {
            Ok(done) => (done.body, done.outcome),
            Err(refusal) => {
                gateway.metrics.refuse(refusal.code);
                let body = match refusal.code {
                    // The protocol's own error for a tool that is not there.
                    Code::ToolUnknown | Code::EnvelopeInvalid => {
                        refusal.as_error_with(Some(id), -32_602)
                    }
                    _ => refusal.as_result(id, context.stateless),
                };
                (body, outcome_name(&refusal))
            }
        };
    gateway.metrics.call(
        outcome,
        gateway.ports.clock.monotonic().saturating_sub(started),
    );
    Reply::ok(body)
}

/// A call that ran and was answered.
struct Done {
    body: Bytes,
    outcome: &'static str,
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
        server: &session.server.name,
        tool: Some(&tool),
        request_id: envelope.id().unwrap_or("null"),
        arguments: arguments.as_str(),
    };
    // In the index first, then the fences: what falls in between finds this call here.
    let entered = enter(gateway, session, &tool)?;
    // A list that cannot be read shows no tool, and the decision says so; a cut or a failing server is said as it is.
    lists::refresh(gateway, session, envelope, context, cancelled).await?;
    let shown = session.shown().digest(&tool);
    let call = Call {
        caller: &session.caller,
        server: &session.server.name,
        tool: &tool,
        arguments: &arguments,
        shown,
        discharged: &[],
        count: true,
    };
    let first = gateway.decider.decide(&call).await;
    let progress = envelope
        .params()
        .and_then(|params| params.member("_meta")?.member("progressToken"));
    let (decided, approval) = match first.decision.outcome {
        Outcome::Allow => (first, None),
        Outcome::Deny => return Err(refuse(gateway, session, &named, &first).await),
        Outcome::StepUp => {
            let progress = progress.as_ref().map(Text::as_str);
            let waiting = Waiting {
                call,
                named,
                entered: &entered,
                cancelled,
                outlet,
                progress,
            };
            match step_up::run(gateway, &waiting, &first).await {
                Ok(approved) => (approved.decided, Some(approved.approval)),
                Err(refusal) if refusal.decision == Outcome::StepUp => return Err(refusal),
                Err(refusal) => {
                    let event = refusal.event;
                    let own = refused_event(gateway, session, &named, &first, refusal.code);
                    return Err(
                        refusal.on_record(record::narrow(&gateway.ports, own).await.or(event))
                    );
                }
            }
        }
    };
    let mut intent = record::decided(
        &gateway.ports,
        EventType::ToolIntent,
        &session.caller,
        &named,
        &decided,
    );
    if let Some(approval) = &approval {
        intent.approval = Some(ApprovalRef {
            id: approval.id,
            approvers: approval
                .votes
                .iter()
                .filter(|vote| vote.approve)
                .map(|vote| vote.account.clone())
                .collect(),
        });
    }
    record::grant(&gateway.ports, intent.clone())
        .await
        .map_err(|error| Refusal::of(&error.problem()))?;
    let mut running = Running {
        gateway,
        session,
        intent,
        entered,
        started: gateway.ports.clock.monotonic(),
    };
    running
        .run(envelope, context, outlet, cancelled, &decided)
        .await
}

/// A call whose intent is on record. Its result will be too.
struct Running<'a> {
    gateway: &'a Gateway,
    session: &'a Arc<Session>,
    intent: Event,
    entered: Entered,
    started: Duration,
}

impl Running<'_> {
    async fn run(
        &mut self,
        envelope: &Envelope,
        context: &Context,
        outlet: &Outlet,
        cancelled: &CancellationToken,
        decided: &Decided,
    ) -> Result<Done, Refusal> {
        let (leased, lease_entry) = match self.lease(decided).await {
            Ok(leased) => leased,
            Err(refusal) => return Err(self.end_refused(refusal).await),
        };
        let id = envelope.id().unwrap_or("null");
        let bearer = leased.as_ref().map(|leased| &leased.bearer);
        let outbound = methods::outbound(id, envelope.raw(), envelope, context, bearer);
        let lease_cut = async {
            match &lease_entry {
                Some(entry) => entry.cut().await,
                None => std::future::pending().await,
            }
        };
        // What was decided, and so what goes out, are the bytes as received.
        let stopped = tokio::select! {
            biased;
            cut = self.entered.cut() => Stopped::Cut(cut),
            cut = lease_cut => Stopped::Cut(cut),
            answer = self.gateway.forward(self.session, outbound, context, outlet, cancelled) => match answer {
                Ok(answer) => return self.answered(answer, decided).await,
                Err(stopped) => stopped,
            },
        };
        if matches!(stopped, Stopped::Cut(_)) {
            self.gateway
                .take_back(self.session, &outbound, context)
                .await;
        }
        Err(self.end_stopped(&stopped).await)
    }

    /// The credential for this call, and its place in the live index.
    async fn lease(
        &mut self,
        decided: &Decided,
    ) -> Result<(Option<Leased>, Option<Entered>), Refusal> {
        let (Some(credential), true) = (
            &self.session.server.credential,
            self.session.upstream.takes_bearer(),
        ) else {
            return Ok((None, None));
        };
        let view = decided
            .view
            .as_ref()
            .ok_or_else(|| Refusal::new(Code::Internal, "no caller", ""))?;
        let wanted = LeaseWanted {
            server: self.session.server.name.clone(),
            credential: credential.clone(),
            task: view.task.id,
            instance: self.session.caller.instance,
            agent: view.agent.name.clone(),
            cause: Some(self.intent.id),
        };
        let leased = tokio::select! {
            biased;
            cut = self.entered.cut() => return Err(methods::refusal_of(&Stopped::Cut(cut))),
            leased = self.gateway.ports.leaser.lease(wanted) => leased.map_err(|problem| Refusal::of(&problem))?,
        };
        let replica = self.gateway.decider.replica();
        let subjects = vec![
            (Subject::Lease(leased.id), 0),
            (
                Subject::Credential(leased.credential.clone()),
                replica.applied(),
            ),
        ];
        let entry = replica.live().enter(subjects.clone());
        let dead = replica.view(|state| state.fences().any_dead(&subjects).cloned());
        match dead {
            Ok(None) => Ok((Some(leased), Some(entry))),
            Ok(Some(fence)) => {
                let message = format!("the credential was revoked: {}", fence.reason);
                Err(Refusal::new(
                    Code::Revoked,
                    message,
                    "ask the operator of the server",
                ))
            }
            Err(behind) => Err(Refusal::of(&behind.problem())),
        }
    }

    /// The server answered: its result is durable before the first byte of it is released.
    async fn answered(&self, answer: Answer, decided: &Decided) -> Result<Done, Refusal> {
        let raw = answer.envelope.raw().clone();
        let result = answer.envelope.result();
        let failed = result.as_ref().is_none_or(|result| {
            result
                .member("isError")
                .is_some_and(|flag| flag.as_str() == "true")
        });
        let asks = result
            .as_ref()
            .and_then(|result| result.member("resultType")?.string());
        if asks.as_deref() == Some("input_required") {
            let refusal = Refusal::new(
                Code::AskRefused,
                "the tool server asked for input, which is not passed on",
                "the call has run",
            );
            return Err(self.end(Status::Error, refusal, Some(&raw)).await);
        }
        if let Some(bound) = max_bytes(decided).filter(|bound| raw.len() > *bound) {
            let message = format!("the answer has {} bytes; policy allows {bound}", raw.len());
            return Err(self
                .end(
                    Status::Error,
                    Refusal::new(Code::AnswerTooLarge, message, "the call has run"),
                    Some(&raw),
                )
                .await);
        }
        let status = if failed { Status::Error } else { Status::Ok };
        let event = self.ended(status, None, Some(&raw));
        if let Err(error) = self
            .gateway
            .ports
            .recorder
            .record(event, Class::Grant)
            .await
        {
            let problem = error.problem();
            let message = format!(
                "the call has run, but its result is not on record, so it is withheld: {}",
                problem.message
            );
            return Err(
                Refusal::new(problem.code, message, problem.help).on_record(Some(self.intent.id))
            );
        }
        // A fence that fell while the result was written keeps the answer here; the record says that the call ran.
        if let Some(cut) = self.entered.was_cut() {
            return Err(methods::refusal_of(&Stopped::Cut(cut)).on_record(Some(self.intent.id)));
        }
        Ok(Done {
            body: raw,
            outcome: if failed { "error" } else { "ok" },
        })
    }

    async fn end_stopped(&self, stopped: &Stopped) -> Refusal {
        let status = match stopped {
            Stopped::Cut(_) => Status::Cut,
            Stopped::Failed(error) if error.code() == Code::UpstreamTimeout => Status::Timeout,
            Stopped::Failed(error) if !error.may_have_run() => Status::Error,
            Stopped::Cancelled | Stopped::Failed(_) => Status::Unknown,
        };
        self.end(status, methods::refusal_of(stopped), None).await
    }

    async fn end_refused(&self, refusal: Refusal) -> Refusal {
        self.end(Status::Refused, refusal, None).await
    }

    async fn end(&self, status: Status, refusal: Refusal, answer: Option<&[u8]>) -> Refusal {
        let event = self.ended(status, Some(refusal.code), answer);
        let id = record::narrow(&self.gateway.ports, event).await;
        refusal.on_record(id.or(Some(self.intent.id)))
    }

    fn ended(&self, status: Status, code: Option<Code>, answer: Option<&[u8]>) -> Event {
        let took = self
            .gateway
            .ports
            .clock
            .monotonic()
            .saturating_sub(self.started);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        record::ended(&self.gateway.ports, &self.intent, status, code, us, answer)
    }
}

/// Enters the call under every subject of its caller, its server and its tool.
fn enter(gateway: &Gateway, session: &Session, tool: &ToolName) -> Result<Entered, Refusal> {
    let replica = gateway.decider.replica();
    let caller = &session.caller;
    let subjects = replica
        .view(|state| {
            let view = state.caller(caller.task, caller.instance)?;
            let tool = ToolRef {
                server: session.server.name.clone(),
                tool: tool.clone(),
            };
            Ok(caller.subjects(&view, &session.server.name, Some(&tool), None, state.seq))
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
    let tool = name.parse().map_err(|_| {
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
    session: &Session,
    named: &Named<'_>,
    decided: &Decided,
) -> Refusal {
    let refusal = Refusal::from_decision(&decided.decision);
    let event = refused_event(gateway, session, named, decided, refusal.code);
    refusal.on_record(record::narrow(&gateway.ports, event).await)
}

fn refused_event(
    gateway: &Gateway,
    session: &Session,
    named: &Named<'_>,
    decided: &Decided,
    code: Code,
) -> Event {
    let mut event = record::decided(
        &gateway.ports,
        EventType::ToolRefused,
        &session.caller,
        named,
        decided,
    );
    event.outcome = Some(record::refused(code));
    event
}

/// The bound on an answer that policy sets as a duty.
fn max_bytes(decided: &Decided) -> Option<usize> {
    let duties = decided
        .decision
        .obligations
        .iter()
        .filter(|duty| duty.kind == "max_bytes");
    // A bound that cannot be read lets nothing through.
    duties.map(|duty| duty.argument.parse().unwrap_or(0)).min()
}

fn outcome_name(refusal: &Refusal) -> &'static str {
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
