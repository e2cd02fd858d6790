//! One exchange through a connector: rule → decision → intent durable → labels durable → lease → request sent → answer back through the
//! redactor, its result durable before its last byte. A fence cuts it wherever it is.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::decision::Outcome;
use bailiwick_core::event::{ApprovalRef, Event, EventType, Status};
use bailiwick_core::json::{Limits, check};
use bailiwick_core::{Code, Fault as _, Problem, Secret};
use hyper::header::{CONTENT_LENGTH, LOCATION};
use hyper::{HeaderMap, Response, StatusCode};

use super::asked::Asked;
use super::events::event;
use super::lease::{self, InUse};
use super::pump::{self, Ending};
use super::slot::Filled;
use super::{Connector, approval, heads};
use crate::answer::Refusal;
use crate::caller::Caller;
use crate::decider::{Decided, Egress, Standing, StandingEgress};
use crate::duties;
use crate::gateway::Gateway;
use crate::labels;
use crate::live::Entered;
use crate::mcp::http::Body;
use crate::ports::{Outgoing, Upstream, UpstreamError};
use crate::record;

/// How long an exchange takes at most, from its request to the end of its answer.
const LONGEST: Duration = Duration::from_hours(1);

/// One request through a connector, decided but not yet sent.
pub(crate) struct Exchange {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) connector: Arc<Connector>,
    pub(crate) intent: Event,
    pub(crate) entered: Entered,
    pub(crate) started: Duration,
    /// What policy lets through of an answer, in bytes.
    pub(crate) bound: u64,
    /// When its caller's token ends.
    pub(crate) left: Duration,
}

/// Runs a request and gives the head of its answer; the body follows as it comes.
pub(crate) async fn run(
    gateway: &Arc<Gateway>,
    connector: &Arc<Connector>,
    caller: &Caller,
    asked: Asked,
) -> Result<Response<Body>, Refusal> {
    let entered = enter(gateway, connector, caller)?;
    let egress = Egress {
        caller,
        connector,
        method: &asked.method,
        path: asked.path.as_str(),
        size: asked.size(),
        discharged: &[],
        count: true,
    };
    let first = gateway.decider.egress(&egress).await;
    let about = |kind, decided: &Decided| {
        let words = asked.in_words(connector).to_string();
        event(
            gateway,
            kind,
            caller,
            connector,
            (&asked.method, &words),
            decided,
        )
    };
    let (decided, approved) = match first.decision.outcome {
        Outcome::Allow => (first, None),
        Outcome::StepUp => {
            let held = about(EventType::EgressRefused, &first);
            let settled = approval::settle(gateway, &egress, &asked, &first, held).await;
            let (decided, approval) = settled?;
            (decided, Some(approval))
        }
        Outcome::Deny => {
            let refusal = Refusal::from_decision(&first.decision);
            gateway.decider.was_refused(&first);
            let mut event = about(EventType::EgressRefused, &first);
            event.outcome = Some(record::refused(refusal.code));
            return Err(refusal.on_record(record::narrow(&gateway.ports, event).await));
        }
    };
    let mut intent = about(EventType::EgressIntent, &decided);
    intent.approval = approved.as_ref().map(|approval| ApprovalRef {
        id: approval.id,
        approvers: Vec::new(),
    });
    let granted = record::grant(&gateway.ports, intent.clone()).await;
    granted.map_err(|error| Refusal::of(&error.problem()))?;
    if let (Some(view), Some(known)) = (&decided.view, &decided.known) {
        let discharged = approved.map(|approval| approval.discharges);
        let standing = StandingEgress {
            caller: caller.clone(),
            connector: Arc::clone(connector),
            method: asked.method.clone(),
            path: asked.path.as_str().to_owned(),
            size: asked.size(),
            discharged: discharged.unwrap_or_default(),
            known: Arc::clone(known),
            labels: view.task.labels.clone(),
        };
        let standing = Standing::Egress(standing);
        gateway.stands(&entered, &decided, standing).await;
    }
    let left = caller.token.as_ref().map_or(LONGEST, |token| {
        token.expires.since(gateway.ports.clock.wall())
    });
    let exchange = Exchange {
        gateway: Arc::clone(gateway),
        connector: Arc::clone(connector),
        intent,
        entered,
        started: gateway.ports.clock.monotonic(),
        bound: max_bytes(&decided).min(connector.max_response),
        left: left.min(LONGEST),
    };
    exchange.go(caller, asked, &decided).await
}

impl Exchange {
    async fn go(
        self,
        caller: &Caller,
        asked: Asked,
        decided: &Decided,
    ) -> Result<Response<Body>, Refusal> {
        let prepared = self.prepare(caller, decided).await;
        let mut exchange = self;
        let in_use = match prepared {
            Ok(in_use) => in_use,
            Err(refusal) => return Err(exchange.end(Status::Refused, refusal, 0).await),
        };
        exchange.intent.lease = Some(in_use.named());
        let head_only = asked.method == "HEAD";
        let path = asked.path.as_str().to_owned();
        let Some(outgoing) = outgoing(&exchange.connector, asked, &in_use.leased.bearer) else {
            let what = "the credential is no value for its slot";
            let refusal = Refusal::new(Code::LeaseDenied, what, "an operator seals another one");
            return Err(exchange.end(Status::Refused, refusal, 0).await);
        };
        let upstreams = Arc::clone(&exchange.gateway.ports.upstreams);
        let sent = upstreams.send(&exchange.connector, outgoing);
        let bound = exchange.gateway.settings.call_timeout.min(exchange.left);
        let answer = tokio::select! {
            biased;
            cut = exchange.entered.cut() => Err((Status::Cut, pump::cut_short(&cut))),
            cut = in_use.entered.cut() => Err((Status::Cut, pump::cut_short(&cut))),
            answer = tokio::time::timeout(bound, sent) => match answer {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => Err(failed(&error)),
                Err(_) => Err(failed(&UpstreamError::Timeout)),
            },
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err((status, refusal)) => return Err(exchange.end(status, refusal, 0).await),
        };
        exchange.answered(answer, in_use, (&path, head_only)).await
    }

    /// Everything that has to be so before a byte leaves.
    async fn prepare(&self, caller: &Caller, decided: &Decided) -> Result<InUse, Refusal> {
        let gateway = &self.gateway;
        let refuse = |problem: Problem| Refusal::of(&problem);
        duties::notify(gateway, decided, &self.intent)
            .await
            .map_err(refuse)?;
        let nothing = check(b"{}", &Limits::ENVELOPE).map_err(|error| refuse(error.problem()))?;
        labels::before(gateway, decided, &nothing, (self.intent.id, &self.entered))
            .await
            .map_err(refuse)?;
        let taken = lease::take(gateway, &self.connector, (caller, decided), self.intent.id);
        tokio::select! {
            biased;
            cut = self.entered.cut() => Err(pump::cut_short(&cut)),
            taken = taken => taken,
        }
    }

    /// The upstream answered: the head goes back without the secret, the body after it.
    async fn answered(
        self,
        answer: Upstream,
        in_use: InUse,
        (path, head_only): (&str, bool),
    ) -> Result<Response<Body>, Refusal> {
        if let Err(refusal) = self.passes(&answer) {
            return Err(self.end(Status::Error, refusal, 0).await);
        }
        let (mut headers, hits) = heads::back(&answer.headers, &in_use.patterns);
        self.relocate(&mut headers, path);
        let status = answer.status;
        if hits > 0
            && let Err(refusal) = pump::reflected(&self, &in_use, hits).await
        {
            return Err(self.end(Status::Error, refusal, 0).await);
        }
        let none = head_only || matches!(status.as_u16(), 204 | 304);
        let ending = Ending {
            exchange: self,
            in_use,
            status,
        };
        let body = if none {
            ending.whole(0).await?;
            pump::empty()
        } else {
            pump::start(ending, answer.body)
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// Whether an answer can be passed on at all.
    fn passes(&self, answer: &Upstream) -> Result<(), Refusal> {
        let upstream = |what: &str| Refusal::new(Code::EgressUpstream, what, "the request has run");
        if answer.status.is_informational() || answer.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(upstream("the upstream wants to speak another protocol"));
        }
        // Nobody asked for a part: two of them would be two halves of what is looked for.
        if answer.status == StatusCode::PARTIAL_CONTENT {
            return Err(upstream(
                "the upstream answers with a part of what was asked for",
            ));
        }
        if heads::is_encoded(&answer.headers) {
            let what = "the upstream encodes its answer though it was asked not to";
            return Err(Refusal::new(
                Code::EgressEncoded,
                what,
                "the request has run; ask for something else",
            ));
        }
        let length = answer
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok());
        let length: Option<u64> = length.and_then(|length| length.parse().ok());
        if length.is_some_and(|length| length > self.bound) {
            let what = format!("the answer has more than {} bytes", self.bound);
            return Err(Refusal::new(
                Code::AnswerTooLarge,
                what,
                "the request has run; ask for less",
            ));
        }
        Ok(())
    }

    fn relocate(&self, headers: &mut HeaderMap, path: &str) {
        let Some(written) = headers.remove(LOCATION) else {
            return;
        };
        let connector = &self.connector;
        let seen = written.to_str().ok().and_then(|written| {
            heads::location(
                written,
                &connector.upstream,
                path,
                connector.name().as_str(),
            )
        });
        if let Some(value) = seen.and_then(|seen| seen.parse().ok()) {
            headers.insert(LOCATION, value);
        }
    }

    /// Puts on record that it ended without an answer.
    async fn end(&self, status: Status, refusal: Refusal, bytes: u64) -> Refusal {
        let event = self.ended(status, Some(refusal.code), bytes);
        let id = record::narrow(&self.gateway.ports, event).await;
        refusal.on_record(id.or(Some(self.intent.id)))
    }

    /// The event about how it ended.
    pub(crate) fn ended(&self, status: Status, code: Option<Code>, bytes: u64) -> Event {
        let took = self
            .gateway
            .ports
            .clock
            .monotonic()
            .saturating_sub(self.started);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let mut event = record::ended(&self.gateway.ports, &self.intent, status, code, us, None);
        event.kind = EventType::EgressResult;
        // What a change cut names the change; its intent is among its parents.
        if status == Status::Cut {
            let cut = self.entered.was_cut().and_then(|cut| cut.event);
            event.cause = cut.or(event.cause);
        }
        event.change.clone_from(&self.intent.change);
        event.lease.clone_from(&self.intent.lease);
        if let Some(outcome) = &mut event.outcome {
            outcome.bytes = bytes;
        }
        labels::task_now(&self.gateway, &mut event);
        event
    }
}

/// Enters an exchange under every subject of its caller and its connector.
fn enter(gateway: &Gateway, connector: &Connector, caller: &Caller) -> Result<Entered, Refusal> {
    let replica = gateway.decider.replica();
    let subjects = replica.view(|state| {
        let view = state.caller(caller.task, caller.instance)?;
        Ok(caller.subjects(&view, connector.name(), None, None, state.seq))
    });
    let subjects = subjects
        .map_err(|behind| Refusal::of(&behind.problem()))?
        .map_err(|problem: Problem| Refusal::of(&problem))?;
    Ok(replica.live().enter(subjects))
}

/// The request with its credential; none if that does not fit.
fn outgoing(connector: &Connector, asked: Asked, secret: &Secret<String>) -> Option<Outgoing> {
    let Asked {
        method,
        path,
        query,
        mut headers,
        body,
        ..
    } = asked;
    let mut target = Secret::new(path.as_str().to_owned());
    let mut queries: Vec<Secret<String>> = Vec::new();
    if !query.is_empty() {
        queries.push(Secret::new(query));
    }
    // A browser's preflight carries no credentials (Fetch §3.2), and no other OPTIONS needs any.
    if method != "OPTIONS" {
        match connector.slot.fill(secret)? {
            Filled::Header(name, value) => drop(headers.insert(name, value)),
            Filled::Query(pair) => queries.push(pair),
        }
    }
    if !queries.is_empty() {
        let parts: Vec<&str> = queries.iter().map(|part| part.expose().as_str()).collect();
        target = Secret::new(format!("{}?{}", target.expose(), parts.join("&")));
    }
    Some(Outgoing {
        method,
        target,
        headers,
        body,
    })
}

fn failed(error: &UpstreamError) -> (Status, Refusal) {
    let status = match error {
        UpstreamError::Timeout => Status::Timeout,
        UpstreamError::Broken(_) => Status::Unknown,
        _ => Status::Error,
    };
    (status, Refusal::of(&error.problem()))
}

/// The bound on an answer that policy sets as a duty.
fn max_bytes(decided: &Decided) -> u64 {
    let duties = decided.decision.obligations.iter();
    let bounds = duties.filter(|duty| duty.kind == "max_bytes");
    // A bound that cannot be read lets nothing through.
    bounds
        .map(|duty| duty.argument.parse().unwrap_or(0))
        .min()
        .unwrap_or(u64::MAX)
}
