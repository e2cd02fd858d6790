//! Fetching an issuer's keys from where the operator said that they are, or where the issuer itself does, if that is of its own origin.

use bailiwick_core::json::{self, Limits};
use bailiwick_crypto::token::{KeySet, KeySetError, OutsideKeys};
use reqwest::Certificate;
use serde_json::Value;

use crate::config::IssuerAt;
use crate::outbound::{DOCUMENT, FetchError, Outbound};

/// Bounds of a discovery document.
const DISCOVERY: Limits = Limits {
    bytes: DOCUMENT.bytes,
    depth: 8,
    members: 4_096,
    caseless: false,
};

/// Where the keys of one issuer are.
pub(super) struct Place {
    issuer: String,
    jwks_uri: Option<String>,
    outbound: Outbound,
}

/// The file of an issuer's authorities cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("ca_file of issuer {name} cannot be used: {why}")]
pub struct BadAuthorities {
    name: String,
    why: String,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoKeys {
    /// A document cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Not a discovery document of this issuer.
    #[error("{url} is no discovery document of this issuer: {why}")]
    Discovery {
        /// What was asked for.
        url: String,
        /// Why.
        why: &'static str,
    },
    /// Not a key set.
    #[error("{url} is no key set")]
    Keys {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        source: KeySetError,
    },
}

impl Place {
    pub(super) fn of(at: &IssuerAt) -> Result<Self, BadAuthorities> {
        let broken = |why: String| BadAuthorities {
            name: at.name.clone(),
            why,
        };
        let mut authorities = Vec::new();
        if let Some(file) = &at.ca_file {
            let pem = std::fs::read(file).map_err(|error| broken(error.to_string()))?;
            authorities =
                Certificate::from_pem_bundle(&pem).map_err(|error| broken(error.to_string()))?;
            if authorities.is_empty() {
                return Err(broken("it has no certificate".to_owned()));
            }
        }
        let named = [Some(&at.url), at.jwks_uri.as_ref()];
        let outbound = Outbound::new(
            named.into_iter().flatten().map(String::as_str),
            &authorities,
        );
        Ok(Self {
            issuer: at.url.clone(),
            jwks_uri: at.jwks_uri.clone(),
            outbound: outbound.map_err(|error| broken(error.to_string()))?,
        })
    }

    /// Its keys as they are now.
    pub(super) async fn keys(&self) -> Result<KeySet<OutsideKeys>, NoKeys> {
        let url = match &self.jwks_uri {
            Some(url) => url.clone(),
            None => self.discovered().await?,
        };
        let document = self.outbound.document(&url, DOCUMENT).await?.body;
        KeySet::of_outside_issuer(&document).map_err(|source| NoKeys::Keys { url, source })
    }

    /// Where the issuer says that its keys are (OpenID Connect Discovery §4.3).
    async fn discovered(&self) -> Result<String, NoKeys> {
        let base = self.issuer.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let document = self.outbound.document(&url, DOCUMENT).await?.body;
        let wrong = |why| NoKeys::Discovery {
            url: url.clone(),
            why,
        };
        json::check(&document, &DISCOVERY)
            .map_err(|_| wrong("it is not JSON that has one reading"))?;
        let document: Value = serde_json::from_slice(&document)
            .map_err(|_| wrong("it is not JSON that has one reading"))?;
        if document.get("issuer").and_then(Value::as_str) != Some(self.issuer.as_str()) {
            return Err(wrong("its `issuer` is another"));
        }
        let keys = document.get("jwks_uri").and_then(Value::as_str);
        let keys = keys.ok_or_else(|| wrong("it has no `jwks_uri`"))?;
        if origin(keys) != origin(&self.issuer) {
            return Err(wrong(
                "its `jwks_uri` is of another origin; name it in the configuration if that is right",
            ));
        }
        Ok(keys.to_owned())
    }
}

/// Scheme, host and port, as written.
fn origin(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    Some((scheme, rest.get(..end)?))
}
