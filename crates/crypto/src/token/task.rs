//! Task tokens: JWT access tokens (RFC 9068) bound to a key (RFC 9449 §6) that carry one task's authority for one resource.

use std::fmt;

use bailiwick_core::id::{TaskId, TokenId};
use bailiwick_core::name::UserId;
use bailiwick_core::scope::Grant;
use bailiwick_core::spiffe_id::SpiffeId;
use bailiwick_core::{Digest, Secret};
use serde::{Deserialize, Serialize};

use super::{Class, Expected, TaskKeys, TokenError};
use crate::jose::{self, KeySource, Rules, Typ};
use crate::jwk::{Algorithm, Thumbprint};
use crate::keys::SigningKey;

/// Most actors in a chain. JSON of a token may be nested 8 deep, and each actor is one level.
pub const MAX_ACTORS: usize = 7;
/// Most tokens that a token can have been exchanged from, one from the other.
pub const MAX_PARENTS: usize = 8;
/// Longest `grants`, as JSON; what is longer makes no token.
pub const MAX_GRANTS: usize = 2 << 10;
/// The version of the `bailiwick` claim that this code writes and reads.
pub const VERSION: u8 = 1;

/// The class of task tokens: `typ` `at+jwt`, ES256 or RS256, accepted at enforcement points and for exchange.
#[derive(Debug, Clone, Copy)]
pub enum TaskToken {}

impl Class for TaskToken {
    type Keys = TaskKeys;
    type Claims = TaskClaims;

    const RULES: Rules = Rules {
        class: "task token",
        typ: Typ::MediaType("at+jwt"),
        algorithms: &[Algorithm::Es256, Algorithm::Rs256],
        key: KeySource::Kid,
    };
    const MAX_BYTES: usize = 6 << 10;

    fn is_for(claims: &TaskClaims, audience: &str) -> bool {
        claims.aud == audience
    }

    fn check(claims: &TaskClaims, expected: &Expected<'_>) -> Result<(), TokenError> {
        claims.check(expected)
    }
}

impl TaskToken {
    /// Signs claims. What could not be verified afterwards is refused here.
    pub fn issue(key: &SigningKey, claims: &TaskClaims) -> Result<Secret<String>, TokenError> {
        claims.check(&Expected {
            issuer: &claims.iss,
            trust_domain: &claims.act.sub.trust_domain(),
        })?;
        let token = jose::sign(key, Some("at+jwt"), claims)?;
        if token.len() > Self::MAX_BYTES {
            return Err(TokenError::TooLong {
                class: Self::RULES.class,
                bound: Self::MAX_BYTES,
            });
        }
        Ok(Secret::new(token))
    }
}

/// Claims of a task token. The set is closed: a claim that is not here makes the token unreadable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskClaims {
    /// Who issued it.
    pub iss: String,
    /// On whose behalf: the user, or the agent itself.
    pub sub: TaskSubject,
    /// The one resource that it is for: a gateway URL.
    pub aud: String,
    /// Who presents it: SPIFFE ID of the instance, or URL of an MCP client.
    pub client_id: String,
    /// When it was issued, seconds since the epoch.
    pub iat: i64,
    /// When it ends, seconds since the epoch.
    pub exp: i64,
    /// Its own id.
    pub jti: TokenId,
    /// OAuth scope, for clients that read nothing else.
    pub scope: String,
    /// What it is bound to. None only for OAuth clients that the operator lets have unbound tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// Who acts, presenter outermost (RFC 8693 §4.1).
    pub act: Actor,
    /// Who may act next (RFC 8693 §4.4): the one party that may exchange it for a child task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_act: Option<MayAct>,
    /// The task (RFC 9396); exactly one.
    pub authorization_details: Vec<AgentTask>,
    /// Where in our own order of events it stands.
    pub bailiwick: Provenance,
}

impl TaskClaims {
    /// The task that the token is for.
    pub fn task(&self) -> Option<&AgentTask> {
        self.authorization_details.first()
    }

    /// Thumbprint of the key that it is bound to, if it is a key.
    pub fn key(&self) -> Option<&Thumbprint> {
        self.cnf.as_ref().and_then(Confirmation::key)
    }

    fn check(&self, expected: &Expected<'_>) -> Result<(), TokenError> {
        let refuse = |claim, why| {
            Err(TokenError::Claim {
                class: TaskToken::RULES.class,
                claim,
                why,
            })
        };
        if self.bailiwick.v != VERSION {
            return refuse("bailiwick", "has a version that this node does not read");
        }
        if self.authorization_details.len() != 1 {
            return refuse("authorization_details", "does not name exactly one task");
        }
        if self.act.chain().count() > MAX_ACTORS {
            return refuse("act", "names more actors than a chain may have");
        }
        let ours = |id: &SpiffeId| id.trust_domain() == *expected.trust_domain;
        if !self
            .act
            .chain()
            .all(|actor| actor.iss == expected.issuer && ours(&actor.sub))
        {
            return refuse("act", "names an actor of another issuer or trust domain");
        }
        if self.may_act.as_ref().is_some_and(|next| !ours(&next.sub)) {
            return refuse("may_act", "names a party of another trust domain");
        }
        if matches!(&self.sub, TaskSubject::Agent(agent) if !ours(agent)) {
            return refuse("sub", "is of another trust domain");
        }
        if self.cnf.is_none() {
            if self.client_id.starts_with("spiffe://") {
                return refuse(
                    "cnf",
                    "is missing, and an agent's token is bound to its key",
                );
            }
            let handed_on = self.act.act.is_some() || !self.bailiwick.parents.is_empty();
            if handed_on || self.may_act.is_some() {
                return refuse("cnf", "is missing from a token that is handed on");
            }
        }
        if self.bailiwick.parents.len() > MAX_PARENTS {
            return refuse("bailiwick", "was exchanged more often than a token may be");
        }
        if self.exp <= self.iat {
            return refuse("exp", "is not after `iat`");
        }
        Ok(())
    }
}

/// On whose behalf a task token speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskSubject {
    /// A person or service.
    User(UserId),
    /// An agent without its instance, where no user stands behind the task.
    Agent(SpiffeId),
}

impl fmt::Display for TaskSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => user.fmt(f),
            Self::Agent(agent) => agent.fmt(f),
        }
    }
}

impl Serialize for TaskSubject {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TaskSubject {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let text = String::deserialize(deserializer)?;
        if text.starts_with("spiffe://") {
            text.parse().map(Self::Agent).map_err(D::Error::custom)
        } else {
            text.parse().map(Self::User).map_err(D::Error::custom)
        }
    }
}

/// What a token is bound to (RFC 7800 §3.1): exactly one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Confirmation {
    /// The key of DPoP proofs (RFC 9449 §6.1).
    #[serde(rename = "jkt")]
    Key(Thumbprint),
    /// The certificate that its holder shows in the handshake (RFC 8705 §3.1).
    #[serde(rename = "x5t#S256")]
    Certificate(Thumbprint),
}

impl Confirmation {
    /// The key, if it is one.
    pub fn key(&self) -> Option<&Thumbprint> {
        match self {
            Self::Key(key) => Some(key),
            Self::Certificate(_) => None,
        }
    }
}

impl fmt::Display for Confirmation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "the key {key}"),
            Self::Certificate(certificate) => write!(f, "the certificate {certificate}"),
        }
    }
}

/// One actor, and the one that it acts for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The instance.
    pub sub: SpiffeId,
    /// Who vouches for it: the issuer of the token.
    pub iss: String,
    /// What it is.
    pub sub_profile: Profile,
    /// The actor before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Actor>>,
}

impl Actor {
    /// This actor and those before it, presenter first.
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |actor| actor.act.as_deref())
    }
}

/// What kind of party an actor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// An AI agent.
    AiAgent,
}

/// The one party that may act next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MayAct {
    /// An agent or one instance of it.
    pub sub: SpiffeId,
}

/// The task, as one member of `authorization_details`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentTask {
    /// Always `agent_task`.
    #[serde(rename = "type")]
    pub kind: AgentTaskKind,
    /// Which task.
    pub task_id: TaskId,
    /// Digest of the task's scope.
    pub scope_digest: Digest,
    /// When the task ends, seconds since the epoch.
    pub deadline: i64,
    /// How many more times it may be delegated.
    pub depth: u8,
    /// What the token is good for, if that is less than the task's scope; at most [`MAX_GRANTS`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<Grant>>,
}

/// The `type` of an [`AgentTask`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentTaskKind {
    /// `agent_task`.
    AgentTask,
}

/// Where in our own order of events a token stands. No clock takes part in revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// [`VERSION`].
    pub v: u8,
    /// The store's epoch: raised when a backup is restored.
    pub epoch: u64,
    /// The change feed's head that the issuing transaction read.
    pub seq: u64,
    /// The tokens that this one was exchanged from, nearest first.
    pub parents: Vec<TokenId>,
}
