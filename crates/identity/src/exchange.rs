//! The token endpoint's work: a live instance proves itself with a JWT-SVID, or its X.509-SVID, and gets a token for one task and one
//! resource, bound to its key or certificate (RFC 6749 §4.4, RFC 7523 §2.2, RFC 8705, RFC 9068, RFC 9396, RFC 9449), or exchanges one it
//! has (RFC 8693).

mod grant;
mod refusal;
pub(crate) mod registered;
mod subject;

use std::sync::Arc;

use bailiwick_core::chain::{Chain, Link};
use bailiwick_core::event::EventType;
use bailiwick_core::id::{EventId, InstanceId, TaskId, TokenId};
use bailiwick_core::name::{AgentName, ServerName};
use bailiwick_core::scope::{Narrowing, Wish};
use bailiwick_core::spiffe_id::SpiffeId;
use bailiwick_core::{Code, Fault, Secret, Timestamp};
use bailiwick_crypto::tls::peer::ClientCertificate;
use bailiwick_crypto::token::jwt_svid::ClientAssertion;
use bailiwick_crypto::token::task::{
    Actor, AgentTask, AgentTaskKind, Confirmation, MayAct, Profile, Provenance, TaskClaims,
    TaskSubject, TaskToken, VERSION,
};
use bailiwick_crypto::token::{TokenError, Verifier};

use crate::authority::Authority;
use grant::{Grant, Granted, Target};

pub use refusal::TokenRefusal;
pub use subject::{Exchanged, SubjectToken};

/// A client that proved which instance it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its SPIFFE ID.
    pub id: SpiffeId,
    /// Its agent.
    pub agent: AgentName,
    /// The instance.
    pub instance: InstanceId,
}

/// A request for a task token whose client proved itself and its key.
#[derive(Debug, Clone)]
pub struct TokenAsk {
    /// Who asks.
    pub client: Client,
    /// The task.
    pub task: TaskId,
    /// The resource: `<gateway>/mcp/<server>`.
    pub resource: String,
    /// What the token is bound to: the key of the DPoP proof, or the client's certificate; none for an OAuth client that showed neither.
    pub cnf: Option<Confirmation>,
    /// When what it is bound to ends, if it does.
    pub until: Option<Timestamp>,
    /// How much of the task's scope the token is to carry.
    pub wish: Wish,
    /// Who may exchange it for a task of their own.
    pub may_act: Option<SpiffeId>,
    /// The token that it is exchanged from, if one is.
    pub from: Option<Exchanged>,
}

/// A task token and what the answer says about it.
#[derive(Debug)]
pub struct Issued {
    /// The token.
    pub token: Secret<String>,
    /// Seconds it lives.
    pub expires_in: i64,
    /// OAuth scope.
    pub scope: String,
    /// The task it is for.
    pub details: AgentTask,
    /// What made it good for less than was asked for.
    pub narrowed_by: Vec<Narrowing>,
    /// Whether it is bound to a key, and shown with a proof of it.
    pub proven: bool,
}

impl Authority {
    /// Who asks, by a client assertion: a JWT-SVID for this issuer alone. Whether the instance lives is asked when something is granted.
    pub async fn client(&self, assertion: &str) -> Result<Client, TokenRefusal> {
        let found = self.presenter(assertion);
        if let Err(refusal) = &found {
            let kind = EventType::TokenRefused;
            self.refused(kind, "client.authenticate", "client", &refusal.problem)
                .await;
        }
        found
    }

    /// Who asks, by the X.509-SVID that it showed in the handshake (RFC 8705 §2.1), and when that ends.
    pub async fn client_by_svid(
        &self,
        shown: &ClientCertificate,
    ) -> Result<(Client, Timestamp), TokenRefusal> {
        let found = self.holder(shown);
        if let Err(refusal) = &found {
            let kind = EventType::TokenRefused;
            self.refused(kind, "client.authenticate", "client", &refusal.problem)
                .await;
        }
        found
    }

    /// The connection may be older than the end of its certificate, and than the authority that signed it.
    fn holder(&self, shown: &ClientCertificate) -> Result<(Client, Timestamp), TokenRefusal> {
        let now = self.parts.clock.wall();
        let svid = shown
            .verify(self.keyring().bundle(), now)
            .map_err(|error| TokenRefusal {
                error: "invalid_client",
                problem: error.problem(),
            })?;
        Ok((named(svid.id().clone())?, svid.not_after()))
    }

    fn presenter(&self, assertion: &str) -> Result<Client, TokenRefusal> {
        let keys = self.keyring().svid_keys().clone();
        let trust_domain = self.parts.trust_domain.clone();
        let now = self.parts.clock.wall();
        let id = Verifier::<ClientAssertion>::new(keys, self.svid_issuer(), trust_domain)
            .verify(assertion, &self.parts.issuer, now)
            .map(|verified| verified.into_claims().sub)
            .map_err(|error| TokenRefusal {
                error: "invalid_client",
                problem: error.problem(),
            })?;
        named(id)
    }

    /// The client that one user's consent let in. Whether its instance lives is asked when something is granted.
    pub fn let_in(&self, agent: AgentName, instance: InstanceId) -> Client {
        Client {
            id: self.parts.trust_domain.instance(&agent, instance),
            agent,
            instance,
        }
    }

    /// Issues a task token, or says why not. The event is durable before this resolves.
    pub async fn issue_task_token(&self, ask: TokenAsk) -> Result<Issued, TokenRefusal> {
        let task = ask.task.to_string();
        let issued = self.issue(ask).await;
        if let Err(refusal) = &issued {
            let kind = EventType::TokenRefused;
            self.refused(kind, "token.issue", &task, &refusal.problem)
                .await;
        }
        issued
    }

    async fn issue(&self, ask: TokenAsk) -> Result<Issued, TokenRefusal> {
        let parts = &self.parts;
        let keyring = self.keyring();
        let now = parts.clock.wall();
        let grant = Grant {
            target: self.target_of(&ask.resource)?,
            jti: TokenId::new(&*parts.clock, &*parts.rng),
            event: EventId::new(&*parts.clock, &*parts.rng),
            now,
            lives: parts.lives,
            unbound_clients: Arc::clone(&parts.unbound_clients),
            ask: Arc::new(ask.clone()),
        };
        let (journal, jti) = (Arc::clone(&parts.journal), grant.jti);
        let granted = parts
            .store
            .write(move |tx| grant.make(tx, &*journal))
            .await?;
        let settled = parts.journal.settled().await;
        settled.map_err(|problem| TokenRefusal::of("server_error", problem))?;
        let (scope, details) = (granted.scope().to_oauth(), granted.details());
        let narrowed = ask.wish.is_narrowed_to(granted.scope());
        let narrowed = narrowed.then_some(Narrowing::Task);
        let unescalated = granted.unescalated.then_some(Narrowing::Unbound);
        let Granted {
            task,
            chain,
            client,
            exp,
            seq,
            epoch,
            ..
        } = granted;
        let claims = TaskClaims {
            iss: parts.issuer.clone(),
            sub: TaskSubject::User(task.user.clone()),
            aud: ask.resource,
            client_id: client
                .map_or_else(|| ask.client.id.to_string(), |client| client.to_string()),
            iat: now.as_secs(),
            exp: exp.as_secs(),
            jti,
            scope: scope.clone(),
            cnf: ask.cnf,
            act: self.actors(&chain)?,
            may_act: ask.may_act.map(|sub| MayAct { sub }),
            authorization_details: vec![details.clone()],
            bailiwick: Provenance {
                v: VERSION,
                epoch,
                seq,
                parents: ask
                    .from
                    .map(|from| from.subject.parents())
                    .unwrap_or_default(),
            },
        };
        let token = TaskToken::issue(keyring.task(), &claims).map_err(|error| match error {
            TokenError::TooLong { bound, .. } => TokenRefusal::new(
                "invalid_scope",
                Code::ScopeTooLarge,
                format!("the token would have more than {bound} bytes"),
                "ask for fewer grants",
            ),
            error => TokenRefusal::of("server_error", error.problem()),
        })?;
        Ok(Issued {
            token,
            expires_in: exp.as_secs() - now.as_secs(),
            scope,
            details,
            narrowed_by: narrowed.into_iter().chain(unescalated).collect(),
            proven: claims.key().is_some(),
        })
    }

    /// The tool server or connector that a resource indicator names.
    fn target_of(&self, resource: &str) -> Result<Target, TokenRefusal> {
        let connector: Option<ServerName> = resource
            .strip_prefix(&self.parts.gateway)
            .and_then(|rest| rest.strip_prefix("/p/"))
            .and_then(|name| name.parse().ok());
        match connector.filter(|name| self.parts.connectors.contains(name)) {
            Some(name) => Ok(Target::Connector(name)),
            None => self.server_of(resource).map(Target::Server),
        }
    }

    /// The tool server that a resource indicator names.
    pub fn server_of(&self, resource: &str) -> Result<ServerName, TokenRefusal> {
        let name = resource
            .strip_prefix(&self.parts.gateway)
            .and_then(|rest| rest.strip_prefix("/mcp/"));
        name.and_then(|name| name.parse().ok()).ok_or_else(|| {
            let help = format!("ask for {}/mcp/<server>", self.parts.gateway);
            TokenRefusal::new(
                "invalid_target",
                Code::ResourceUnknown,
                "that resource is not this node's",
                &help,
            )
        })
    }

    /// RFC 8693 §4.1: the presenter outermost.
    fn actors(&self, chain: &Chain) -> Result<Actor, TokenRefusal> {
        let domain = &self.parts.trust_domain;
        let id = |link: &Link| match link.instance {
            Some(instance) => domain.instance(&link.agent, instance),
            None => domain.agent(&link.agent),
        };
        let mut actor: Option<Actor> = None;
        for link in chain.links.iter().rev() {
            actor = Some(Actor {
                sub: id(link),
                iss: self.parts.issuer.clone(),
                sub_profile: Profile::AiAgent,
                act: actor.map(Box::new),
            });
        }
        actor.ok_or_else(|| {
            TokenRefusal::new("server_error", Code::Internal, "the task has no chain", "")
        })
    }
}

/// The client that an SVID names.
fn named(id: SpiffeId) -> Result<Client, TokenRefusal> {
    let (agent, instance) = id.as_instance().map_err(|_| {
        let message = "the SVID names no agent instance";
        TokenRefusal::new("invalid_client", Code::NoIdentity, message, "")
    })?;
    Ok(Client {
        id,
        agent,
        instance,
    })
}

impl Granted {
    fn details(&self) -> AgentTask {
        AgentTask {
            kind: AgentTaskKind::AgentTask,
            task_id: self.task.id,
            scope_digest: self.task.scope_digest,
            deadline: self.task.expires_at.as_secs(),
            depth: self.task.scope.depth(),
            // The digest says which scope the task has, the rows what is in it; a part of it has to be written out.
            grants: self.part.as_ref().map(|part| part.grants().to_vec()),
        }
    }
}
