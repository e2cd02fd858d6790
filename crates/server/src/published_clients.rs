//! Clients that nobody registered and that publish what they are at the URL which is their `client_id`
//! (draft-ietf-oauth-client-id-metadata-document-02, MCP authorization 2026-07-28): whose are let in, and what their documents have to say.
//! What a document says is the client's own word; what is sure is the host that it came from.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bailiwick_core::client::{ClientId, MAX_REDIRECT_URIS, OAuthClient};
use bailiwick_core::json::{self, Limits};
use bailiwick_core::name::AgentName;
use bailiwick_core::{Clock, Code, Digest, Problem};
use bailiwick_crypto::hash::sha256;
use reqwest::Url;
use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::node::StartError;
use crate::outbound::{Answer, Bounds, FetchError, Outbound, names_of};

/// What a document may cost.
const DOCUMENT: Bounds = Bounds {
    within: Duration::from_secs(5),
    bytes: 64 << 10,
};
const FORM: Limits = Limits {
    bytes: DOCUMENT.bytes,
    depth: 8,
    members: 1_024,
    caseless: false,
};
/// Documents fetched at once; whoever comes beyond that is told to try again.
const MAX_FETCHES: usize = 8;
/// Documents kept.
const MAX_KEPT: usize = 256;
/// A document that does not say how long it holds is kept this long.
const KEPT: Duration = Duration::from_mins(5);
/// None is kept longer.
const MAX_AGE: Duration = Duration::from_hours(1);
/// Longest name that a client gives itself, in bytes.
const MAX_NAME: usize = 128;

/// Finds them.
pub struct PublishedClients {
    hosts: BTreeMap<String, AgentName>,
    outbound: Outbound,
    bounds: Bounds,
    fetches: Semaphore,
    kept: Mutex<BTreeMap<String, Kept>>,
    clock: Arc<dyn Clock>,
}

/// A client as its document says, and the digest of that document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The client.
    pub client: OAuthClient,
    /// Which document said so.
    pub document: Digest,
}

/// In time since boot.
struct Kept {
    published: Published,
    until: Duration,
}

/// What of a document counts; the rest is for people.
#[derive(Deserialize)]
struct Document {
    client_id: String,
    client_name: String,
    redirect_uris: Vec<String>,
    token_endpoint_auth_method: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    client_secret: Option<serde::de::IgnoredAny>,
    client_secret_expires_at: Option<serde::de::IgnoredAny>,
}

impl PublishedClients {
    /// Clients of these hosts (`*`: of all others), each acting as an agent. Documents of `private_hosts` may be anywhere.
    pub fn new(
        hosts: BTreeMap<String, AgentName>,
        private_hosts: &[String],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let outbound = Outbound::new(private_hosts.iter().map(String::as_str), &[]);
        Ok(Self {
            hosts,
            outbound: outbound.map_err(|error| StartError::Defect(error.to_string()))?,
            bounds: DOCUMENT,
            fetches: Semaphore::new(MAX_FETCHES),
            kept: Mutex::default(),
            clock,
        })
    }

    /// Whether any are let in.
    pub fn any(&self) -> bool {
        !self.hosts.is_empty()
    }

    /// The agent that the client of this URL acts as, if those of its host are let in.
    pub fn agent(&self, url: &str) -> Option<&AgentName> {
        // As the URL parser would write it, so that what is compared here is what is asked for.
        let parsed = Url::parse(url)
            .ok()
            .filter(|parsed| parsed.as_str() == url)?;
        names_of(&parsed)
            .find_map(|name| self.hosts.get(&name))
            .or_else(|| self.hosts.get("*"))
    }

    /// The client that its document at this URL describes now, or did a moment ago.
    pub async fn client(&self, id: &ClientId) -> Result<Published, Problem> {
        let url = id.as_str();
        let agent = self.agent(url).ok_or_else(|| {
            Problem::new(
                Code::InvalidInput,
                "clients of that host are not let in",
                "an operator lets them in: [oauth] client_hosts",
            )
        })?;
        if let Some(known) = self.known(url) {
            return Ok(known);
        }
        let _room = self.fetches.try_acquire().map_err(|_| {
            Problem::new(
                Code::Overloaded,
                "too many clients are looked up at once",
                "try again in a few seconds",
            )
        })?;
        let answer = self.outbound.document(url, self.bounds).await;
        let answer = answer.map_err(|error| unusable(url, &told(&error)))?;
        let published = Published {
            client: self
                .read(id, agent, &answer)
                .map_err(|why| unusable(url, &why))?,
            document: sha256(&[&answer.body]),
        };
        // What failed is not kept (§4.3): a client can put its document right.
        self.keep(url, &published, age(&answer.headers));
        Ok(published)
    }

    fn read(
        &self,
        id: &ClientId,
        agent: &AgentName,
        answer: &Answer,
    ) -> Result<OAuthClient, String> {
        if !is_json(&answer.headers) {
            return Err("it is not served as JSON".to_owned());
        }
        json::check(&answer.body, &FORM)
            .map_err(|_| "it is not JSON that has one reading".to_owned())?;
        let document: Document = serde_json::from_slice(&answer.body).map_err(|_| {
            "it lacks `client_id`, `client_name` or `redirect_uris`, or one has another form"
                .to_owned()
        })?;
        let name = document.client_name.trim().to_owned();
        let known = |list: &Option<Vec<String>>, word: &str| {
            list.as_ref()
                .is_none_or(|list| list.iter().any(|known| known == word))
        };
        let flaw = if document.client_id != id.as_str() {
            Some("its `client_id` is another URL")
        } else if document.client_secret.is_some() || document.client_secret_expires_at.is_some() {
            Some("it has a secret, which everybody can read")
        } else if document
            .token_endpoint_auth_method
            .as_ref()
            .is_some_and(|method| method != "none")
        {
            Some("its `token_endpoint_auth_method` is not \"none\"")
        } else if !known(&document.grant_types, "authorization_code")
            || !known(&document.response_types, "code")
        {
            Some("it is not for the authorization code")
        } else if name.is_empty() || name.len() > MAX_NAME {
            Some("its `client_name` is empty or over 128 bytes")
        } else if document.redirect_uris.len() > MAX_REDIRECT_URIS {
            Some("it has more than 16 `redirect_uris`")
        } else {
            None
        };
        if let Some(flaw) = flaw {
            return Err(flaw.to_owned());
        }
        // One that nobody could be sent to safely is left out; a request that names it is refused.
        let redirect_uris: Vec<_> = document
            .redirect_uris
            .iter()
            .filter_map(|uri| uri.parse().ok())
            .collect();
        if redirect_uris.is_empty() {
            return Err("none of its `redirect_uris` can be used".to_owned());
        }
        Ok(OAuthClient {
            id: id.clone(),
            agent: agent.clone(),
            redirect_uris,
            default_server: None,
            name: Some(name),
            jwks: None,
            created_at: self.clock.wall(),
        })
    }

    fn known(&self, url: &str) -> Option<Published> {
        let now = self.clock.monotonic();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = kept.get(url).filter(|kept| now < kept.until);
        fresh.map(|kept| kept.published.clone())
    }

    fn keep(&self, url: &str, published: &Published, age: Duration) {
        let now = self.clock.monotonic();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, one| now < one.until);
        if age.is_zero() || (kept.len() >= MAX_KEPT && !kept.contains_key(url)) {
            return;
        }
        let kept_now = Kept {
            published: published.clone(),
            until: now + age,
        };
        kept.insert(url.to_owned(), kept_now);
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .map(|kind| kind.trim().to_ascii_lowercase());
    kind.is_some_and(|kind| {
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
    })
}

/// How long the answer says that it holds (RFC 9111 §5.2.2), within our bound.
fn age(headers: &HeaderMap) -> Duration {
    let words: Vec<String> = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|word| word.trim().to_ascii_lowercase())
        .collect();
    if words
        .iter()
        .any(|word| word == "no-store" || word == "no-cache")
    {
        return Duration::ZERO;
    }
    let told = words
        .iter()
        .find_map(|word| word.strip_prefix("max-age=")?.parse().ok());
    told.map_or(KEPT, Duration::from_secs).min(MAX_AGE)
}

/// Why a document cannot be had, without what an answer of somebody else's says.
fn told(error: &FetchError) -> String {
    match error {
        FetchError::Place { why, .. } => format!("it is not asked for: {why}"),
        FetchError::NotPublic(_) => "it is not asked for: its address is not public".to_owned(),
        FetchError::Unreachable { source, .. } if source.is_timeout() => {
            "it did not come in time".to_owned()
        }
        FetchError::Unreachable { .. } => "it cannot be reached".to_owned(),
        FetchError::Status { status, .. } => format!("it is answered with {}", status.as_u16()),
        FetchError::TooLong { bytes, .. } => format!("it has more than {bytes} bytes"),
    }
}

fn unusable(url: &str, why: &str) -> Problem {
    Problem::new(
        Code::ClientMetadata,
        format!("the client's document {url} cannot be used: {why}"),
        "its publisher puts it right; draft-ietf-oauth-client-id-metadata-document says how",
    )
}

#[cfg(test)]
mod tests;
