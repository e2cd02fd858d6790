//! The subject of a token exchange (RFC 8693 §2.1): a task token of ours. What it says is only where to look: rows and fences decide, in
//! the transaction that grants.

use bailiwick_core::event::EventType;
use bailiwick_core::fence::Subject;
use bailiwick_core::id::{InstanceId, TaskId, TokenId};
use bailiwick_core::scope::Grant;
use bailiwick_core::spiffe_id::SpiffeId;
use bailiwick_core::{Code, Digest, Fault, Timestamp};
use bailiwick_crypto::jwk::Thumbprint;
use bailiwick_crypto::token::Verifier;
use bailiwick_crypto::token::task::{AgentTask, Confirmation, TaskClaims, TaskToken};

use super::{Client, TokenRefusal};
use crate::authority::Authority;

/// A task token that we signed and that has not ended.
#[derive(Debug, Clone)]
pub struct SubjectToken {
    claims: TaskClaims,
    task: AgentTask,
    holder: InstanceId,
}

/// What a token is exchanged from.
#[derive(Debug, Clone)]
pub struct Exchanged {
    /// The token.
    pub subject: SubjectToken,
    /// Whether the new token is for a task that was delegated with it, and not for the same one.
    pub delegated: bool,
}

impl Authority {
    /// Reads a task token of ours, whichever resource it is for.
    pub fn subject(&self, token: &str) -> Result<SubjectToken, TokenRefusal> {
        let keys = self.keyring().task_keys().clone();
        let ours = Verifier::<TaskToken>::new(
            keys,
            self.parts.issuer.clone(),
            self.parts.trust_domain.clone(),
        );
        // RFC 8693 §2.2.2: a subject token that is unfit for any reason is an invalid request.
        let claims = ours
            .verify_as_issuer(token, self.parts.clock.wall())
            .map_err(|error| TokenRefusal::of("invalid_request", error.problem()))?
            .into_claims();
        let unusable = |what: &str| {
            TokenRefusal::new(
                "invalid_request",
                Code::TokenInvalid,
                what,
                "ask for a new token",
            )
        };
        let task = claims
            .task()
            .cloned()
            .ok_or_else(|| unusable("the token names no task"))?;
        let presenter = claims.act.sub.as_instance();
        let (_, holder) = presenter.map_err(|_| unusable("the token was given to no instance"))?;
        Ok(SubjectToken {
            claims,
            task,
            holder,
        })
    }

    /// Puts on record that an instance asked in vain to be handed something.
    pub async fn delegation_refused(&self, client: &str, refusal: &TokenRefusal) {
        let kind = EventType::DelegationRefused;
        self.refused(kind, "token.exchange", client, &refusal.problem)
            .await;
    }
}

impl SubjectToken {
    /// The instance that it was given to.
    pub fn holder(&self) -> InstanceId {
        self.holder
    }

    /// The holder's SPIFFE ID.
    pub fn holder_id(&self) -> &SpiffeId {
        &self.claims.act.sub
    }

    /// The `client_id` that it was given to.
    pub fn client_id(&self) -> &str {
        &self.claims.client_id
    }

    /// Its own id.
    pub fn id(&self) -> TokenId {
        self.claims.jti
    }

    /// The task it is for.
    pub fn task(&self) -> TaskId {
        self.task.task_id
    }

    /// Digest of the scope that its task had.
    pub fn scope_digest(&self) -> Digest {
        self.task.scope_digest
    }

    /// The grants that it is good for, if those are not the whole task's.
    pub fn grants(&self) -> Option<&[Grant]> {
        self.task.grants.as_deref()
    }

    /// The resource it is for.
    pub fn resource(&self) -> &str {
        &self.claims.aud
    }

    /// What it is bound to, if it is.
    pub fn bound(&self) -> Option<&Confirmation> {
        self.claims.cnf.as_ref()
    }

    /// The key it is bound to, if it is a key.
    pub fn key(&self) -> Option<&Thumbprint> {
        self.claims.key()
    }

    /// When it ends.
    pub fn expires(&self) -> Timestamp {
        Timestamp::from_secs(self.claims.exp)
    }

    /// The epoch it was issued in.
    pub fn epoch(&self) -> u64 {
        self.claims.bailiwick.epoch
    }

    /// The newest change that its issuer had seen: its birth, for fences on its server.
    pub fn seq(&self) -> u64 {
        self.claims.bailiwick.seq
    }

    /// It and the tokens that it was exchanged from, nearest first: the parents of what is made of it.
    pub fn parents(&self) -> Vec<TokenId> {
        let before = self.claims.bailiwick.parents.iter().copied();
        std::iter::once(self.claims.jti).chain(before).collect()
    }

    /// What a fence can stand on besides its chain: itself, its parents, its key. What is delegated with it hangs on these.
    pub fn lineage(&self) -> Vec<Subject> {
        let tokens = self.parents().into_iter().map(Subject::Token);
        let key = self.key().map(|key| Subject::Key(key.as_str().to_owned()));
        tokens.chain(key).collect()
    }

    /// Refuses unless it names the client as the one that may act next (RFC 8693 §4.4).
    pub fn admits(&self, client: &Client) -> Result<(), TokenRefusal> {
        let named = self.claims.may_act.as_ref().map(|next| &next.sub);
        let fits =
            named
                .and_then(|named| named.as_party().ok())
                .is_some_and(|(agent, instance)| {
                    agent == client.agent && instance.is_none_or(|named| named == client.instance)
                });
        if fits {
            return Ok(());
        }
        let who = named.map_or_else(|| "nobody".to_owned(), ToString::to_string);
        Err(TokenRefusal::new(
            "invalid_request",
            Code::MayAct,
            format!("the token lets {who} act next, and not {}", client.id),
            "its holder asks for one with `may_act` in authorization_details, or posts to /v1/tasks/{id}/delegations",
        ))
    }
}
