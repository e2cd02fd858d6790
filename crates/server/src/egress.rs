//! The way to the upstreams of connectors (05 of the design): a name is looked up once and refused if any of its addresses is one that is not
//! dialled, TLS is always verified, no redirect is followed, and no connection serves two requests.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::name::ServerName;
use bailiwick_enforce::egress::Connector;
use bailiwick_enforce::ports::{Outgoing, Upstream, UpstreamBody, UpstreamError, Upstreams};
use futures_util::future::BoxFuture;
use http::Method;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};

use crate::config::ConnectorAt;
use crate::outbound::leads_to_private;
use crate::outbound::public_only::PublicOnly;

/// Looking up and connecting, TLS included, take at most this long.
const CONNECT: Duration = Duration::from_secs(10);

/// Which addresses an upstream may have.
type Fits = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Ways by connector.
pub struct Ways(BTreeMap<ServerName, Way>);

struct Way {
    client: Client,
    fits: Fits,
}

/// A connector that cannot be reached as it is configured.
#[derive(Debug, thiserror::Error)]
#[error("connector {name}: {why}")]
pub struct WayError {
    name: ServerName,
    why: String,
}

impl Ways {
    /// Ways to these, none of which leads to this node's own listeners.
    pub fn new(connectors: &[ConnectorAt], own: &[SocketAddr]) -> Result<Self, WayError> {
        Self::with(connectors, own, PublicOnly::fitting)
    }

    pub(crate) fn with(
        connectors: &[ConnectorAt],
        own: &[SocketAddr],
        resolver: impl Fn(Box<dyn Fn(IpAddr) -> bool + Send + Sync>) -> PublicOnly,
    ) -> Result<Self, WayError> {
        let ways = connectors.iter().map(|at| {
            let connector = &at.connector;
            let (besides, port) = (at.besides, connector.port());
            let ours = own.iter().any(|address| address.port() == port);
            let fits: Fits = Arc::new(move |address: IpAddr| {
                besides.fits(address) && !(ours && is_here(address))
            });
            let looked_at = Arc::clone(&fits);
            let resolver = resolver(Box::new(move |address| looked_at(address)));
            let client = client(at.ca_file.as_ref(), resolver);
            let client = client.map_err(|why| WayError {
                name: connector.name().clone(),
                why,
            })?;
            Ok((connector.name().clone(), Way { client, fits }))
        });
        ways.collect::<Result<_, _>>().map(Self)
    }
}

/// Whether an address is this machine's: its own can be bound.
fn is_here(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

fn client(ca_file: Option<&PathBuf>, resolver: PublicOnly) -> Result<Client, String> {
    let mut builder = Client::builder()
        .http1_only()
        .redirect(Policy::none())
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never())
        // A connection that an upstream has desynchronised harms the one request that it is for.
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT)
        .dns_resolver(Arc::new(resolver));
    if let Some(file) = ca_file {
        let pem = std::fs::read(file).map_err(|error| error.to_string())?;
        let found = Certificate::from_pem_bundle(&pem).map_err(|error| error.to_string())?;
        if found.is_empty() {
            return Err(format!("{} has no certificate", file.display()));
        }
        builder = builder.tls_certs_only(found);
    }
    builder.build().map_err(|error| error.to_string())
}

impl Upstreams for Ways {
    fn send<'a>(
        &'a self,
        connector: &'a Connector,
        outgoing: Outgoing,
    ) -> BoxFuture<'a, Result<Upstream, UpstreamError>> {
        Box::pin(async move {
            let blocked = || UpstreamError::Address(connector.host().to_owned());
            let way = self.0.get(connector.name()).ok_or_else(blocked)?;
            // Names are looked at when they are looked up; an address never is.
            let literal = connector.host().trim_matches(['[', ']']).parse::<IpAddr>();
            if literal.is_ok_and(|address| !(way.fits)(address)) {
                return Err(blocked());
            }
            let url = url(connector, outgoing.target.expose())?;
            let method = Method::from_bytes(outgoing.method.as_bytes());
            let request = way
                .client
                .request(method.map_err(|_| UpstreamError::Target)?, url)
                .headers(outgoing.headers)
                .body(outgoing.body);
            let sent = request.send().await;
            let mut answer = sent.map_err(|error| why(error, connector))?;
            Ok(Upstream {
                status: answer.status(),
                headers: std::mem::take(answer.headers_mut()),
                body: UpstreamBody(answer),
            })
        })
    }
}

/// The URL whose path and query are exactly what was decided on.
fn url(connector: &Connector, target: &str) -> Result<Url, UpstreamError> {
    let mut origin = connector.upstream.origin().ascii_serialization();
    origin.push_str(target);
    let url = Url::parse(&origin).map_err(|_| UpstreamError::Target)?;
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    if url.path() != path || url.query() != query || url.fragment().is_some() {
        return Err(UpstreamError::Target);
    }
    Ok(url)
}

/// The URL of an error may hold the credential: it is left out.
fn why(error: reqwest::Error, connector: &Connector) -> UpstreamError {
    if leads_to_private(&error) {
        return UpstreamError::Address(connector.host().to_owned());
    }
    let error = error.without_url();
    if is_tls(&error) {
        return UpstreamError::Tls(error);
    }
    if error.is_connect() {
        return UpstreamError::Unreachable(error);
    }
    if error.is_timeout() {
        return UpstreamError::Timeout;
    }
    UpstreamError::Broken(error)
}

/// What the TLS library finds wrong comes as invalid data of the connection, perhaps within another error of it.
fn is_tls(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let mut found = error.downcast_ref::<io::Error>();
        while let Some(error) = found {
            if error.kind() == io::ErrorKind::InvalidData {
                return true;
            }
            // What an I/O error was made from is not among its sources.
            let inner = error.get_ref();
            found = inner.and_then(|inner| inner.downcast_ref::<io::Error>());
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests;
