//! A call whose intent is durable: its lease, its way to the server and back, and its result on record before it is released.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_audit::Class;
use bailiwick_core::binding::Binding;
use bailiwick_core::event::{Event, Status};
use bailiwick_core::json::Text;
use bailiwick_core::label::Labels;
use bailiwick_core::{Code, Fault, Problem};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::answer::Refusal;
use crate::ask::{self, Asking, Offers, Resumed};
use crate::content::Content;
use crate::decider::Decided;
use crate::duties;
use crate::gateway::Gateway;
use crate::labels;
use crate::lease::{self, For};
use crate::live::Entered;
use crate::mcp::Outlet;
use crate::mcp::envelope::Envelope;
use crate::mcp::forward::{self, Stopped};
use crate::mcp::methods::Context;
use crate::mcp::session::Session;
use crate::mcp::upstream::{ANSWER_LIMITS, Answer};
use crate::ports::Leased;
use crate::provenance::{Answered, Source};
use crate::record;

/// A call that ran and was answered.
pub(crate) struct Done {
    /// HTTP status, where the transport has one.
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    pub(crate) outcome: &'static str,
}

/// A call whose intent is on record. Its result will be too.
pub(crate) struct Running<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) session: &'a Arc<Session>,
    pub(crate) context: &'a Context,
    pub(crate) intent: Event,
    pub(crate) entered: Entered,
    pub(crate) started: Duration,
    /// What the server may ask of this client.
    pub(crate) offers: Offers,
    /// The round that the request is in, and the approval that it has.
    pub(crate) resumed: Resumed,
    /// What the answer brings, as far as that was known before.
    pub(crate) brings: Labels,
}

impl<'a> Running<'a> {
    /// A call that begins now.
    pub(crate) fn new(
        gateway: &'a Gateway,
        session: &'a Arc<Session>,
        context: &'a Context,
        intent: Event,
        entered: Entered,
        (offers, resumed): (Offers, Resumed),
    ) -> Self {
        Self {
            gateway,
            session,
            context,
            intent,
            entered,
            started: gateway.ports.clock.monotonic(),
            offers,
            resumed,
            brings: Labels::default(),
        }
    }

    /// Leases, forwards, and puts on record how it ended.
    pub(crate) async fn run(
        &mut self,
        (envelope, raw): (&Envelope, &Bytes),
        arguments: &Text<'_>,
        context: &Context,
        outlet: &Outlet,
        cancelled: &CancellationToken,
        decided: &Decided,
    ) -> Result<Done, Refusal> {
        if let Err(problem) = duties::notify(self.gateway, decided, &self.intent).await {
            return Err(self.end_refused(Refusal::of(&problem)).await);
        }
        match labels::before(
            self.gateway,
            decided,
            arguments,
            (self.intent.id, &self.entered),
        )
        .await
        {
            Ok(brings) => self.brings = brings,
            Err(problem) => return Err(self.end_refused(Refusal::of(&problem)).await),
        }
        let (leased, lease_entry) = match self.lease(decided).await {
            Ok(leased) => leased,
            Err(refusal) => return Err(self.end_refused(refusal).await),
        };
        let id = envelope.id().unwrap_or("null");
        let bearer = leased.as_ref().map(|leased| &leased.bearer);
        let outbound = forward::outbound(id, raw, envelope, context, bearer);
        let lease_cut = async {
            match &lease_entry {
                Some(entry) => entry.cut().await,
                None => std::future::pending().await,
            }
        };
        // What was decided, and so what goes out, are the bytes as received, but for what the client may not offer.
        let stopped = tokio::select! {
            biased;
            cut = self.entered.cut() => Stopped::Cut(cut),
            cut = lease_cut => Stopped::Cut(cut),
            answer = self.gateway.forward(self.session, outbound, context, outlet, cancelled) => match answer {
                Ok(answer) => return self.answered(envelope, answer, decided).await,
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
        let (Some(view), Some(known)) = (&decided.view, &decided.known) else {
            return Err(Refusal::new(Code::Internal, "no caller", ""));
        };
        let wanted = For {
            caller: &self.context.caller,
            view,
            known,
            server: Some(&self.session.server.name),
            credential,
            cause: Some(self.intent.id),
        };
        tokio::select! {
            biased;
            cut = self.entered.cut() => Err(forward::refusal_of(&Stopped::Cut(cut))),
            leased = lease::take(self.gateway, &wanted) => {
                leased.map(|(leased, entry)| (Some(leased), Some(entry)))
            }
        }
    }

    /// The server answered: its result is durable before the first byte of it is released.
    async fn answered(
        &self,
        request: &Envelope,
        answer: Answer,
        decided: &Decided,
    ) -> Result<Done, Refusal> {
        let answer = match without(answer, decided) {
            Ok(answer) => answer,
            Err(refusal) => return Err(self.end(Status::Error, refusal, None).await),
        };
        let raw = answer.envelope.raw().clone();
        let result = answer.envelope.result();
        let failed = result.as_ref().is_none_or(|result| {
            result
                .member("isError")
                .is_some_and(|flag| flag.as_str() == "true")
        });
        if let Err(refusal) = self.judge(request, &answer).await {
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
        if let Err(problem) = self.keep(&answer, decided).await {
            let message = format!(
                "the call has run, but what its answer carries is not on record, so it is withheld: {}",
                problem.message
            );
            let refusal = Refusal::new(problem.code, message, problem.help);
            return Err(self.end(Status::Error, refusal, Some(&raw)).await);
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
            return Err(forward::refusal_of(&Stopped::Cut(cut)).on_record(Some(self.intent.id)));
        }
        Ok(Done {
            status: answer.status,
            body: raw,
            outcome: if failed { "error" } else { "ok" },
        })
    }

    /// Decides what the server asks in its answer, if it does.
    async fn judge(&self, request: &Envelope, answer: &Answer) -> Result<(), Refusal> {
        let Some(asking) = Asking::of(&answer.envelope) else {
            return Ok(());
        };
        let caller = &self.context.caller;
        let judged = ask::judge(
            self.gateway,
            self.session,
            caller,
            self.offers,
            &asking,
            &answer.envelope,
        );
        let now = self.gateway.ports.clock.monotonic();
        let noted = judged.await.and_then(|()| {
            let rounds = &self.session.rounds;
            rounds.add(request, &self.resumed, &asking, now)
        });
        noted.map_err(|refusal| Refusal {
            help: "the call has run".to_owned(),
            ..refusal
        })
    }

    /// What the answer carries the task takes, and what it says is remembered, before anybody reads it.
    async fn keep(&self, answer: &Answer, decided: &Decided) -> Result<(), Problem> {
        let content = content_of(&answer.envelope);
        let mut labels = self.brings.clone();
        labels.join(
            &labels::after(
                self.gateway,
                decided,
                &content,
                (self.intent.id, &self.entered),
            )
            .await?,
        );
        if let Some(view) = &decided.view {
            let nothing = Binding::default();
            let source = Source {
                binding: decided.tool.as_ref().map_or(&nothing, |tool| &tool.binding),
                effect: decided.effect,
                labels: &labels,
            };
            let answered = Answered {
                content: &content,
                source,
            };
            self.gateway.decider.has_read(view.task.root(), &answered);
        }
        Ok(())
    }

    async fn end_stopped(&self, stopped: &Stopped) -> Refusal {
        let status = match stopped {
            Stopped::Cut(_) => Status::Cut,
            Stopped::Failed(error) if error.code() == Code::UpstreamTimeout => Status::Timeout,
            Stopped::Failed(error) if !error.may_have_run() => Status::Error,
            Stopped::Cancelled | Stopped::Failed(_) => Status::Unknown,
        };
        let refusal = forward::refusal_of(stopped);
        let mut event = self.ended(status, Some(refusal.code), None);
        // What a change cut names the change; its intent is among its parents.
        if let Stopped::Cut(cut) = stopped {
            event.cause = cut.event.or(event.cause);
        }
        self.narrow(refusal, event).await
    }

    async fn end_refused(&self, refusal: Refusal) -> Refusal {
        self.end(Status::Refused, refusal, None).await
    }

    async fn end(&self, status: Status, refusal: Refusal, answer: Option<&[u8]>) -> Refusal {
        let event = self.ended(status, Some(refusal.code), answer);
        self.narrow(refusal, event).await
    }

    async fn narrow(&self, refusal: Refusal, event: Event) -> Refusal {
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
        let mut event = record::ended(&self.gateway.ports, &self.intent, status, code, us, answer);
        labels::task_now(self.gateway, &mut event);
        event
    }
}

/// The answer without what policy wants taken out of it.
fn without(answer: Answer, decided: &Decided) -> Result<Answer, Refusal> {
    let labels = duties::redacted_labels(&decided.decision.obligations);
    let (Some(tool), false) = (&decided.tool, labels.is_empty()) else {
        return Ok(answer);
    };
    let withheld = |why: String| {
        let help = "the call has run; ask for what you need in another way";
        Refusal::new(Code::AnswerWithheld, why, help)
    };
    let Some(result) = answer.envelope.result() else {
        return Err(withheld(
            "the tool server failed, and what it says of that cannot be redacted".to_owned(),
        ));
    };
    let redacted = duties::redact(answer.envelope.raw(), &result, &tool.binding, &labels);
    let redacted = redacted.map_err(|error| withheld(error.to_string()))?;
    let envelope = Envelope::parse(redacted, &ANSWER_LIMITS);
    Ok(Answer {
        envelope: envelope.map_err(|error| withheld(error.to_string()))?,
        ..answer
    })
}

/// What an answer says; of an error, its words.
fn content_of(envelope: &Envelope) -> Content<'_> {
    match envelope.result() {
        // A prompt or resource has its words elsewhere.
        Some(result)
            if result
                .member("content")
                .or(result.member("structuredContent"))
                .is_some() =>
        {
            Content::of(&result)
        }
        Some(result) => Content::words(&result),
        None => envelope
            .whole()
            .and_then(|whole| whole.member("error"))
            .map(|error| Content::words(&error))
            .unwrap_or_default(),
    }
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
