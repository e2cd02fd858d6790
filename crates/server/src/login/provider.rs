//! What is known of the OpenID provider: its metadata (OpenID Connect Discovery §4) and its keys, fetched when they are needed, bounded in
//! size and time, and not believed for long.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::{Clock, Code, Fault, Problem, Secret};
use bailiwick_crypto::token::{KeySet, LoginKeys};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::refused;
use crate::outbound::{Answer, Bounds, DOCUMENT, FetchError, Outbound};

/// What an answer to a code may cost: the provider may have to ask others.
const TOKEN: Bounds = Bounds {
    within: Duration::from_secs(10),
    bytes: 256 << 10,
};
/// Metadata and keys are asked for again after this time: a key that the provider took back signs nobody in for longer.
const BELIEVED: Duration = Duration::from_mins(5);
/// Keys are asked for at most this often because a token names one that is not known.
const PAUSE: Duration = Duration::from_secs(30);

/// The provider.
pub(super) struct Provider {
    issuer: String,
    outbound: Outbound,
    clock: Arc<dyn Clock>,
    metadata: Mutex<Option<Kept<Arc<Metadata>>>>,
    keys: Mutex<Option<Kept<KeySet<LoginKeys>>>>,
}

/// Whether what was fetched before will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stale {
    /// If it is not too old.
    May,
    /// No: a token names a key that is not in it.
    MayNot,
}

/// What the metadata says and we use.
pub(super) struct Metadata {
    pub(super) authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    /// Whether its answers say that they are its own (RFC 9207 §3).
    pub(super) names_itself: bool,
    /// Whether it takes the secret in the form alone.
    posted_secret: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// An error of the token endpoint (RFC 6749 §5.2).
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

struct Kept<T> {
    at: Duration,
    what: T,
}

impl Provider {
    pub(super) fn new(issuer: &str, outbound: Outbound, clock: Arc<dyn Clock>) -> Self {
        Self {
            issuer: issuer.to_owned(),
            outbound,
            clock,
            metadata: Mutex::default(),
            keys: Mutex::default(),
        }
    }

    /// Its metadata.
    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, Problem> {
        let mut kept = self.metadata.lock().await;
        if let Some(known) = kept.as_ref().filter(|known| self.age(known.at) < BELIEVED) {
            return Ok(Arc::clone(&known.what));
        }
        let base = self.issuer.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let answer = self.outbound.document(&url, DOCUMENT).await;
        let document: Document =
            serde_json::from_slice(&answer.map_err(|error| unreachable(&error))?.body)
                .map_err(|error| unusable(&format!("its metadata cannot be read: {error}")))?;
        let metadata = Arc::new(document.checked(&self.issuer)?);
        *kept = Some(Kept {
            at: self.clock.monotonic(),
            what: Arc::clone(&metadata),
        });
        Ok(metadata)
    }

    /// Its keys.
    pub(super) async fn keys(&self, stale: Stale) -> Result<KeySet<LoginKeys>, Problem> {
        let metadata = self.metadata().await?;
        let mut kept = self.keys.lock().await;
        let enough = match stale {
            Stale::May => BELIEVED,
            Stale::MayNot => PAUSE,
        };
        if let Some(known) = kept.as_ref().filter(|known| self.age(known.at) < enough) {
            return Ok(known.what.clone());
        }
        let url = metadata.jwks_uri.as_str();
        let answer = self.outbound.document(url, DOCUMENT).await;
        let keys = KeySet::from_foreign_jwks(&answer.map_err(|error| unreachable(&error))?.body)
            .map_err(|error| unusable(&format!("its keys: {}", error.problem().message)))?;
        *kept = Some(Kept {
            at: self.clock.monotonic(),
            what: keys.clone(),
        });
        Ok(keys)
    }

    /// What its token endpoint answers to a form of this client's.
    pub(super) async fn token(
        &self,
        metadata: &Metadata,
        (id, secret): (&str, &Secret<String>),
        form: &[(&str, &str)],
    ) -> Result<Vec<u8>, Problem> {
        let mut pairs = form.to_vec();
        let mut authorization = None;
        if metadata.posted_secret {
            pairs.extend([("client_id", id), ("client_secret", secret.expose())]);
        } else {
            // RFC 6749 §2.3.1: both are encoded as in a form first.
            let pair = format!("{}:{}", encoded(id), encoded(secret.expose()));
            authorization = Some(format!("Basic {}", STANDARD.encode(pair)));
        }
        let url = metadata.token_endpoint.as_str();
        let answer = self
            .outbound
            .form(url, form_of(&pairs), authorization, TOKEN);
        given(answer.await.map_err(|error| unreachable(&error))?)
    }

    fn age(&self, at: Duration) -> Duration {
        self.clock.monotonic().saturating_sub(at)
    }
}

impl Document {
    fn checked(self, issuer: &str) -> Result<Metadata, Problem> {
        // OpenID Connect Discovery §4.3: identical, or it is another provider's document.
        if self.issuer != issuer {
            return Err(unusable("its metadata is another issuer's"));
        }
        // In the clear only where the issuer is, which the configuration allows on loopback alone.
        let plain = issuer.starts_with("http://");
        let fit = |url: &str| {
            let url = Url::parse(url).ok();
            url.filter(|url| url.scheme() == "https" || (plain && url.scheme() == "http"))
                .ok_or_else(|| unusable("an endpoint in its metadata is not https"))
        };
        let takes = |method: &str| {
            let methods = &self.token_endpoint_auth_methods_supported;
            methods.iter().any(|known| known == method)
        };
        Ok(Metadata {
            posted_secret: takes("client_secret_post") && !takes("client_secret_basic"),
            authorization_endpoint: fit(&self.authorization_endpoint)?,
            token_endpoint: fit(&self.token_endpoint)?,
            jwks_uri: fit(&self.jwks_uri)?,
            names_itself: self.authorization_response_iss_parameter_supported,
        })
    }
}

/// Pairs as a form has them.
pub(crate) fn form_of(pairs: &[(&str, &str)]) -> String {
    let mut url = Url::parse("form:").ok();
    if let Some(url) = &mut url {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    url.and_then(|url| url.query().map(str::to_owned))
        .unwrap_or_default()
}

fn encoded(text: &str) -> String {
    let pair = form_of(&[("", text)]);
    pair.trim_start_matches('=').to_owned()
}

/// What a code was answered with. A code that is none is the answer of whoever brought it, and no failure of the provider.
fn given(answer: Answer) -> Result<Vec<u8>, Problem> {
    if answer.status == StatusCode::OK {
        return Ok(answer.body);
    }
    let told = serde_json::from_slice::<Refusal>(&answer.body).ok();
    // RFC 6749 §5.2: visible ASCII, and short.
    let error = told
        .map(|told| told.error)
        .filter(|error| error.len() <= 64 && error.bytes().all(|byte| byte.is_ascii_graphic()));
    match (answer.status, error.as_deref()) {
        (status, Some(error @ ("invalid_grant" | "invalid_request" | "access_denied")))
            if status.is_client_error() =>
        {
            Err(refused(&format!("the provider answered {error}")))
        }
        (status, Some(error)) => Err(unusable(&format!(
            "it answered {} and {error}",
            status.as_u16()
        ))),
        (status, None) => Err(unusable(&format!("it answered {}", status.as_u16()))),
    }
}

fn unreachable(error: &FetchError) -> Problem {
    let mut why = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        why = format!("{why}: {error}");
        cause = error.source();
    }
    problem(&format!("the provider cannot be reached: {why}"))
}

fn unusable(why: &str) -> Problem {
    problem(&format!("the provider cannot be used: {why}"))
}

fn problem(message: &str) -> Problem {
    let help = "try again in a moment; if it stays so, an operator looks at [oauth] login";
    Problem::new(Code::LoginUnavailable, message, help)
}

#[cfg(test)]
mod tests;
