//! Authentication of callers over HTTP: a task token bound to a key, and a proof of that key made just now (02 §7, §8). All local.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bailiwick_core::fence::Subject;
use bailiwick_core::name::ServerName;
use bailiwick_core::task::Task;
use bailiwick_core::{Clock, Code, Fault, Problem};
use bailiwick_crypto::dpop::{Guard, Proof, Request};
use bailiwick_crypto::token::Verifier;
use bailiwick_crypto::token::task::{TaskClaims, TaskSubject, TaskToken};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName};

use crate::caller::{Caller, Token};
use crate::gateway::{Gateway, Settings};
use crate::ports::Ports;
use crate::replica::View;

/// How long a token may wait for the changes that its issuing transaction had seen.
const BEHIND: Duration = Duration::from_millis(250);
/// Refusals of callers that are put on record within one second; what comes after is counted alone.
const MAX_RECORDED: u32 = 20;

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// What this node knows of proofs and refusals.
pub(crate) struct Authenticator {
    guard: Guard,
    recorded: Mutex<(Duration, u32)>,
    issuer: String,
    epoch: u64,
}

impl Authenticator {
    pub(crate) fn new(settings: &Settings, ports: &Ports) -> Self {
        Self {
            guard: Guard::new(&*ports.rng),
            recorded: Mutex::default(),
            issuer: settings.issuer.clone(),
            epoch: settings.epoch,
        }
    }

    /// The nonce for the next proof; goes with every answer.
    pub(crate) fn nonce(&self, clock: &dyn Clock) -> String {
        self.guard.nonce(clock)
    }

    /// Whether one more refusal goes on record now: whoever has no credential must not be able to fill the log.
    pub(crate) fn may_record(&self, now: Duration) -> bool {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(recorded.0) >= Duration::from_secs(1) {
            *recorded = (now, 0);
        }
        recorded.1 += 1;
        recorded.1 <= MAX_RECORDED
    }

    /// Who sends this request to `server`.
    pub(crate) async fn authenticate(
        &self,
        gateway: &Gateway,
        headers: &HeaderMap,
        method: &str,
        server: &ServerName,
    ) -> Result<Caller, Problem> {
        let token = token_of(headers)?;
        let proof = one(headers, &DPOP)?.ok_or_else(|| {
            Problem::new(
                Code::DpopProof,
                "the request has no DPoP proof",
                "send one DPoP header (RFC 9449 §4.1)",
            )
        })?;
        let (ports, resource) = (&gateway.ports, gateway.resource(server));
        let now = ports.clock.wall();
        let keys = gateway
            .decider
            .replica()
            .view(|state| state.keys().cloned())
            .map_err(|behind| behind.problem())?;
        let keys = keys.ok_or_else(|| {
            Problem::new(
                Code::ReplicaBehind,
                "this node has no keys to verify task tokens with",
                "try again in a moment",
            )
        })?;
        let ours = Verifier::<TaskToken>::new(
            keys,
            self.issuer.clone(),
            gateway.settings.trust_domain.clone(),
        );
        let verified = ours
            .verify(token, &resource, now)
            .map_err(|error| error.problem())?;
        let expires = verified.expires();
        let claims = verified.claims();
        let request = Request {
            method,
            url: &resource,
            access_token: Some(token),
        };
        let proof = Proof::verify(proof, &request, now).map_err(|error| error.problem())?;
        if *proof.jkt() != claims.cnf.jkt {
            let message = "the proof was made with another key than the token is bound to";
            return Err(Problem::new(
                Code::KeyMismatch,
                message,
                format!("the token is bound to {}", claims.cnf.jkt),
            ));
        }
        self.guard
            .admit(&proof, &*ports.clock)
            .map_err(|error| error.problem())?;
        if claims.bailiwick.epoch != self.epoch {
            let message = "the token is from before the store was restored";
            return Err(Problem::new(
                Code::EpochOld,
                message,
                "attest again and ask for a new token",
            ));
        }
        reached(gateway, claims.bailiwick.seq).await?;
        caller(gateway, claims, expires)
    }
}

/// The caller that verified claims name, if the rows of this node agree with them.
fn caller(
    gateway: &Gateway,
    claims: &TaskClaims,
    expires: bailiwick_core::Timestamp,
) -> Result<Caller, Problem> {
    let invalid = |what: &str| {
        Problem::new(
            Code::TokenInvalid,
            what.to_owned(),
            "ask the token endpoint for a new token",
        )
    };
    let named = claims
        .task()
        .ok_or_else(|| invalid("the token names no task"))?;
    let (_, instance) = claims
        .act
        .sub
        .as_instance()
        .map_err(|_| invalid("the token's presenter is no agent instance"))?;
    if claims.client_id != claims.act.sub.as_str() {
        return Err(invalid(
            "the token was given to another party than its presenter",
        ));
    }
    let token = Token {
        id: claims.jti,
        parents: claims.bailiwick.parents.clone(),
        key: claims.cnf.jkt.as_str().to_owned(),
        seq: claims.bailiwick.seq,
        expires,
    };
    let caller = Caller {
        task: named.task_id,
        instance,
        token: Some(token),
    };
    let replica = gateway.decider.replica();
    let view = replica
        .view(|state| {
            // A fence is said as a fence, even where it also ended the task or the process.
            let subjects = [
                (Subject::Task(caller.task), 0),
                (Subject::Instance(instance), 0),
            ];
            match state.fences().any_dead(&subjects) {
                Some(fence) => Err(Problem::new(
                    Code::Revoked,
                    format!(
                        "{} was revoked at {} ({}): {}",
                        fence.subject, fence.set_at, fence.revocation, fence.reason
                    ),
                    "nothing under a fence revives; a person has to open a new task",
                )),
                None => state.caller(caller.task, instance),
            }
        })
        .map_err(|behind| behind.problem())??;
    let ancestors: Vec<_> = replica
        .view(|state| {
            view.task
                .ancestors
                .iter()
                .rev()
                .filter_map(|id| state.task(*id).cloned())
                .collect()
        })
        .map_err(|behind| behind.problem())?;
    agree(claims, &view, &ancestors).map_err(invalid)?;
    Ok(caller)
}

/// Whether token and rows tell the same story.
fn agree(
    claims: &TaskClaims,
    view: &View,
    ancestors: &[std::sync::Arc<Task>],
) -> Result<(), &'static str> {
    let task = &view.task;
    if claims
        .task()
        .is_some_and(|named| named.scope_digest != task.scope_digest)
    {
        return Err("the task's scope changed since the token was issued");
    }
    if matches!(&claims.sub, TaskSubject::User(user) if *user != task.user) {
        return Err("the token speaks for another user than the task");
    }
    let rows = std::iter::once(task)
        .chain(ancestors)
        .map(|task| (&task.agent, task.instance));
    let actors: Result<Vec<_>, _> = claims
        .act
        .chain()
        .map(|actor| actor.sub.as_instance())
        .collect();
    let actors = actors.map_err(|_| "the token names an actor that is no agent instance")?;
    if rows.eq(actors
        .iter()
        .map(|(agent, instance)| (agent, Some(*instance))))
    {
        Ok(())
    } else {
        Err("the token names another chain than the task has")
    }
}

/// Waits until the replica has what the token's issuer had seen.
async fn reached(gateway: &Gateway, seq: u64) -> Result<(), Problem> {
    let mut applied = gateway.decider.replica().follow();
    let there = tokio::time::timeout(BEHIND, applied.wait_for(|applied| *applied >= seq)).await;
    match there {
        Ok(Ok(_)) => Ok(()),
        _ => Err(Problem::new(
            Code::ReplicaBehind,
            "this node is behind the token's issuer",
            "try again in a moment",
        )),
    }
}

fn token_of(headers: &HeaderMap) -> Result<&str, Problem> {
    let help = "ask the token endpoint for a task token and send it as `Authorization: DPoP …`";
    let value = one(headers, &AUTHORIZATION)?
        .ok_or_else(|| Problem::new(Code::NotSignedIn, "the request has no token", help))?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::new(
            Code::TokenUnbound,
            "task tokens are bound to a key and never used as bearer tokens",
            help,
        ));
    }
    if !scheme.eq_ignore_ascii_case("dpop") || token.is_empty() {
        return Err(Problem::new(
            Code::NotSignedIn,
            "the request's Authorization scheme is not DPoP",
            help,
        ));
    }
    Ok(token)
}

fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        let message = format!("the request has two {name} headers");
        return Err(Problem::new(Code::DpopProof, message, "send one"));
    }
    match first.map(|value| value.to_str()) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text)),
        Some(Err(_)) => Err(Problem::new(
            Code::TokenInvalid,
            format!("the {name} header is not visible ASCII"),
            "",
        )),
    }
}
