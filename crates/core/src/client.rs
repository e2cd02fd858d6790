//! OAuth clients that are not ours (an IDE, a desktop assistant): who they are, which agent they act as, where their users are sent back
//! to (RFC 6749 §2, §3.1.2; RFC 8252 §7; draft-ietf-oauth-client-id-metadata-document-02).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::name::{AgentName, ServerName};
use crate::text::text_form;

/// Redirect URIs of one client at most.
pub const MAX_REDIRECT_URIS: usize = 16;
/// Bytes of a redirect URI at most.
pub const MAX_REDIRECT_URI: usize = 512;
/// Bytes of a client id at most.
pub const MAX_CLIENT_ID: usize = 256;

/// A client. It shares no secret with anybody: what it gets is bound to its key, and to its user's consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuthClient {
    /// Its `client_id`.
    pub id: ClientId,
    /// The agent that it acts as: its owner answers, its ceiling bounds.
    pub agent: AgentName,
    /// Where users may be sent back to: 1 to [`MAX_REDIRECT_URIS`].
    pub redirect_uris: Vec<RedirectUri>,
    /// The tool server it wants if its request names no `resource`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_server: Option<ServerName>,
    /// What it calls itself, if it was not registered and its `client_id` is the URL of a document that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The public keys that it proves itself with (`private_key_jwt`), as a JWKS document; without any its `client_id` is all that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<serde_json::Value>,
    /// When it was registered, or consented to first.
    pub created_at: Timestamp,
}

impl OAuthClient {
    /// Whether its users may be sent to `uri`.
    pub fn redirects_to(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|known| known.admits(uri))
    }
}

/// A `client_id`: a registered name, or the URL of the document in which a client tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(String);

impl ClientId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL, if it is one.
    pub fn url(&self) -> Option<&str> {
        Some(self.as_str()).filter(|text| text.contains(':'))
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ClientId {
    type Err = BadClient;

    fn from_str(text: &str) -> Result<Self, BadClient> {
        if is_name(text) || is_document(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadClient::Id)
        }
    }
}

/// Where users are sent back to: `https`, `http` on loopback, or a private-use scheme with a dot in it (RFC 8252 §7.1). Compared as bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RedirectUri(String);

impl RedirectUri {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a request that names `uri` means this one: the same bytes, but for the port of a loopback address (RFC 8252 §7.3), which an
    /// app learns when it starts to listen. `localhost` is a name, and names have no such freedom.
    pub fn admits(&self, uri: &str) -> bool {
        if self.0 == uri {
            return true;
        }
        match (Loopback::of(&self.0), Loopback::of(uri)) {
            (Some(own), Some(asked)) => own == asked && Self::from_str(uri).is_ok(),
            _ => false,
        }
    }

    /// Scheme and host with port, as pages show it and as sources of a content security policy have it; of a private-use scheme, the scheme.
    pub fn origin(&self) -> &str {
        origin_of(&self.0)
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RedirectUri {
    type Err = BadClient;

    fn from_str(text: &str) -> Result<Self, BadClient> {
        if text.len() > MAX_REDIRECT_URI || !text.bytes().all(is_plain) {
            return Err(BadClient::Redirect);
        }
        let fits = if let Some(rest) = text.strip_prefix("https://") {
            is_authority(authority_of(rest))
        } else if let Some(rest) = text.strip_prefix("http://") {
            let authority = authority_of(rest);
            Loopback::of(text).is_some()
                || authority == "localhost"
                || authority.strip_prefix("localhost:").is_some_and(is_port)
        } else {
            text.split_once(':')
                .is_some_and(|(scheme, rest)| is_private_scheme(scheme) && !rest.is_empty())
        };
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadClient::Redirect)
        }
    }
}

/// Text that is no client id or redirect URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadClient {
    /// No client id.
    #[error(
        "a client id is 1 to 63 of a-z 0-9 -, not starting or ending with -, or the https URL of the client's document with a path, \
         without user, fragment, dot segments; at most {MAX_CLIENT_ID} bytes"
    )]
    Id,
    /// No redirect URI.
    #[error(
        "a redirect URI is https://…, http:// on 127.0.0.1, [::1] or localhost, or has a private scheme with a dot such as \
         com.example.app:/…; at most {MAX_REDIRECT_URI} bytes, without user, fragment or blanks"
    )]
    Redirect,
}

text_form! { ClientId, via as_str; RedirectUri, via as_str; }

/// `http` on a loopback address, without its port.
#[derive(PartialEq, Eq)]
struct Loopback<'a> {
    host: &'static str,
    rest: &'a str,
}

impl<'a> Loopback<'a> {
    fn of(uri: &'a str) -> Option<Self> {
        let rest = uri.strip_prefix("http://")?;
        [
            Ipv4Addr::LOCALHOST.to_string(),
            format!("[{}]", Ipv6Addr::LOCALHOST),
        ]
        .iter()
        .zip(["127.0.0.1", "[::1]"])
        .find_map(|(text, host)| {
            let rest = rest.strip_prefix(text.as_str())?;
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (port, rest) = rest.split_at_checked(end)?;
            (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
                .then_some(Self { host, rest })
        })
    }
}

/// Scheme and authority of a URI, or its scheme with the colon.
pub fn origin_of(uri: &str) -> &str {
    let length = match uri.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => scheme.len() + 3 + authority_of(rest).len(),
        _ => uri.find(':').map_or(uri.len(), |colon| colon + 1),
    };
    uri.get(..length).unwrap_or(uri)
}

/// What no URI needs and pages or headers could take for something else is no part of one.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !br#"#\"<>^`{|}'"#.contains(&byte)
}

/// The URL of a client's document (draft-ietf-oauth-client-id-metadata-document-02 §3): `https`, a path, no user, fragment or dot segment.
/// `http` on loopback is for tests, and is fetched only where the operator names it.
fn is_document(text: &str) -> bool {
    let rest = match text.split_once("://") {
        Some(("https", rest)) if is_authority(authority_of(rest)) => rest,
        Some(("http", rest)) if Loopback::of(text).is_some() => rest,
        _ => return false,
    };
    let path = rest.get(authority_of(rest).len()..).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let dots = |segment: &str| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        segment == "." || segment == ".."
    };
    text.len() <= MAX_CLIENT_ID
        && text.bytes().all(is_plain)
        && path.starts_with('/')
        && !path.split('/').any(dots)
}

fn authority_of(rest: &str) -> &str {
    rest.split(['/', '?']).next().unwrap_or_default()
}

fn is_authority(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        Some(_) => return false,
        None => authority,
    };
    !host.is_empty()
        && !host.starts_with(['.', '-'])
        && host
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte))
}

fn is_port(port: &str) -> bool {
    !port.starts_with('0')
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok()
}

/// RFC 3986 §3.1 in lower case, with the dot of a reversed domain name: nobody's `javascript:`, `data:` or `file:`.
fn is_private_scheme(scheme: &str) -> bool {
    scheme.contains('.')
        && scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte)
        })
}

fn is_name(text: &str) -> bool {
    text.parse::<AgentName>().is_ok()
}

#[cfg(test)]
mod tests;
