//! Fences: the durable record that a subject is revoked. Everything below it in the chain is dead (02, table of fences).
//!
//! A lift revives nothing: births are feed sequences, and what was born at or before the lift stays dead. No clock takes part.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::{FenceId, InstanceId, LeaseId, RevocationId, TaskId, TokenId};
use crate::name::{AgentName, CredentialName, OwnerName, ServerName, ToolRef, UserId};
use crate::text::text_form;

/// What can be fenced. Written `kind/id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Everything.
    TrustDomain,
    /// All agents of an owner.
    Owner(OwnerName),
    /// An agent.
    Agent(AgentName),
    /// Everything done for a user.
    User(UserId),
    /// A tool server.
    Server(ServerName),
    /// One tool.
    Tool(ToolRef),
    /// A credential and all its leases.
    Credential(CredentialName),
    /// One process of an agent; final.
    Instance(InstanceId),
    /// A task and its subtree; final.
    Task(TaskId),
    /// One token; final.
    Token(TokenId),
    /// A key (RFC 7638 thumbprint of a token's `cnf`); final.
    Key(String),
    /// One lease; final.
    Lease(LeaseId),
}

impl Subject {
    /// The kind, as the command line and the API name it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::TrustDomain => "trust_domain",
            Self::Owner(_) => "owner",
            Self::Agent(_) => "agent",
            Self::User(_) => "user",
            Self::Server(_) => "server",
            Self::Tool(_) => "tool",
            Self::Credential(_) => "credential",
            Self::Instance(_) => "instance",
            Self::Task(_) => "task",
            Self::Token(_) => "token",
            Self::Key(_) => "key",
            Self::Lease(_) => "lease",
        }
    }

    /// The id within its kind; empty for the trust domain.
    pub fn id(&self) -> String {
        match self {
            Self::TrustDomain => String::new(),
            Self::Owner(name) => name.to_string(),
            Self::Agent(name) => name.to_string(),
            Self::User(id) => id.to_string(),
            Self::Server(name) => name.to_string(),
            Self::Tool(tool) => tool.to_string(),
            Self::Credential(name) => name.to_string(),
            Self::Instance(id) => id.to_string(),
            Self::Task(id) => id.to_string(),
            Self::Token(id) => id.to_string(),
            Self::Key(thumbprint) => thumbprint.clone(),
            Self::Lease(id) => id.to_string(),
        }
    }

    /// Builds a subject from kind and id.
    pub fn parse(kind: &str, id: &str) -> Result<Self, BadSubject> {
        let bad = || BadSubject {
            kind: kind.chars().take(32).collect(),
            id: id.chars().take(128).collect(),
        };
        let key = |text: &str| {
            let fits = text.len() == 43
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
            fits.then(|| text.to_owned())
        };
        match kind {
            "trust_domain" if id.is_empty() => Ok(Self::TrustDomain),
            "owner" => id.parse().map(Self::Owner).map_err(|_| bad()),
            "agent" => id.parse().map(Self::Agent).map_err(|_| bad()),
            "user" => id.parse().map(Self::User).map_err(|_| bad()),
            "server" => id.parse().map(Self::Server).map_err(|_| bad()),
            "tool" => id.parse().map(Self::Tool).map_err(|_| bad()),
            "credential" => id.parse().map(Self::Credential).map_err(|_| bad()),
            "instance" => id.parse().map(Self::Instance).map_err(|_| bad()),
            "task" => id.parse().map(Self::Task).map_err(|_| bad()),
            "token" => id.parse().map(Self::Token).map_err(|_| bad()),
            "key" => key(id).map(Self::Key).ok_or_else(bad),
            "lease" => id.parse().map(Self::Lease).map_err(|_| bad()),
            _ => Err(bad()),
        }
    }

    /// Whether a fence on this kind of subject can be lifted.
    pub const fn lifts(&self) -> bool {
        !matches!(
            self,
            Self::Instance(_) | Self::Task(_) | Self::Token(_) | Self::Key(_) | Self::Lease(_)
        )
    }
}

/// Text that names nothing that can be fenced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{kind}/{id}` names nothing that can be revoked: kinds are trust_domain, owner, agent, user, server, tool, credential, instance, task, token, key, lease"
)]
pub struct BadSubject {
    kind: String,
    id: String,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind(), self.id())
    }
}

impl FromStr for Subject {
    type Err = BadSubject;

    fn from_str(text: &str) -> Result<Self, BadSubject> {
        let (kind, id) = text.split_once('/').unwrap_or((text, ""));
        Self::parse(kind, id)
    }
}

text_form! { Subject; }

/// One fence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// Its id.
    pub id: FenceId,
    /// What is dead.
    pub subject: Subject,
    /// Feed sequence of its commit; 0 while it is only known to this process.
    pub seq: u64,
    /// Feed sequence at which it was lifted: what is born later lives.
    pub lifted_seq: Option<u64>,
    /// The revocation that set it.
    pub revocation: RevocationId,
    /// Why: a person's words, or the trigger.
    pub reason: String,
    /// Who set it: an account name or `system`.
    pub actor: String,
    /// When.
    pub set_at: Timestamp,
}

/// The fences an enforcement point knows, by subject.
#[derive(Debug, Clone, Default)]
pub struct FenceSet {
    by_subject: HashMap<Subject, Vec<Fence>>,
    seq: u64,
}

impl FenceSet {
    /// Adds a fence, or replaces the one with the same id (when it became durable, or was lifted).
    pub fn put(&mut self, fence: Fence) {
        self.seq = self.seq.max(fence.seq).max(fence.lifted_seq.unwrap_or(0));
        let fences = self.by_subject.entry(fence.subject.clone()).or_default();
        match fences.iter_mut().find(|known| known.id == fence.id) {
            Some(known) => *known = fence,
            None => fences.push(fence),
        }
    }

    /// The fence that kills a subject born at `born`, if there is one.
    pub fn dead(&self, subject: &Subject, born: u64) -> Option<&Fence> {
        let fences = self.by_subject.get(subject)?;
        fences.iter().find(|fence| match fence.lifted_seq {
            None => true,
            // A kind that never lifts stays dead whatever a row says.
            Some(lifted) => !subject.lifts() || born <= lifted,
        })
    }

    /// The first fence that kills any of these subjects.
    pub fn any_dead<'a>(
        &self,
        subjects: impl IntoIterator<Item = &'a (Subject, u64)>,
    ) -> Option<&Fence> {
        if self.by_subject.is_empty() {
            return None;
        }
        subjects
            .into_iter()
            .find_map(|(subject, born)| self.dead(subject, *born))
    }

    /// All fences, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Fence> {
        self.by_subject.values().flatten()
    }

    /// Highest feed sequence of a fence in the set.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// How many fences there are.
    pub fn len(&self) -> usize {
        self.by_subject.values().map(Vec::len).sum()
    }

    /// True if nothing is fenced.
    pub fn is_empty(&self) -> bool {
        self.by_subject.is_empty()
    }
}

#[cfg(test)]
mod tests;
