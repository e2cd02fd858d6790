//! Renewal of an instance elsewhere (02 §3): its SVID's key signs a challenge of ours. The same key means the same process, so the
//! instance, its birth and its tasks stay; what must be shown again to live longer is a matter of how it was attested.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::agent::Agent;
use bailiwick_core::event::EventType;
use bailiwick_core::id::EventId;
use bailiwick_core::instance::{Attestor, Instance, Place, Remote};
use bailiwick_core::spiffe_id::SpiffeId;
use bailiwick_core::{Code, Digest, Fault, Problem, Timestamp};
use bailiwick_crypto::bundle::Bundle;
use bailiwick_crypto::csr::CertificateRequest;
use bailiwick_crypto::hash::sha256;
use bailiwick_crypto::pop::{Challenges, renewal_message};
use bailiwick_crypto::svid::VerifiedSvid;
use bailiwick_store::Tx;

use super::{Joined, Proven, audiences_of, cut, refused, spend, x509pop};
use crate::attest::matches;
use crate::authority::{Attested, Authority, Issue, check_fences, instance_event};
use crate::error::IdentityError;

/// What was attested once, by a join token or a certificate, lives at most this long.
pub const MAX_LIFE: Duration = Duration::from_hours(24);

/// What the holder of an SVID shows.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its X.509-SVID in PEM.
    pub chain: String,
    /// The challenge, as it was given.
    pub challenge: String,
    /// Signature of the SVID's key over [`renewal_message`], base64.
    pub signature: String,
}

/// An SVID that is good now and whose key was held a moment ago, for one use.
#[derive(Debug, Clone)]
pub struct Held {
    id: SpiffeId,
    once: Digest,
    until: Timestamp,
}

/// Reads what is shown: an SVID of this trust domain, whose key is that of the request and signed our challenge. `elapsed` is the
/// time since boot.
pub fn read(
    bundle: &Bundle,
    challenges: &Challenges,
    shown: &Shown,
    request: &CertificateRequest,
    now: Timestamp,
    elapsed: Duration,
) -> Result<Held, Problem> {
    x509pop::fresh(challenges, &shown.challenge, elapsed)?;
    let svid = VerifiedSvid::verify_pem(&shown.chain, bundle, now).map_err(|error| Problem {
        help: "send the X.509-SVID that this node gave; once it has ended, attest again".to_owned(),
        ..error.problem()
    })?;
    if svid.key_hash() != request.key_hash() {
        return Err(Problem::new(
            Code::KeyMismatch,
            "the request is for another key than the SVID's",
            "an instance keeps its key; to change it, attest again",
        ));
    }
    let signature = x509pop::signature(&shown.signature)?;
    let message = renewal_message(&shown.challenge, request);
    if !request.has_signed(message.as_bytes(), &signature) {
        return Err(Problem::new(
            Code::TokenInvalid,
            "the signature is not that of the SVID's key over this challenge and request",
            "sign the lines bailiwick/svid-renewal/v1, challenge, and SHA-256 of the request's DER in hex, each with a newline",
        ));
    }
    Ok(Held {
        id: svid.id().clone(),
        once: sha256(&[
            b"bailiwick/renewal-evidence/v1\0",
            shown.challenge.as_bytes(),
        ]),
        until: now.plus(x509pop::REMEMBERED),
    })
}

impl Held {
    /// Whose it is.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }
}

impl Authority {
    /// Gives an instance elsewhere its next SVIDs, for the key it has. It lives longer by it as its attestation allows: by join token
    /// or certificate up to [`MAX_LIFE`], by OIDC as `fresh` evidence of the same run lasts.
    pub async fn renew(
        &self,
        held: Held,
        fresh: Option<Proven>,
        request: &CertificateRequest,
        audiences: Option<Vec<String>>,
    ) -> Result<Joined, IdentityError> {
        let audiences = audiences.map(audiences_of).transpose()?;
        let parts = &self.parts;
        let (clock, rng) = (Arc::clone(&parts.clock), Arc::clone(&parts.rng));
        let now = clock.wall();
        let latest = now
            .plus(parts.lives.x509)
            .min(self.keyring().ca().not_after());
        // Drawn before the transaction, so that a retried closure writes the same rows.
        let events = [EventId::new(&*clock, &*rng), EventId::new(&*clock, &*rng)];
        let jwt = audiences
            .as_ref()
            .map(|audiences| Issue::Jwt(audiences.as_slice().join(" ")));
        let journal = Arc::clone(&parts.journal);
        let (attested, until) = parts
            .store
            .write(move |tx| {
                spend(tx, held.once, held.until)?;
                let Renewed {
                    agent,
                    instance,
                    before,
                    until,
                } = renewed(tx, &held.id, fresh.as_ref(), now, latest)?;
                tx.put_instance(&instance)?;
                for (event, issue) in events
                    .into_iter()
                    .zip([Issue::X509].into_iter().chain(jwt.clone()))
                {
                    let mut event = instance_event(event, EventType::SvidIssued, &agent, &instance);
                    let mut change = issue.change(&held.id);
                    if matches!(issue, Issue::X509) {
                        change.before = Some(before.to_string());
                        change.after = Some(until.to_string());
                    }
                    event.change = Some(change);
                    journal.push(tx, &event)?;
                }
                let attested = Attested {
                    agent,
                    instance,
                    id: held.id.clone(),
                };
                Ok::<_, IdentityError>((attested, until))
            })
            .await?;
        parts
            .journal
            .settled()
            .await
            .map_err(IdentityError::Record)?;
        self.sign(attested, request, audiences, now, until)
    }
}

/// An instance as it goes on.
struct Renewed {
    agent: Agent,
    instance: Instance,
    /// When it would have ended.
    before: Timestamp,
    /// When it ends now.
    until: Timestamp,
}

/// Looks at everything that the first attestation looked at and that may have changed since.
fn renewed(
    tx: &mut dyn Tx,
    id: &SpiffeId,
    fresh: Option<&Proven>,
    now: Timestamp,
    latest: Timestamp,
) -> Result<Renewed, IdentityError> {
    let (name, instance) = id
        .as_instance()
        .map_err(|_| over("the SVID is no instance's"))?;
    let mut instance = tx
        .instance(instance)?
        .filter(|known| known.agent == name && known.is_live(now))
        .ok_or_else(|| over("the instance has ended"))?;
    let agent = tx
        .agent(&name)?
        .filter(|agent| matches(&instance.selectors, agent))
        .ok_or_else(|| over("the instance is not what its agent is registered for now"))?;
    check_fences(tx, &agent, &instance)?;
    let attested_at = instance.attested_at;
    let Place::Remote(remote) = &mut instance.place else {
        return Err(over("a process here is renewed over the Workload API"));
    };
    let before = remote.until;
    let end = match (remote.attestor, fresh) {
        (Attestor::Oidc, Some(fresh)) => {
            same_run(tx, remote, fresh, &agent)?;
            latest
        }
        // What the issuer said holds for the life it was given, and no longer.
        (Attestor::Oidc, None) => before,
        (_, None) => latest.min(attested_at.plus(MAX_LIFE)),
        (_, Some(_)) => {
            return Err(refused(
                Code::InvalidInput,
                "an instance that was not attested by a token of an issuer is not renewed by one",
                "leave `evidence` out",
            ));
        }
    };
    remote.until = end.max(before);
    let until = remote.until;
    // Certificates end at whole seconds.
    if until.as_secs() <= now.as_secs() {
        return Err(over("the instance has ended"));
    }
    Ok(Renewed {
        agent,
        instance,
        before,
        until,
    })
}

/// Uses fresh evidence up, which has to be of the run that the instance is, and of what the agent is registered for.
fn same_run(
    tx: &mut dyn Tx,
    remote: &Remote,
    fresh: &Proven,
    agent: &Agent,
) -> Result<(), IdentityError> {
    spend(tx, fresh.once, fresh.until)?;
    if fresh.attestor != remote.attestor
        || cut(&fresh.subject) != remote.subject
        || fresh.run != remote.run
    {
        return Err(refused(
            Code::TokenInvalid,
            "the token is of another subject or run than the instance",
            "take the token of the running job or pod; another one attests itself",
        ));
    }
    if (fresh.may_match)(agent) && matches(&fresh.selectors, agent) {
        Ok(())
    } else {
        Err(over(
            "the token is not what the agent is registered for now",
        ))
    }
}

fn over(message: &str) -> IdentityError {
    refused(Code::NoIdentity, message, "attest again: POST /v1/attest")
}
