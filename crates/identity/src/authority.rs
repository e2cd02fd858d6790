//! The authority: turns an attested process into an instance with SVIDs. Every answer leaves after its event is durable.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::agent::Agent;
use bailiwick_core::client::ClientId;
use bailiwick_core::event::{Action, AgentRef, ChangeRef, Event, EventType};
use bailiwick_core::fence::Subject;
use bailiwick_core::id::{EventId, InstanceId};
use bailiwick_core::instance::{Instance, InstanceState};
use bailiwick_core::name::ServerName;
use bailiwick_core::selector::Selector;
use bailiwick_core::spiffe_id::{SpiffeId, TrustDomain};
use bailiwick_core::{Clock, Fault, Problem, Rng, Secret, Timestamp};
use bailiwick_crypto::ca::X509Svid;
use bailiwick_crypto::seal::Seal;
use bailiwick_crypto::token::jwt_svid::{Audiences, JwtSvid, SvidClaims};
use bailiwick_crypto::token::{Verified, Verifier};
use bailiwick_store::{Journal, Store, StoreError, Tx};
use tokio::sync::{Mutex, watch};

pub use crate::asker::Asker;
use crate::asker::Fresh;
use crate::error::IdentityError;
use crate::exchange::registered::Assertions;
use crate::keyring::{Keyring, KeyringError};
use crate::refusals::Refusals;
use bailiwick_store::facts;

/// What an authority is made from.
pub struct Parts {
    /// The store.
    pub store: Store,
    /// Carries events to the audit log.
    pub journal: Arc<dyn Journal>,
    /// Opens and seals private keys.
    pub seal: Arc<Seal>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// The trust domain.
    pub trust_domain: TrustDomain,
    /// Issuer URL of task tokens; JWT-SVIDs are issued by `<issuer>/svid`.
    pub issuer: String,
    /// Gateway URL without trailing slash; the resource of a server is `<gateway>/mcp/<server>`.
    pub gateway: String,
    /// Connectors: the resource of one is `<gateway>/p/<connector>`.
    pub connectors: BTreeSet<ServerName>,
    /// OAuth clients that may have tokens which are bound to no key.
    pub unbound_clients: Arc<BTreeSet<ClientId>>,
    /// Lives of what is issued.
    pub lives: Lives,
}

/// Lives of what is issued.
#[derive(Debug, Clone, Copy)]
pub struct Lives {
    /// X.509-SVIDs; 1 h unless configured.
    pub x509: Duration,
    /// JWT-SVIDs; 5 min unless configured.
    pub jwt: Duration,
    /// Task tokens; 5 min unless configured.
    pub task: Duration,
    /// Task tokens at risk high and critical; 60 s unless configured.
    pub high_risk: Duration,
}

/// The authority of one node. Shared.
pub struct Authority {
    pub(crate) parts: Parts,
    keyring: watch::Sender<Arc<Keyring>>,
    /// Held while keys change.
    pub(crate) keys_change: Mutex<()>,
    pub(crate) refusals: Refusals,
    pub(crate) assertions: Assertions,
}

/// An instance with its SPIFFE ID.
#[derive(Debug, Clone)]
pub struct Attested {
    /// The registration it matched.
    pub agent: Agent,
    /// The process.
    pub instance: Instance,
    /// `spiffe://<td>/agent/<name>/<instance>`.
    pub id: SpiffeId,
}

impl Authority {
    /// Opens the authority: reads or makes its keys.
    pub async fn open(parts: Parts) -> Result<Self, KeyringError> {
        let keyring = Keyring::look(&parts, None, |_, _| Ok::<_, KeyringError>(())).await?;
        let assertions = Assertions::since(parts.clock.wall());
        Ok(Self {
            assertions,
            parts,
            keyring: watch::Sender::new(Arc::new(keyring)),
            keys_change: Mutex::new(()),
            refusals: Refusals::default(),
        })
    }

    /// The keys in use now.
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.keyring.borrow())
    }

    /// The keys in use, and whenever they change.
    pub fn follow_keyring(&self) -> watch::Receiver<Arc<Keyring>> {
        self.keyring.subscribe()
    }

    /// These are in use from now on.
    pub(crate) fn use_keyring(&self, keyring: Keyring) {
        self.keyring.send_replace(Arc::new(keyring));
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.parts.trust_domain
    }

    /// Issuer of task tokens.
    pub fn issuer(&self) -> &str {
        &self.parts.issuer
    }

    /// Whether an OAuth client may have tokens that are bound to no key.
    pub fn may_be_unbound(&self, client: &ClientId) -> bool {
        self.parts.unbound_clients.contains(client)
    }

    /// Issuer of JWT-SVIDs.
    pub fn svid_issuer(&self) -> String {
        format!("{}/svid", self.parts.issuer)
    }

    /// The instance of a process: the known one, or a new one on record. `issued` names what is issued with it, if anything.
    pub async fn attest(
        &self,
        asker: impl Into<Asker>,
        issued: Option<Issue>,
    ) -> Result<Attested, IdentityError> {
        let (asker, fresh) = (asker.into(), self.fresh());
        let event = self.event_id();
        let journal = Arc::clone(&self.parts.journal);
        let trust_domain = self.parts.trust_domain.clone();
        let attested = self
            .parts
            .store
            .write(move |tx| {
                let (agent, instance) = asker.instance(tx, &*journal, &fresh)?;
                let id = trust_domain.instance(&agent.name, instance.id);
                if let Some(issue) = &issued {
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
        self.settled().await?;
        Ok(attested)
    }

    /// Waits until what was pushed is on record.
    pub(crate) async fn settled(&self) -> Result<(), IdentityError> {
        let settled = self.parts.journal.settled().await;
        settled.map_err(IdentityError::Record)
    }

    pub(crate) fn event_id(&self) -> EventId {
        EventId::new(&*self.parts.clock, &*self.parts.rng)
    }

    /// What a new instance is made of. Drawn before the transaction, so that a retried closure writes the same rows.
    pub(crate) fn fresh(&self) -> Fresh {
        Fresh {
            id: InstanceId::new(&*self.parts.clock, &*self.parts.rng),
            events: [self.event_id(), self.event_id()],
            at: self.parts.clock.wall(),
        }
    }

    /// An X.509-SVID for a process.
    pub async fn x509_svid(
        &self,
        asker: impl Into<Asker>,
    ) -> Result<(Attested, X509Svid), IdentityError> {
        let attested = self.attest(asker, Some(Issue::X509)).await?;
        let keyring = self.keyring();
        let svid = keyring
            .ca()
            .issue(
                &attested.id,
                self.parts.clock.wall(),
                self.parts.lives.x509,
                &*self.parts.rng,
            )
            .map_err(|error| IdentityError::Signing(error.problem().message))?;
        Ok((attested, svid))
    }

    /// A JWT-SVID for a process and these audiences.
    pub async fn jwt_svid(
        &self,
        asker: impl Into<Asker>,
        audiences: Vec<String>,
    ) -> Result<(Attested, Secret<String>), IdentityError> {
        let audiences = Audiences::new(audiences).map_err(|_| {
            IdentityError::Invalid(
                "a JWT-SVID needs 1 to 8 audiences, none of them empty".to_owned(),
            )
        })?;
        let issue = Issue::Jwt(audiences.as_slice().join(" "));
        let attested = self.attest(asker, Some(issue)).await?;
        let end = self.parts.clock.wall().plus(self.parts.lives.jwt);
        let token = self.sign_jwt_svid(&attested, audiences, end)?;
        Ok((attested, token))
    }

    /// Signs what is on record already. It ends at `end` at the latest.
    pub(crate) fn sign_jwt_svid(
        &self,
        attested: &Attested,
        audiences: Audiences,
        end: Timestamp,
    ) -> Result<Secret<String>, IdentityError> {
        let now = self.parts.clock.wall();
        let claims = SvidClaims {
            iss: self.svid_issuer(),
            sub: attested.id.clone(),
            aud: audiences,
            iat: now.as_secs(),
            exp: now.plus(self.parts.lives.jwt).min(end).as_secs(),
        };
        JwtSvid::issue(self.keyring().jwt_svid(), &claims)
            .map_err(|error| IdentityError::Signing(error.problem().message))
    }

    /// Checks a JWT-SVID that somebody presented to a workload here.
    pub fn validate_jwt_svid(
        &self,
        token: &str,
        audience: &str,
    ) -> Result<Verified<JwtSvid>, Problem> {
        let keys = self.keyring().svid_keys().clone();
        Verifier::<JwtSvid>::new(keys, self.svid_issuer(), self.parts.trust_domain.clone())
            .verify(token, audience, self.parts.clock.wall())
            .map_err(|error| error.problem())
    }

    /// Ends an instance whose process exited. True if it was live.
    pub async fn instance_exited(&self, id: InstanceId) -> Result<bool, StoreError> {
        self.instance_ended(id, None).await
    }

    /// Ends an instance; with `lapsed` only if its time has run out by then, since it may have been renewed meanwhile.
    pub(crate) async fn instance_ended(
        &self,
        id: InstanceId,
        lapsed: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let journal = Arc::clone(&self.parts.journal);
        let event = EventId::new(&*self.parts.clock, &*self.parts.rng);
        self.parts
            .store
            .write(move |tx| {
                let Some(mut instance) = tx
                    .instance(id)?
                    .filter(|known| known.state == InstanceState::Live)
                    .filter(|known| lapsed.is_none_or(|now| !known.is_live(now)))
                else {
                    return Ok(false);
                };
                instance.state = InstanceState::Ended;
                tx.put_instance(&instance)?;
                let Some(agent) = tx.agent(&instance.agent)? else {
                    return Ok(true);
                };
                journal.push(
                    tx,
                    &instance_event(event, EventType::InstanceExited, &agent, &instance),
                )?;
                Ok(true)
            })
            .await
    }
}

/// What is issued together with an attestation.
#[derive(Debug, Clone)]
pub enum Issue {
    /// An X.509-SVID.
    X509,
    /// A JWT-SVID for these audiences, separated by blanks.
    Jwt(String),
}

impl Issue {
    pub(crate) fn change(&self, id: &SpiffeId) -> ChangeRef {
        let (kind, after) = match self {
            Self::X509 => ("x509-svid", None),
            Self::Jwt(audiences) => {
                let shown: String = audiences
                    .chars()
                    .take(bailiwick_core::event::MAX_STRING / 4)
                    .collect();
                ("jwt-svid", Some(shown))
            }
        };
        ChangeRef {
            kind: kind.to_owned(),
            id: id.to_string(),
            before: None,
            after,
        }
    }
}

pub(crate) fn check_fences(
    tx: &dyn Tx,
    agent: &Agent,
    instance: &Instance,
) -> Result<(), IdentityError> {
    let subjects = [
        (Subject::TrustDomain, instance.born_seq),
        (Subject::Owner(agent.owner.clone()), instance.born_seq),
        (Subject::Agent(agent.name.clone()), instance.born_seq),
        (Subject::Instance(instance.id), 0),
    ];
    match facts::fenced(tx, &subjects)? {
        Some(fence) => Err(IdentityError::Revoked {
            subject: fence.subject,
            reason: fence.reason,
        }),
        None => Ok(()),
    }
}

pub(crate) fn instance_event(
    id: EventId,
    kind: EventType,
    agent: &Agent,
    instance: &Instance,
) -> Event {
    let mut event = Event::new(id, kind);
    event.agent = Some(AgentRef {
        id: agent.name.clone(),
        instance: Some(instance.id),
        code_digest: instance
            .selectors
            .iter()
            .find_map(|selector| match selector {
                Selector::Sha256(digest) => Some(*digest),
                _ => None,
            }),
    });
    event.owner = Some(agent.owner.clone());
    event.action = Some(Action::named("attest"));
    event
}
