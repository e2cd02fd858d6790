//! One request as it was received, brought into the form in which it is decided and sent.

use bailiwick_core::{Code, Digest, Problem};
use bailiwick_crypto::hash::sha256;
use bytes::Bytes;
use hyper::header::MAX_FORWARDS;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Version};
use serde_json::{Map, Value, json};

use super::Connector;
use super::heads::{self, MAX_FIELDS};
use super::path::{Path, query};
use super::rules::METHODS;

/// Longest target of a request, in bytes.
pub(crate) const MAX_TARGET: usize = 16 << 10;
/// A body that is longer is shown to people by its digest.
const SHOWN: usize = 64 << 10;

/// A request, as it would be sent but for its slot.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: Path,
    /// Without the slot; empty if there is none.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) digest: Digest,
}

/// Where a request goes, read from its head alone.
#[derive(Debug)]
pub(crate) struct Target {
    method: String,
    path: Path,
    query: String,
    headers: HeaderMap,
}

impl Target {
    /// Reads the head of a request for what is behind `/p/<connector>`.
    pub(crate) fn of(head: &Parts, raw: &str, connector: &Connector) -> Result<Self, Problem> {
        let bad = |what: &str| {
            let help = "send one plain HTTP/1.1 request for the path of the upstream";
            Problem::new(Code::EgressBadRequest, what.to_owned(), help)
        };
        if head.version != Version::HTTP_11 {
            return Err(bad("the request is not HTTP/1.1"));
        }
        if head.uri.scheme().is_some() || head.uri.authority().is_some() {
            return Err(bad("the request names a host in its first line"));
        }
        if !METHODS.contains(&head.method.as_str()) {
            return Err(bad("the method is not passed on"));
        }
        if head.headers.contains_key(MAX_FORWARDS) {
            return Err(bad("Max-Forwards is not passed on"));
        }
        let whole = head
            .uri
            .path_and_query()
            .map_or("", |target| target.as_str());
        if whole.len() > MAX_TARGET || head.headers.len() > MAX_FIELDS {
            let message = format!(
                "the target has more than {MAX_TARGET} bytes, or the head more than {MAX_FIELDS} fields"
            );
            return Err(Problem::new(Code::EgressTooLarge, message, ""));
        }
        let headers = heads::onward(&head.headers, &connector.slot);
        // What people and policy read, and what an approval is for, is what is sent, byte for byte.
        let unreadable = headers.iter().find(|(_, value)| value.to_str().is_err());
        if let Some((name, _)) = unreadable {
            return Err(bad(&format!(
                "the value of the header {name} is not visible ASCII"
            )));
        }
        let raw_query = head.uri.query().unwrap_or_default();
        let emptied = connector.slot.emptied(raw_query);
        Ok(Self {
            method: head.method.as_str().to_owned(),
            path: Path::normal(raw).map_err(|error| bad(&error.to_string()))?,
            query: query(&emptied).map_err(|error| bad(&error.to_string()))?,
            headers,
        })
    }

    /// Whether a rule of the connector allows it.
    pub(crate) fn allowed(&self, connector: &Connector) -> Result<(), Problem> {
        let rules = &connector.allow;
        if rules
            .iter()
            .any(|rule| rule.allows(&self.method, &self.path))
        {
            return Ok(());
        }
        let asked = format!("{} {}", self.method, self.path.as_str());
        Err(Problem::new(
            Code::EgressDenied,
            format!("no rule of connector {} allows {asked}", connector.name()),
            format!("an operator adds a line to its `allow`, such as: {asked}"),
        ))
    }

    /// With its body.
    pub(crate) fn with(self, body: Bytes) -> Asked {
        Asked {
            method: self.method,
            path: self.path,
            query: self.query,
            headers: self.headers,
            digest: sha256(&[&body]),
            body,
        }
    }

    /// In words, for the record of what was refused before there was a body.
    pub(crate) fn in_words(&self) -> String {
        json!({ "method": self.method, "path": self.path.as_str(), "query": self.query })
            .to_string()
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
    }
}

impl Asked {
    /// Bytes of the body.
    pub(crate) fn size(&self) -> u64 {
        u64::try_from(self.body.len()).unwrap_or(u64::MAX)
    }

    /// Everything that would be sent, for people and for the record: headers by name, the body as text if it is some, else by digest.
    pub(crate) fn in_words(&self, connector: &Connector) -> Value {
        let mut headers: Map<String, Value> = Map::new();
        for name in self.headers.keys() {
            let values = self.headers.get_all(name).iter();
            // Target::of took no others.
            let values = values.filter_map(|value| value.to_str().ok());
            let values = values.map(Value::from);
            headers.insert(name.as_str().to_owned(), values.collect());
        }
        let mut words = json!({
            "method": self.method,
            "upstream": connector.upstream.origin().ascii_serialization(),
            "path": self.path.as_str(),
            "query": self.query,
            "headers": headers,
            "size": self.size(),
            "body_sha256": self.digest,
        });
        let text = std::str::from_utf8(&self.body).ok();
        let text = text.filter(|text| !text.is_empty() && text.len() <= SHOWN);
        if let (Some(text), Some(words)) = (text, words.as_object_mut()) {
            words.insert("body".to_owned(), text.into());
        }
        words
    }
}

#[cfg(test)]
mod tests;
