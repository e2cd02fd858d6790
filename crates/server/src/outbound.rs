//! Requests to places that others name or run (OIDC metadata, key sets, metadata of clients): https, no redirect, no proxy, bounded in time
//! and size, and never to an address that only this node can reach unless the operator named the place. A name is looked up once, and the
//! address that was looked at is the one that is dialled: a name that answers differently the second time gains nothing.

pub(crate) mod address;
pub(crate) mod public_only;

use std::collections::BTreeSet;
use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, StatusCode, Url};

use address::is_public;
use public_only::{NotPublic, PublicOnly};

/// What an answer may cost.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The whole of it is there within this time, looking up and connecting included.
    pub within: Duration,
    /// Bytes of its body.
    pub bytes: usize,
}

/// Bounds of metadata and key sets.
pub const DOCUMENT: Bounds = Bounds {
    within: Duration::from_secs(5),
    bytes: 256 << 10,
};

/// Sends requests of one purpose.
pub struct Outbound {
    /// `host:port` of the places that the operator named, or a host for each of its ports.
    named: BTreeSet<String>,
    /// To these: whatever address they have.
    to_named: Client,
    /// To all others: public addresses.
    to_others: Client,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not asked for: not a place that documents are fetched from.
    #[error("{url} is no place to ask: {why}")]
    Place {
        /// What was wanted.
        url: String,
        /// Why not.
        why: &'static str,
    },
    /// Not asked for: its address is of a private network, this machine, or reserved.
    #[error("{0} has an address that is not public")]
    NotPublic(String),
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
    /// Over the bound.
    #[error("{url} has more than {bytes} bytes")]
    TooLong {
        /// What was asked for.
        url: String,
        /// The bound.
        bytes: usize,
    },
}

impl Outbound {
    /// Requests that may go to `named` places (URLs, `host:port`, or hosts), whatever their addresses, and to public ones. TLS certificates
    /// are from `authorities`; none: those of the system.
    pub fn new<'a>(
        named: impl IntoIterator<Item = &'a str>,
        authorities: &[Certificate],
    ) -> Result<Self, reqwest::Error> {
        Self::with(named, authorities, PublicOnly::system())
    }

    fn with<'a>(
        named: impl IntoIterator<Item = &'a str>,
        authorities: &[Certificate],
        public_only: PublicOnly,
    ) -> Result<Self, reqwest::Error> {
        let builder = || {
            let builder = Client::builder()
                .redirect(Policy::none())
                .no_proxy()
                .referer(false);
            if authorities.is_empty() {
                builder
            } else {
                builder.tls_certs_only(authorities.to_vec())
            }
        };
        let named = named.into_iter().map(|place| {
            let url = Url::parse(place).ok().filter(Url::has_host);
            url.and_then(|url| place_of(&url))
                .unwrap_or_else(|| place.to_owned())
        });
        Ok(Self {
            named: named.collect(),
            to_named: builder().build()?,
            to_others: ClientBuilder::dns_resolver(builder(), Arc::new(public_only)).build()?,
        })
    }

    /// The document at `url`, with status 200.
    pub async fn document(&self, url: &str, bounds: Bounds) -> Result<Answer, FetchError> {
        let (client, parsed) = self.way(url)?;
        let answer = answer(url, client.get(parsed), bounds).await?;
        if answer.status == StatusCode::OK {
            return Ok(answer);
        }
        Err(FetchError::Status {
            url: url.to_owned(),
            status: answer.status,
        })
    }

    /// What a form is answered with.
    pub async fn form(
        &self,
        url: &str,
        form: String,
        authorization: Option<String>,
        bounds: Bounds,
    ) -> Result<Answer, FetchError> {
        let (client, parsed) = self.way(url)?;
        let mut request = client
            .post(parsed)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        answer(url, request, bounds).await
    }

    /// Whether a document may be asked for at all, and who asks for it.
    fn way(&self, url: &str) -> Result<(&Client, Url), FetchError> {
        let refused = |why| FetchError::Place {
            url: url.to_owned(),
            why,
        };
        let parsed = Url::parse(url).map_err(|_| refused("it is no URL"))?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(refused("it has a user's name"));
        }
        let host = parsed.host_str().ok_or_else(|| refused("it has no host"))?;
        // The URL parser has brought all ways to write an address into one.
        let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let named = self.is_named(&parsed);
        match parsed.scheme() {
            "https" => {}
            "http" if named && is_loopback(host, literal) => {}
            _ => return Err(refused("it is not https")),
        }
        if named {
            return Ok((&self.to_named, parsed));
        }
        // Names are looked at when they are looked up; an address never is.
        if literal.is_some_and(|address| !is_public(address)) {
            return Err(FetchError::NotPublic(url.to_owned()));
        }
        Ok((&self.to_others, parsed))
    }

    fn is_named(&self, url: &Url) -> bool {
        names_of(url).any(|name| self.named.contains(&name))
    }
}

async fn answer(url: &str, request: RequestBuilder, bounds: Bounds) -> Result<Answer, FetchError> {
    let failed = |error: reqwest::Error| {
        if leads_to_private(&error) {
            return FetchError::NotPublic(url.to_owned());
        }
        FetchError::Unreachable {
            url: url.to_owned(),
            source: error.without_url(),
        }
    };
    let request = request.header(ACCEPT, "application/json");
    let sent = request.timeout(bounds.within).send();
    let mut response = sent.await.map_err(failed)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > bounds.bytes {
            return Err(FetchError::TooLong {
                url: url.to_owned(),
                bytes: bounds.bytes,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body,
    })
}

pub(crate) fn leads_to_private(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What an operator can name the place of a URL by, the narrower first: `host:port`, and the host for each of its ports.
pub fn names_of(url: &Url) -> impl Iterator<Item = String> {
    let host = url.host_str().map(str::to_owned);
    place_of(url).into_iter().chain(host)
}

fn place_of(url: &Url) -> Option<String> {
    Some(format!(
        "{}:{}",
        url.host_str()?,
        url.port_or_known_default()?
    ))
}

/// Loopback without being looked up, or by the one name that means it.
fn is_loopback(host: &str, literal: Option<IpAddr>) -> bool {
    literal.map_or(host == "localhost", |address| address.is_loopback())
}

#[cfg(test)]
mod tests;
