//! Trust domains and SPIFFE IDs (SPIFFE-ID §2): compared as bytes, never normalised, never folded.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::id::InstanceId;
use crate::name::{AgentName, NodeName};
use crate::text::text_form;

/// SPIFFE-ID §2.3: an ID has at most 2,048 bytes.
pub const MAX_BYTES: usize = 2_048;
/// SPIFFE-ID §2.1: a trust domain has at most 255 bytes.
const MAX_TRUST_DOMAIN_BYTES: usize = 255;

/// Why a text is no SPIFFE ID or trust domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSpiffeId {
    /// Over [`MAX_BYTES`].
    #[error("a SPIFFE ID has at most {MAX_BYTES} bytes")]
    TooLong,
    /// The scheme is not exactly `spiffe://`.
    #[error("a SPIFFE ID starts with spiffe:// in lower case")]
    Scheme,
    /// The trust domain is empty, too long, or has other characters (port, user info, upper case).
    #[error("a trust domain is 1 to 255 of a-z 0-9 . _ -")]
    TrustDomain,
    /// A path segment is empty, `.`, `..`, or has other characters.
    #[error("a path segment is one or more of a-z A-Z 0-9 . _ - and neither . nor ..")]
    Path,
    /// Well-formed, but not of the shape wanted here.
    #[error("not the SPIFFE ID of {0}")]
    OtherShape(&'static str),
}

/// The trust domain that one deployment serves.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The ID of the trust domain itself, as in the URI SAN of its CA.
    pub fn id(&self) -> SpiffeId {
        SpiffeId {
            text: format!("spiffe://{self}").into(),
            path_at: "spiffe://".len() + self.0.len(),
        }
    }

    /// `spiffe://<td>/agent/<name>/<instance>`.
    pub fn instance(&self, agent: &AgentName, instance: InstanceId) -> SpiffeId {
        self.below(&format!("/agent/{agent}/{instance}"))
    }

    /// `spiffe://<td>/agent/<name>`: an agent without instance, as in `sub` of tokens that no user stands behind.
    pub fn agent(&self, agent: &AgentName) -> SpiffeId {
        self.below(&format!("/agent/{agent}"))
    }

    /// `spiffe://<td>/node/<name>`.
    pub fn node(&self, node: &NodeName) -> SpiffeId {
        self.below(&format!("/node/{node}"))
    }

    fn below(&self, path: &str) -> SpiffeId {
        SpiffeId {
            text: format!("spiffe://{self}{path}").into(),
            path_at: "spiffe://".len() + self.0.len(),
        }
    }
}

impl FromStr for TrustDomain {
    type Err = BadSpiffeId;

    fn from_str(text: &str) -> Result<Self, BadSpiffeId> {
        let fits = (1..=MAX_TRUST_DOMAIN_BYTES).contains(&text.len())
            && text
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(BadSpiffeId::TrustDomain)
        }
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SPIFFE ID, kept as the exact text it was parsed from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    text: Arc<str>,
    path_at: usize,
}

impl SpiffeId {
    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> TrustDomain {
        TrustDomain(
            self.text
                .get("spiffe://".len()..self.path_at)
                .unwrap_or_default()
                .into(),
        )
    }

    /// The path with its leading slash; empty for a trust domain's own ID.
    pub fn path(&self) -> &str {
        self.text.get(self.path_at..).unwrap_or_default()
    }

    /// Agent, and the instance if one is named: who a delegation is for.
    pub fn as_party(&self) -> Result<(AgentName, Option<InstanceId>), BadSpiffeId> {
        let shape = || BadSpiffeId::OtherShape("an agent or one instance of it");
        let rest = self.path().strip_prefix("/agent/").ok_or_else(shape)?;
        match rest.split_once('/') {
            Some(_) => self
                .as_instance()
                .map(|(agent, instance)| (agent, Some(instance)))
                .map_err(|_| shape()),
            None => Ok((rest.parse().map_err(|_| shape())?, None)),
        }
    }

    /// Agent and instance, if this is the ID of one attested process.
    pub fn as_instance(&self) -> Result<(AgentName, InstanceId), BadSpiffeId> {
        let shape = BadSpiffeId::OtherShape("an agent instance");
        let rest = self
            .path()
            .strip_prefix("/agent/")
            .ok_or_else(|| shape.clone())?;
        let (agent, instance) = rest.split_once('/').ok_or_else(|| shape.clone())?;
        Ok((
            agent.parse().map_err(|_| shape.clone())?,
            instance.parse().map_err(|_| shape)?,
        ))
    }
}

impl FromStr for SpiffeId {
    type Err = BadSpiffeId;

    fn from_str(text: &str) -> Result<Self, BadSpiffeId> {
        if text.len() > MAX_BYTES {
            return Err(BadSpiffeId::TooLong);
        }
        let rest = text.strip_prefix("spiffe://").ok_or(BadSpiffeId::Scheme)?;
        let (domain, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        domain.parse::<TrustDomain>()?;
        let well_formed = |segment: &str| {
            !segment.is_empty()
                && segment != "."
                && segment != ".."
                && segment
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        if !path.split('/').skip(1).all(well_formed) {
            return Err(BadSpiffeId::Path);
        }
        Ok(Self {
            text: text.into(),
            path_at: "spiffe://".len() + domain.len(),
        })
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

text_form! { TrustDomain; SpiffeId; }

#[cfg(test)]
mod tests;
