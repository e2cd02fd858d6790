//! Selectors: facts about a process that attestation finds, and that a registration asks for.

mod registration;

use std::fmt;
use std::str::FromStr;

use crate::Digest;
use crate::id::JoinTokenId;
use crate::instance::Attestor;
use crate::name::AgentName;
use crate::text::text_form;

pub use registration::{BadRegistration, check_github, check_registration};

/// Longest value of a selector from outside, in bytes.
pub const MAX_VALUE: usize = 512;

/// One fact about a process, as an attestor found it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// Numeric user id, `unix:uid=1000`.
    Uid(u32),
    /// Numeric group id, `unix:gid=1000`.
    Gid(u32),
    /// Absolute path of the executable in the node's mount namespace, `unix:path=/usr/bin/agent`.
    Path(String),
    /// SHA-256 of the executable, `unix:sha256=<64 hex>`.
    Sha256(Digest),
    /// The agent that `bailiwick run` started the process as, `launcher:agent=coder`.
    Launched(AgentName),
    /// The agent that a join token was made for, `join:agent=coder`.
    JoinAgent(AgentName),
    /// The join token, `join:id=jtok_…`.
    JoinId(JoinTokenId),
    /// Issuer of an OIDC token, byte for byte, `oidc:iss=https://…`.
    OidcIssuer(String),
    /// Subject of an OIDC token, byte for byte, `oidc:sub=…`.
    OidcSubject(String),
    /// A claim of an OIDC token, found by its JSON pointer (RFC 6901), `oidc:/repository_id=1296269`. Numbers and truth values are
    /// compared as JSON writes them.
    OidcClaim {
        /// The pointer, which begins with a slash.
        pointer: String,
        /// The value.
        value: String,
    },
    /// SHA-256 of the certificate of the configured authority that a chain ends in, `x509pop:ca=<64 hex>`.
    PopAuthority(Digest),
    /// A name of a certificate, `x509pop:san=dns:build.example` or `x509pop:san=uri:…`.
    PopName(String),
}

/// Text that is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a selector; write unix:uid=N, unix:gid=N, unix:path=/ABSOLUTE, unix:sha256=HEX, launcher:agent=NAME, join:agent=NAME, join:id=ID, \
     oidc:iss=URL, oidc:sub=TEXT, oidc:/POINTER=VALUE, x509pop:ca=HEX or x509pop:san=dns:NAME"
)]
pub struct BadSelector(String);

impl FromStr for Selector {
    type Err = BadSelector;

    fn from_str(text: &str) -> Result<Self, BadSelector> {
        let bad = || BadSelector(text.chars().take(128).collect());
        let (kind, rest) = text.split_once(':').ok_or_else(bad)?;
        let (key, value) = rest.split_once('=').ok_or_else(bad)?;
        let parsed = match kind {
            "unix" => unix(key, value),
            "launcher" if key == "agent" => value.parse().ok().map(Self::Launched),
            "join" => join(key, value),
            "oidc" => oidc(key, value),
            "x509pop" => x509pop(key, value),
            _ => None,
        };
        parsed.ok_or_else(bad)
    }
}

fn unix(key: &str, value: &str) -> Option<Selector> {
    match key {
        "uid" => value.parse().ok().map(Selector::Uid),
        "gid" => value.parse().ok().map(Selector::Gid),
        "path" if value.starts_with('/') && !value.contains('\0') => {
            Some(Selector::Path(value.to_owned()))
        }
        "sha256" => value.parse().ok().map(Selector::Sha256),
        _ => None,
    }
}

fn join(key: &str, value: &str) -> Option<Selector> {
    match key {
        "agent" => value.parse().ok().map(Selector::JoinAgent),
        "id" => value.parse().ok().map(Selector::JoinId),
        _ => None,
    }
}

fn oidc(key: &str, value: &str) -> Option<Selector> {
    let value = bounded(value)?;
    match key {
        "iss" => Some(Selector::OidcIssuer(value)),
        "sub" => Some(Selector::OidcSubject(value)),
        _ if key.starts_with('/') && key.len() <= MAX_VALUE => Some(Selector::OidcClaim {
            pointer: key.to_owned(),
            value,
        }),
        _ => None,
    }
}

fn x509pop(key: &str, value: &str) -> Option<Selector> {
    match key {
        "ca" => value.parse().ok().map(Selector::PopAuthority),
        "san" => {
            let value = bounded(value)?;
            let (kind, name) = value.split_once(':')?;
            let known = matches!(kind, "dns" | "uri") && !name.is_empty();
            known.then_some(Selector::PopName(value))
        }
        _ => None,
    }
}

fn bounded(value: &str) -> Option<String> {
    let fits = (1..=MAX_VALUE).contains(&value.len()) && !value.contains('\0');
    fits.then(|| value.to_owned())
}

impl Selector {
    /// The attestor that finds it.
    pub const fn attestor(&self) -> Attestor {
        match self {
            Self::Uid(_) | Self::Gid(_) | Self::Path(_) | Self::Sha256(_) | Self::Launched(_) => {
                Attestor::Unix
            }
            Self::JoinAgent(_) | Self::JoinId(_) => Attestor::JoinToken,
            Self::OidcIssuer(_) | Self::OidcSubject(_) | Self::OidcClaim { .. } => Attestor::Oidc,
            Self::PopAuthority(_) | Self::PopName(_) => Attestor::X509pop,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => write!(f, "unix:uid={uid}"),
            Self::Gid(gid) => write!(f, "unix:gid={gid}"),
            Self::Path(path) => write!(f, "unix:path={path}"),
            Self::Sha256(digest) => write!(f, "unix:sha256={}", digest.to_hex()),
            Self::Launched(agent) => write!(f, "launcher:agent={agent}"),
            Self::JoinAgent(agent) => write!(f, "join:agent={agent}"),
            Self::JoinId(id) => write!(f, "join:id={id}"),
            Self::OidcIssuer(issuer) => write!(f, "oidc:iss={issuer}"),
            Self::OidcSubject(subject) => write!(f, "oidc:sub={subject}"),
            Self::OidcClaim { pointer, value } => write!(f, "oidc:{pointer}={value}"),
            Self::PopAuthority(digest) => write!(f, "x509pop:ca={}", digest.to_hex()),
            Self::PopName(name) => write!(f, "x509pop:san={name}"),
        }
    }
}

text_form! { Selector; }

#[cfg(test)]
mod tests;
