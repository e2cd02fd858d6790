//! Attestation over HTTP (02 §3): evidence and a certificate request in, an X.509-SVID for the request's key out. What the evidence
//! shows becomes selectors, and they match a registration as those of a process here do.

mod join_token;
pub mod oidc;
pub mod renewal;
pub mod x509pop;

use std::sync::Arc;

use bailiwick_core::agent::Agent;
use bailiwick_core::event::{ChangeRef, EventType, MAX_STRING};
use bailiwick_core::id::{EventId, InstanceId};
use bailiwick_core::instance::{Attestor, Instance, InstanceState, Place, Remote};
use bailiwick_core::selector::Selector;
use bailiwick_core::{Code, Digest, Fault, Problem, Secret, Timestamp};
use bailiwick_crypto::ca::SignedSvid;
use bailiwick_crypto::csr::CertificateRequest;
use bailiwick_crypto::token::jwt_svid::Audiences;
use bailiwick_store::{StoreError, Tx};

use crate::authority::{Attested, Authority, Issue, check_fences, instance_event};
use crate::error::IdentityError;
use crate::registration::nearest;

/// Remote instances that live at once; beyond it none is attested.
pub const MAX_REMOTE: u64 = 10_000;

/// What somebody elsewhere shows.
#[derive(Debug, Clone)]
pub enum Evidence {
    /// A join token.
    JoinToken(Secret<String>),
    /// Facts that were verified before.
    Proven(Proven),
}

/// Facts that a token or a certificate proves, good for one use.
#[derive(Debug, Clone)]
pub struct Proven {
    /// What proves them.
    pub attestor: Attestor,
    /// Whom, in short: at most [`MAX_STRING`] bytes of it are kept.
    pub subject: String,
    /// Which run or pod of that subject, if the evidence tells; then it has one.
    pub run: Option<String>,
    /// Everything a registration can ask for.
    pub selectors: Vec<Selector>,
    /// Which registrations may match at all.
    pub may_match: fn(&Agent) -> bool,
    /// Digest of the evidence; the second use of the same one is refused.
    pub once: Digest,
    /// From then on the evidence is refused anyway.
    pub until: Timestamp,
}

/// What somebody elsewhere gets.
#[derive(Debug)]
pub struct Joined {
    /// Who it is.
    pub attested: Attested,
    /// Its X.509-SVID.
    pub svid: SignedSvid,
    /// Its JWT-SVID, if it asked for one.
    pub jwt_svid: Option<Secret<String>>,
}

/// What the evidence comes down to, inside the transaction that uses it up.
struct Shown {
    attestor: Attestor,
    subject: String,
    run: Option<String>,
    selectors: Vec<Selector>,
    agent: Agent,
}

impl Authority {
    /// Makes a new instance of whoever shows `evidence`, with an X.509-SVID for the key of `request`, and a JWT-SVID if `audiences`
    /// are named. The evidence is used up in the transaction that makes the instance; the answer leaves when both are on record.
    pub async fn join(
        &self,
        evidence: Evidence,
        request: &CertificateRequest,
        audiences: Option<Vec<String>>,
    ) -> Result<Joined, IdentityError> {
        let audiences = audiences.map(audiences_of).transpose()?;
        let parts = &self.parts;
        let (clock, rng) = (Arc::clone(&parts.clock), Arc::clone(&parts.rng));
        let keyring = self.keyring();
        let now = clock.wall();
        let until = now.plus(parts.lives.x509).min(keyring.ca().not_after());
        // Drawn before the transaction, so that a retried closure writes the same rows.
        let id = InstanceId::new(&*clock, &*rng);
        let events = [
            EventId::new(&*clock, &*rng),
            EventId::new(&*clock, &*rng),
            EventId::new(&*clock, &*rng),
        ];
        let issues: Vec<Issue> = std::iter::once(Issue::X509)
            .chain(
                audiences
                    .iter()
                    .map(|audiences| Issue::Jwt(audiences.as_slice().join(" "))),
            )
            .collect();
        let (journal, trust_domain) = (Arc::clone(&parts.journal), parts.trust_domain.clone());
        let key = request.key_hash();
        let attested = parts
            .store
            .write(move |tx| {
                let shown = evidence.used(tx, id, now)?;
                room(tx)?;
                let instance = Instance {
                    id,
                    agent: shown.agent.name.clone(),
                    selectors: shown.selectors,
                    place: Place::Remote(Remote {
                        attestor: shown.attestor,
                        subject: cut(&shown.subject),
                        run: shown.run,
                        until,
                    }),
                    state: InstanceState::Live,
                    born_seq: tx.head() + 1,
                    attested_at: now,
                    client: None,
                };
                let agent = shown.agent;
                check_fences(tx, &agent, &instance)?;
                tx.put_instance(&instance)?;
                let [first, later @ ..] = events;
                let mut event =
                    instance_event(first, EventType::InstanceAttested, &agent, &instance);
                event.change = Some(ChangeRef {
                    kind: shown.attestor.as_str().to_owned(),
                    id: cut(&shown.subject),
                    before: None,
                    after: Some(format!("key sha256:{}", key.to_hex())),
                });
                journal.push(tx, &event)?;
                let id = trust_domain.instance(&agent.name, instance.id);
                for (event, issue) in later.into_iter().zip(&issues) {
                    let mut event = instance_event(event, EventType::SvidIssued, &agent, &instance);
                    event.change = Some(issue.change(&id));
                    journal.push(tx, &event)?;
                }
                Ok::<_, IdentityError>(Attested {
                    agent,
                    instance,
                    id,
                })
            })
            .await?;
        parts
            .journal
            .settled()
            .await
            .map_err(IdentityError::Record)?;
        self.sign(attested, request, audiences, now, until)
    }

    /// Signs what is on record. Both SVIDs end at `until` at the latest.
    fn sign(
        &self,
        attested: Attested,
        request: &CertificateRequest,
        audiences: Option<Audiences>,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Joined, IdentityError> {
        let (keyring, life) = (self.keyring(), until.since(now));
        let svid = keyring
            .ca()
            .sign(&attested.id, request, now, life, &*self.parts.rng)
            .map_err(|error| IdentityError::Signing(error.problem().message))?;
        let jwt_svid = audiences
            .map(|audiences| self.sign_jwt_svid(&attested, audiences, until))
            .transpose()?;
        Ok(Joined {
            attested,
            svid,
            jwt_svid,
        })
    }

    /// Ends the remote instances whose time has run out; which.
    pub async fn end_lapsed(&self) -> Result<Vec<InstanceId>, StoreError> {
        let now = self.parts.clock.wall();
        let due = self
            .parts
            .store
            .read(move |rows| rows.instances_due(now))
            .await?;
        let mut ended = Vec::new();
        for instance in due {
            if self.instance_ended(instance.id, Some(now)).await? {
                ended.push(instance.id);
            }
        }
        Ok(ended)
    }
}

impl Evidence {
    /// Uses the evidence up, and finds the registration that it matches.
    fn used(
        &self,
        tx: &mut dyn Tx,
        by: InstanceId,
        now: Timestamp,
    ) -> Result<Shown, IdentityError> {
        match self {
            Self::JoinToken(token) => join_token::used(tx, token, by, now),
            Self::Proven(proven) => proven.used(tx),
        }
    }
}

impl Proven {
    fn used(&self, tx: &mut dyn Tx) -> Result<Shown, IdentityError> {
        spend(tx, self.once, self.until)?;
        let mut agents = tx.agents()?;
        agents.retain(self.may_match);
        let agent = nearest(agents, &self.selectors)?;
        Ok(Shown {
            attestor: self.attestor,
            subject: self.subject.clone(),
            run: self.run.clone(),
            // What was asked for is what is kept: a token says more than anybody needs to know.
            selectors: agent.selectors.clone(),
            agent,
        })
    }
}

/// Uses evidence up: the second use of the same is refused, by the database.
fn spend(tx: &mut dyn Tx, once: Digest, until: Timestamp) -> Result<(), IdentityError> {
    match tx.spend(once, until) {
        Err(StoreError::AlreadyExists { .. }) => Err(refused(
            Code::TokenInvalid,
            "this evidence was used before",
            "each attestation and each renewal needs a fresh one",
        )),
        other => Ok(other?),
    }
}

fn room(tx: &dyn Tx) -> Result<(), IdentityError> {
    if tx.live_remote_instances()? < MAX_REMOTE {
        return Ok(());
    }
    Err(refused(
        Code::Overloaded,
        "too many remote instances live at once",
        "they end with their SVIDs; try again later",
    ))
}

fn audiences_of(audiences: Vec<String>) -> Result<Audiences, IdentityError> {
    Audiences::new(audiences).map_err(|error| IdentityError::Invalid(error.to_string()))
}

fn refused(code: Code, message: &str, help: &str) -> IdentityError {
    IdentityError::Evidence(Problem::new(code, message, help))
}

/// As much of a text as an event holds.
fn cut(text: &str) -> String {
    let mut end = text.len().min(MAX_STRING);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}
