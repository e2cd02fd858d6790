//! The place in a request where a credential goes: a header, basic authentication or a parameter of the query.

use std::str::FromStr;

use bailiwick_core::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};

use super::heads::is_ours;
use super::path::{escaped, name_of};

/// What stands for the secret in a format.
const SECRET: &str = "{secret}";
/// Longest slot, in bytes.
const MAX: usize = 256;

/// A slot, written `header NAME: FORMAT`, `basic USER:PASSWORD` or `query NAME`. Formats have `{secret}` once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// A header with this value.
    Header {
        /// Its name.
        name: HeaderName,
        /// What stands before the secret.
        before: String,
        /// What stands behind it.
        behind: String,
    },
    /// `Authorization: Basic` (RFC 7617).
    Basic {
        /// What stands before the secret in `user:password`.
        before: String,
        /// What stands behind it.
        behind: String,
    },
    /// A parameter of the query.
    Query {
        /// Its name.
        name: String,
    },
}

/// A text that is no slot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{written}` is no slot: {why}")]
pub struct BadSlot {
    written: String,
    why: &'static str,
}

/// A slot with its secret.
pub enum Filled {
    /// A header.
    Header(HeaderName, HeaderValue),
    /// One more parameter of the query, escaped.
    Query(Secret<String>),
}

impl Slot {
    /// With the secret in it; none if that is no header value.
    pub fn fill(&self, secret: &Secret<String>) -> Option<Filled> {
        let (name, value) = match self {
            Self::Query { name } => {
                let value = format!("{}={}", escaped(name), escaped(secret.expose()));
                return Some(Filled::Query(Secret::new(value)));
            }
            Self::Header {
                name,
                before,
                behind,
            } => {
                let value = Secret::new(format!("{before}{}{behind}", secret.expose()));
                (name.clone(), value)
            }
            Self::Basic { before, behind } => {
                let pair = Secret::new(format!("{before}{}{behind}", secret.expose()));
                let value = format!("Basic {}", STANDARD.encode(pair.expose()));
                (AUTHORIZATION, Secret::new(value))
            }
        };
        let mut value = HeaderValue::from_str(value.expose()).ok()?;
        value.set_sensitive(true);
        Some(Filled::Header(name, value))
    }

    /// What a caller put into it.
    pub fn shown(&self, headers: &HeaderMap, query: &str) -> Option<String> {
        match self {
            Self::Header {
                name,
                before,
                behind,
            } => {
                let value = headers.get(name)?.to_str().ok()?;
                let inner = value.strip_prefix(before)?.strip_suffix(behind)?;
                Some(inner.to_owned())
            }
            Self::Basic { before, behind } => {
                let pair = basic(headers.get(AUTHORIZATION)?)?;
                let inner = pair.strip_prefix(before)?.strip_suffix(behind)?;
                Some(inner.to_owned())
            }
            Self::Query { name } => {
                let mut pairs = query.split('&');
                let pair = pairs.find(|pair| name_of(pair) == name.as_bytes())?;
                Some(pair.split_once('=')?.1.to_owned())
            }
        }
    }

    /// A query without what the caller put into the slot.
    pub fn emptied(&self, query: &str) -> String {
        let Self::Query { name } = self else {
            return query.to_owned();
        };
        let others = query
            .split('&')
            .filter(|pair| name_of(pair) != name.as_bytes());
        others.collect::<Vec<_>>().join("&")
    }

    /// The header that the caller must not fill itself.
    pub fn header(&self) -> Option<&HeaderName> {
        match self {
            Self::Header { name, .. } => Some(name),
            Self::Basic { .. } => Some(&AUTHORIZATION),
            Self::Query { .. } => None,
        }
    }
}

/// User and password of basic authentication.
pub fn basic(value: &HeaderValue) -> Option<String> {
    let (scheme, pair) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    String::from_utf8(STANDARD.decode(pair.trim()).ok()?).ok()
}

impl FromStr for Slot {
    type Err = BadSlot;

    fn from_str(text: &str) -> Result<Self, BadSlot> {
        let bad = |why| BadSlot {
            written: text.chars().take(64).collect(),
            why,
        };
        if text.len() > MAX || !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(bad("it is a line of visible ASCII of at most 256 bytes"));
        }
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        let halves = |format: &str| {
            let (before, behind) = format.split_once(SECRET)?;
            (!behind.contains(SECRET)).then(|| (before.to_owned(), behind.to_owned()))
        };
        let once = || bad("its format has {secret} once");
        match kind {
            "header" => {
                let (name, format) = rest
                    .split_once(':')
                    .ok_or_else(|| bad("write it as: header NAME: FORMAT"))?;
                let name: HeaderName = name
                    .trim()
                    .parse()
                    .map_err(|_| bad("that is no name of a header"))?;
                if is_ours(&name) {
                    return Err(bad("this header belongs to the connection"));
                }
                let (before, behind) = halves(format.trim()).ok_or_else(once)?;
                Ok(Self::Header {
                    name,
                    before,
                    behind,
                })
            }
            "basic" => {
                let (before, behind) = halves(rest.trim()).ok_or_else(once)?;
                if !before.contains(':') && !behind.contains(':') {
                    return Err(bad("write it as: basic USER:{secret} or basic {secret}:"));
                }
                Ok(Self::Basic { before, behind })
            }
            "query" if !rest.trim().is_empty() => Ok(Self::Query {
                name: rest.trim().to_owned(),
            }),
            _ => Err(bad(
                "write header NAME: FORMAT, basic USER:PASSWORD or query NAME",
            )),
        }
    }
}

#[cfg(test)]
mod tests;
