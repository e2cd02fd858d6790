//! Authentication of callers over HTTP: a task token bound to a key, and a proof of that key made just now (02 §7, §8); one bound to the
//! certificate that the connection shows (RFC 8705 §3); or, of clients that the operator named, a token alone. All local.

mod verdicts;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bailiwick_core::client::ClientId;
use bailiwick_core::fence::Subject;
use bailiwick_core::name::ServerName;
use bailiwick_core::task::Task;
use bailiwick_core::{Clock, Code, Fault, Problem, Timestamp};
use bailiwick_crypto::dpop::{Guard, Proof, Request};
use bailiwick_crypto::hash::sha256;
use bailiwick_crypto::token::task::{Confirmation, TaskClaims, TaskSubject, TaskToken};
use bailiwick_crypto::token::{KeySet, TaskKeys, Verifier};
use hyper::http::request::Parts;

use super::presented::{self, DPOP, Shown};
use crate::accept::{Connection, Network};
use crate::caller::{Caller, Token};
use crate::gateway::{Gateway, Settings};
use crate::ports::Ports;
use crate::replica::View;
use verdicts::{Verdict, Verdicts};

/// How long a token may wait for the changes that its issuing transaction had seen.
const BEHIND: Duration = Duration::from_millis(250);
/// Refusals of callers that are put on record within one second; what comes after is counted alone.
const MAX_RECORDED: u32 = 20;

/// What this node knows of proofs and refusals.
pub(crate) struct Authenticator {
    guard: Guard,
    verdicts: Verdicts,
    recorded: Mutex<(Duration, u32)>,
    issuer: String,
    epoch: u64,
}

impl Authenticator {
    pub(crate) fn new(settings: &Settings, ports: &Ports) -> Self {
        Self {
            guard: Guard::new(&*ports.rng),
            verdicts: Verdicts::default(),
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

    /// Who sends this request, with a token for this resource and a proof for this URL, or over a connection that shows what it is
    /// bound to.
    pub(crate) async fn authenticate(
        &self,
        gateway: &Gateway,
        head: &Parts,
        (resource, url): (&str, &str),
    ) -> Result<Caller, Problem> {
        let connection = head.extensions.get().unwrap_or(&Connection::LOCAL);
        let verdict = match presented::shown(&head.headers)? {
            Shown::Bearer(token) => self.by_itself(gateway, head, connection, token, resource),
            Shown::Dpop(token) => self.by_proof(gateway, head, token, (resource, url)),
        }?;
        let mut caller = self
            .stands(gateway, &verdict.claims, verdict.expires)
            .await?;
        caller.network = connection.network;
        Ok(caller)
    }

    /// A token that comes alone: bound to the certificate that this very connection shows (RFC 8705 §3), or to nothing.
    fn by_itself(
        &self,
        gateway: &Gateway,
        head: &Parts,
        connection: &Connection,
        token: &str,
        resource: &str,
    ) -> Result<Arc<Verdict>, Problem> {
        let shown = connection.certificate.as_deref();
        if shown.is_none() && gateway.settings.unbound_clients.is_empty() {
            return Err(presented::bound());
        }
        let verdict = self.verdict(gateway, token, resource, gateway.ports.clock.wall())?;
        match &verdict.claims.cnf {
            // Whether its client may have such a token is looked at with its rows.
            None => Ok(verdict),
            Some(Confirmation::Key(_)) => Err(presented::bound()),
            Some(Confirmation::Certificate(_)) if head.headers.contains_key(DPOP) => {
                let message = "a token that is bound to a certificate takes no proof";
                Err(Problem::new(
                    Code::DpopProof,
                    message,
                    "leave the DPoP header out",
                ))
            }
            Some(Confirmation::Certificate(bound)) => match shown {
                None => Err(presented::bound()),
                Some(shown) if shown.thumbprint() == bound => Ok(verdict),
                Some(_) => Err(Problem::new(
                    Code::KeyMismatch,
                    "the connection shows another certificate than the token is bound to",
                    "after a rotation ask for a new token over a new connection",
                )),
            },
        }
    }

    /// A token with a proof of its key.
    fn by_proof(
        &self,
        gateway: &Gateway,
        head: &Parts,
        token: &str,
        (resource, url): (&str, &str),
    ) -> Result<Arc<Verdict>, Problem> {
        let ports = &gateway.ports;
        let now = ports.clock.wall();
        let proof = presented::proof(&head.headers)?;
        let verdict = self.verdict(gateway, token, resource, now)?;
        let key = verdict.claims.key().ok_or_else(|| {
            let message = "the token is bound to no key, so a proof says nothing of it";
            Problem::new(
                Code::TokenInvalid,
                message,
                "send it as `Authorization: Bearer …`",
            )
        })?;
        let request = Request {
            method: head.method.as_str(),
            url,
            access_token: Some(token),
        };
        let proof = Proof::verify(proof, &request, now).map_err(|error| error.problem())?;
        if proof.jkt() != key {
            let message = "the proof was made with another key than the token is bound to";
            return Err(Problem::new(
                Code::KeyMismatch,
                message,
                format!("the token is bound to {key}"),
            ));
        }
        self.guard
            .admit(&proof, &*ports.clock)
            .map_err(|error| error.problem())?;
        Ok(verdict)
    }

    /// What a token of ours is worth now, whoever shows it and wherever: its claims, if an enforcement point would take it from its holder.
    pub(crate) async fn introspect(
        &self,
        gateway: &Gateway,
        token: &str,
    ) -> Result<TaskClaims, Problem> {
        let now = gateway.ports.clock.wall();
        let verified = self
            .verifier(keys(gateway)?, gateway)
            .verify_as_issuer(token, now)
            .map_err(|error| error.problem())?;
        let caller = self
            .stands(gateway, verified.claims(), verified.expires())
            .await?;
        let claims = verified.into_claims();
        let name = |mark: &str| -> Option<ServerName> {
            claims
                .aud
                .rsplit_once(mark)
                .and_then(|(_, name)| name.parse().ok())
        };
        let connector = name("/p/").filter(|name| gateway.egress_resource(name) == claims.aud);
        if connector.is_some_and(|name| gateway.settings.connectors.contains_key(&name)) {
            return Ok(claims);
        }
        let server = name("/mcp/").filter(|server| gateway.resource(server) == claims.aud);
        let server = server.ok_or_else(|| {
            Problem::new(
                Code::ResourceUnknown,
                "the token is for no resource of this node",
                "",
            )
        })?;
        gateway.decider.admit(&caller, &server)?;
        Ok(claims)
    }

    /// What a token for this resource says. Its signature is verified once, everything else each time.
    fn verdict(
        &self,
        gateway: &Gateway,
        token: &str,
        resource: &str,
        now: Timestamp,
    ) -> Result<Arc<Verdict>, Problem> {
        let keys = keys(gateway)?;
        let digest = sha256(&[token.as_bytes()]);
        if let Some(verdict) = self.verdicts.find(&digest, &keys, resource, now) {
            return Ok(verdict);
        }
        let verified = self
            .verifier(keys.clone(), gateway)
            .verify(token, resource, now)
            .map_err(|error| error.problem())?;
        let kept = self.verdicts.keep(digest, &keys, verified);
        kept.ok_or_else(|| Problem::new(Code::TokenInvalid, "the token's key is gone", ""))
    }

    fn verifier(&self, keys: KeySet<TaskKeys>, gateway: &Gateway) -> Verifier<TaskToken> {
        let trust_domain = gateway.settings.trust_domain.clone();
        Verifier::new(keys, self.issuer.clone(), trust_domain)
    }

    /// The caller that verified claims name, if epoch, replica and rows bear them out.
    async fn stands(
        &self,
        gateway: &Gateway,
        claims: &TaskClaims,
        expires: Timestamp,
    ) -> Result<Caller, Problem> {
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

/// The keys that task tokens are verified with.
fn keys(gateway: &Gateway) -> Result<KeySet<TaskKeys>, Problem> {
    let keys = gateway
        .decider
        .replica()
        .view(|state| state.keys().cloned())
        .map_err(|behind| behind.problem())?;
    keys.ok_or_else(|| {
        Problem::new(
            Code::ReplicaBehind,
            "this node has no keys to verify task tokens with",
            "try again in a moment",
        )
    })
}

/// The caller that verified claims name, if the rows of this node agree with them.
fn caller(gateway: &Gateway, claims: &TaskClaims, expires: Timestamp) -> Result<Caller, Problem> {
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
    let token = Token {
        id: claims.jti,
        parents: claims.bailiwick.parents.clone(),
        bound: claims.cnf.clone(),
        seq: claims.bailiwick.seq,
        expires,
        part: None,
    };
    let mut caller = Caller {
        task: named.task_id,
        instance,
        token: Some(token),
        network: Network::Loopback,
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
    // An OAuth client is named by its own id; every other instance by the one that it acts under.
    let own = view.instance.client.as_ref().map(ClientId::as_str);
    if claims.client_id != own.unwrap_or(claims.act.sub.as_str()) {
        return Err(invalid(
            "the token was given to another party than its presenter",
        ));
    }
    let may = |client: &ClientId| gateway.settings.unbound_clients.contains(client);
    if claims.cnf.is_none() && !view.instance.client.as_ref().is_some_and(may) {
        return Err(presented::bound());
    }
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
    if let (Some(grants), Some(token)) = (&named.grants, &mut caller.token) {
        let part = view.task.scope.with_grants(grants.clone());
        token.part = Some(Arc::new(part.map_err(|error| error.problem())?));
    }
    Ok(caller)
}

/// Whether token and rows tell the same story.
fn agree(claims: &TaskClaims, view: &View, ancestors: &[Arc<Task>]) -> Result<(), &'static str> {
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
    // A task further up that a person opened and no process took is named by its agent alone.
    let actors: Result<Vec<_>, _> = claims
        .act
        .chain()
        .map(|actor| actor.sub.as_party())
        .collect();
    let actors = actors.map_err(|_| "the token names an actor that is no agent")?;
    if rows.eq(actors.iter().map(|(agent, instance)| (agent, *instance))) {
        Ok(())
    } else {
        Err("the token names another chain than the task has")
    }
}

/// Waits until the replica has what the token's issuer had seen.
async fn reached(gateway: &Gateway, seq: u64) -> Result<(), Problem> {
    if gateway.decider.replica().applied() >= seq {
        return Ok(());
    }
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
