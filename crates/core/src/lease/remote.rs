//! What a lease is called elsewhere. The name is fixed before anything is made, so that what is found there always leads back to its
//! lease, and tells its age even without a row (05, remote name).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{Kind, LeaseId, LeaseKind};
use crate::name::BackendName;
use crate::{Rng, Timestamp};

/// Characters of a deployment.
const DEPLOYMENT_LEN: usize = 8;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Which Bailiwick made something elsewhere: 8 characters of Crockford base32, drawn once per store. Two deployments that share a
/// backend leave each other's accounts alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Deployment(String);

/// Text that is no deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a deployment has 8 characters of 0-9 a-z without i l o u")]
pub struct BadDeployment;

impl Deployment {
    /// Draws one: 40 random bits.
    pub fn draw(rng: &dyn Rng) -> Self {
        let mut random = [0_u8; DEPLOYMENT_LEN];
        rng.fill(&mut random);
        let letter = |byte: &u8| {
            ALPHABET
                .get(usize::from(byte & 31))
                .copied()
                .unwrap_or(b'0')
        };
        Self(random.iter().map(|byte| char::from(letter(byte))).collect())
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How names of its leases begin.
    pub fn prefix(&self) -> String {
        format!("bw-{}-", self.0)
    }

    /// What the account of a lease is called: `bw-<deployment>-<lease>`, 38 characters that are legal in every backend.
    pub fn name(&self, lease: LeaseId) -> RemoteRef {
        RemoteRef(format!("{}{}", self.prefix(), lease.suffix()))
    }

    /// The lease that a name leads to, if it is one of this deployment's.
    pub fn lease(&self, name: &str) -> Option<LeaseId> {
        let suffix = name.strip_prefix(&self.prefix())?;
        format!("{}_{suffix}", <LeaseKind as Kind>::PREFIX)
            .parse()
            .ok()
    }

    /// What the inert account is called that tells how far the store had got (05, clone guard).
    pub fn marker(&self, generation: u64) -> String {
        format!("{}gen-{generation}", self.prefix())
    }

    /// The generation that a marker's name tells.
    pub fn generation(&self, name: &str) -> Option<u64> {
        let digits = name.strip_prefix(&self.prefix())?.strip_prefix("gen-")?;
        digits.parse().ok()
    }
}

impl FromStr for Deployment {
    type Err = BadDeployment;

    fn from_str(text: &str) -> Result<Self, BadDeployment> {
        let fits = text.len() == DEPLOYMENT_LEN && text.bytes().all(|b| ALPHABET.contains(&b));
        fits.then(|| Self(text.to_owned())).ok_or(BadDeployment)
    }
}

impl fmt::Display for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a lease's account elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RemoteRef(String);

impl RemoteRef {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RemoteRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RemoteRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RemoteRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let body = text.strip_prefix("bw-").unwrap_or_default();
        let fits = body.split_once('-').is_some_and(|(deployment, lease)| {
            deployment.parse::<Deployment>().is_ok()
                && format!("{}_{lease}", <LeaseKind as Kind>::PREFIX)
                    .parse::<LeaseId>()
                    .is_ok()
        });
        if fits {
            return Ok(Self(text));
        }
        let message = "a remote name is bw-<deployment>-<lease>";
        Err(serde::de::Error::custom(message))
    }
}

/// What stands elsewhere for a lease. Nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// Where.
    pub backend: BackendName,
    /// What it is called there.
    pub name: RemoteRef,
    /// What the backend itself numbers it by, and its sessions with it (PostgreSQL: the role's OID).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u64>,
    /// When it ends there by itself; a few seconds after the lease.
    pub not_after: Timestamp,
}

/// What a backend said of an account that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// That there is no such account.
    pub absent: bool,
    /// How many sessions it still had.
    pub sessions: u64,
    /// When it said so, by our clock.
    pub verified_at: Timestamp,
}
