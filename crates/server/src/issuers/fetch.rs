//! Fetching an issuer's keys: https, or http on loopback; no redirect, no proxy, bounds on time and size; and no address that only the
//! answer of somebody else names.

use std::time::Duration;

use bailiwick_core::json::{self, Limits};
use bailiwick_crypto::token::{KeySet, KeySetError, OutsideKeys};
use reqwest::{Certificate, Client, StatusCode};
use serde_json::Value;

use crate::config::IssuerAt;

/// One document is there within this time, or not at all.
const WITHIN: Duration = Duration::from_secs(5);
/// Longest document read, in bytes.
const MAX_DOCUMENT: usize = 256 << 10;
/// Bounds of a discovery document.
const DISCOVERY: Limits = Limits {
    bytes: MAX_DOCUMENT,
    depth: 8,
    members: 4_096,
    caseless: false,
};

/// Where the keys of one issuer are.
pub(super) struct Place {
    issuer: String,
    jwks_uri: Option<String>,
    client: Client,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The file of authorities cannot be used.
    #[error("ca_file of issuer {name} cannot be used: {why}")]
    Authorities {
        /// The issuer.
        name: String,
        /// Why.
        why: String,
    },
    /// No answer, or one that broke off.
    #[error("{url} does not answer")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// Another status than 200.
    #[error("{url} answers with HTTP status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: StatusCode,
    },
    /// Over [`MAX_DOCUMENT`].
    #[error("{0} is over {MAX_DOCUMENT} bytes")]
    TooLong(String),
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
    pub(super) fn of(at: &IssuerAt) -> Result<Self, FetchError> {
        let broken = |why: String| FetchError::Authorities {
            name: at.name.clone(),
            why,
        };
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(WITHIN);
        if let Some(file) = &at.ca_file {
            let pem = std::fs::read(file).map_err(|error| broken(error.to_string()))?;
            let authorities =
                Certificate::from_pem_bundle(&pem).map_err(|error| broken(error.to_string()))?;
            if authorities.is_empty() {
                return Err(broken("it has no certificate".to_owned()));
            }
            builder = builder.tls_certs_only(authorities);
        }
        Ok(Self {
            issuer: at.url.clone(),
            jwks_uri: at.jwks_uri.clone(),
            client: builder.build().map_err(|error| broken(error.to_string()))?,
        })
    }

    /// Its keys as they are now.
    pub(super) async fn keys(&self) -> Result<KeySet<OutsideKeys>, FetchError> {
        let url = match &self.jwks_uri {
            Some(url) => url.clone(),
            None => self.discovered().await?,
        };
        let document = self.get(&url).await?;
        KeySet::of_outside_issuer(&document).map_err(|source| FetchError::Keys { url, source })
    }

    /// Where the issuer says that its keys are (OpenID Connect Discovery §4.3).
    async fn discovered(&self) -> Result<String, FetchError> {
        let base = self.issuer.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let document = self.get(&url).await?;
        let wrong = |why| FetchError::Discovery {
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

    async fn get(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let unreachable = |source| FetchError::Unreachable {
            url: url.to_owned(),
            source,
        };
        let mut response = self.client.get(url).send().await.map_err(unreachable)?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(FetchError::Status {
                url: url.to_owned(),
                status,
            });
        }
        let mut document = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if document.len() + chunk.len() > MAX_DOCUMENT {
                return Err(FetchError::TooLong(url.to_owned()));
            }
            document.extend_from_slice(&chunk);
        }
        Ok(document)
    }
}

/// Scheme, host and port, as written.
fn origin(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    Some((scheme, rest.get(..end)?))
}
