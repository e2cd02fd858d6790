//! One running instance of an agent: an attested process, on this machine or elsewhere, or an OAuth client that one person let in.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::client::ClientId;
use crate::digest::Digest;
use crate::id::InstanceId;
use crate::name::AgentName;
use crate::selector::Selector;

/// An attested process, or one consent of a user to an OAuth client. Its id is never reused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id; the last segment of its SPIFFE ID.
    pub id: InstanceId,
    /// The agent it is an instance of.
    pub agent: AgentName,
    /// What attestation found on it.
    pub selectors: Vec<Selector>,
    /// Where it runs. An OAuth client has no process that is known: 0, and its `born_seq` as the start.
    #[serde(flatten)]
    pub place: Place,
    /// Where it is in its life.
    pub state: InstanceState,
    /// Feed sequence at which it was born; what fences on its agent are compared with.
    pub born_seq: u64,
    /// When it was attested first, or consented to.
    pub attested_at: Timestamp,
    /// The OAuth client that it is: known by its user's consent alone, it holds no SVID. None: an attested process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
}

/// Where an instance runs, and so how its end is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Place {
    /// A process on this machine; the kernel says when it exits.
    Process {
        /// Process id on this node.
        pid: u32,
        /// Start time of the process in clock ticks since boot (`/proc/PID/stat` field 22); with `pid` it names one process.
        pid_start: u64,
    },
    /// Somewhere else; it lives as long as its newest X.509-SVID.
    Remote(Remote),
}

/// An instance that proved itself over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// How it proved itself.
    pub attestor: Attestor,
    /// What it proved to be: a join token's id, issuer and subject of a token, the digest of a certificate.
    pub subject: String,
    /// Which run or pod of that subject it is, where the issuer's tokens tell; they have to name the same one to renew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// It has ended at this instant, unless it was renewed.
    pub until: Timestamp,
}

/// A way to prove what a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attestor {
    /// The kernel tells over a unix socket.
    Unix,
    /// A token that an operator made for one use.
    JoinToken,
    /// A token of an outside OIDC issuer.
    Oidc,
    /// The key of a certificate from a configured authority.
    X509pop,
}

impl Attestor {
    /// Its name in requests and on record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::JoinToken => "join_token",
            Self::Oidc => "oidc",
            Self::X509pop => "x509pop",
        }
    }
}

impl Instance {
    /// Process id and start time, if it is a process of this machine.
    pub const fn process(&self) -> Option<(u32, u64)> {
        match self.place {
            Place::Process { pid, pid_start } => Some((pid, pid_start)),
            Place::Remote(_) => None,
        }
    }

    /// SHA-256 of the executable, as it was attested.
    pub fn code(&self) -> Option<Digest> {
        self.selectors.iter().find_map(|selector| match selector {
            Selector::Sha256(digest) => Some(*digest),
            _ => None,
        })
    }

    /// Whether `bailiwick run` started it: it stands for all processes of the launch, and ends with that.
    pub fn is_launched(&self) -> bool {
        let launched = |selector: &Selector| matches!(selector, Selector::Launched(_));
        self.selectors.iter().any(launched)
    }

    /// Whether it may act at `now`: it has not ended, nor has the time of a remote one run out.
    pub fn is_live(&self, now: Timestamp) -> bool {
        let lapsed = matches!(&self.place, Place::Remote(remote) if now >= remote.until);
        self.state == InstanceState::Live && !lapsed
    }
}

impl Place {
    /// How an instance there proved what it is.
    pub const fn attestor(&self) -> Attestor {
        match self {
            Self::Process { .. } => Attestor::Unix,
            Self::Remote(remote) => remote.attestor,
        }
    }

    /// Whether this is `other` at another moment of its life: only the end of a remote one moves.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Remote(one), Self::Remote(two)) => {
                one.attestor == two.attestor && one.subject == two.subject && one.run == two.run
            }
            _ => self == other,
        }
    }
}

/// Life of an instance. End states are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceState {
    /// Running, as far as the node knows.
    Live,
    /// Its process exited, or its time ran out.
    Ended,
}
