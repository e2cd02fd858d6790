//! Requests to one server that speaks HTTP with JSON both ways: few at once, with bounds on waits and answers, over TLS unless the server is
//! on this machine. No proxy is asked and no redirect followed.

use std::time::Duration;

use bailiwick_core::Secret;
use reqwest::header::HeaderName;
use reqwest::{Client, Method, Url};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::lines::{CONNECT, CONNECTIONS, in_time};
use super::server_at::is_here;
use super::{BackendError, BadServer, ServerAt};

/// Longest answer.
const MAX_ANSWER: usize = 8 << 20;
/// An idle connection is kept for so long.
const IDLE: Duration = Duration::from_secs(30);

/// One server.
pub(super) struct Web {
    client: Client,
    base: Url,
    turns: Semaphore,
}

/// What it said.
#[derive(Debug)]
pub(super) struct Said {
    /// The status of its answer.
    pub(super) status: u16,
    /// Its body; null if it has none.
    pub(super) body: Value,
}

/// The address that a backend has, checked.
pub(super) fn address(at: &ServerAt, form: &'static str) -> Result<Url, BadServer> {
    let url = Url::parse(&at.url).map_err(|_| BadServer::Form(form))?;
    if url.password().is_some() {
        return Err(BadServer::Password);
    }
    let host = url.host_str().ok_or(BadServer::Form(form))?;
    let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    match url.scheme() {
        _ if !plain => Err(BadServer::Form(form)),
        "https" => Ok(url),
        "http" if is_here(host) => Ok(url),
        "http" => Err(BadServer::Clear(form)),
        _ => Err(BadServer::Form(form)),
    }
}

impl Web {
    pub(super) fn new(at: &ServerAt, form: &'static str) -> Result<Self, BadServer> {
        let base = address(at, form)?;
        let mut client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(CONNECTIONS);
        let pem = at.authorities()?;
        let bad = |error: &dyn std::fmt::Display| BadServer::Pool(error.to_string());
        let tls = bailiwick_crypto::tls::client_of(&pem).map_err(|error| bad(&error))?;
        client = client.use_preconfigured_tls(tls);
        Ok(Self {
            client: client.build().map_err(|error| bad(&error))?,
            base,
            turns: Semaphore::new(CONNECTIONS),
        })
    }

    /// Asks, and takes whatever status for an answer but those that say that nobody is there to answer.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        (header, secret): (HeaderName, &Secret<String>),
        body: Option<&Value>,
    ) -> Result<Said, BackendError> {
        let url = self.base.join(path);
        let url = url.map_err(|error| BackendError::Permanent(error.to_string()))?;
        let mut request = self
            .client
            .request(method, url)
            .header(header, secret.expose().as_str());
        if let Some(body) = body {
            request = request.json(body);
        }
        let whole = async {
            let _turn = self.turns.acquire().await;
            let mut answer = request.send().await.map_err(|error| away(&error))?;
            let status = answer.status().as_u16();
            let mut bytes = Vec::new();
            while let Some(part) = answer.chunk().await.map_err(|error| away(&error))? {
                bytes.extend_from_slice(&part);
                if bytes.len() > MAX_ANSWER {
                    return Err(BackendError::Permanent("its answer is too long".to_owned()));
                }
            }
            Ok(Said {
                status,
                body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            })
        };
        in_time(whole).await?
    }
}

/// The innermost cause says what is the matter.
fn away(error: &reqwest::Error) -> BackendError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    BackendError::Transient(cause.to_string())
}
