//! The feed over HTTP: each question is one request, each answer one response (`POST /v1/feed`).

use std::time::Duration;

use bailiwick_core::feed::MAX_ANSWER;
use bailiwick_core::{Code, Problem, Secret};
use bailiwick_crypto::tls::client_of;
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;

use super::{Link, LinkError};

/// A connection is there by then, or is given up.
const CONNECT: Duration = Duration::from_millis(500);
/// Longest refusal that is read.
const MAX_REFUSAL: usize = 16 << 10;

/// A node, by its console URL.
pub struct HttpLink {
    client: reqwest::Client,
    url: String,
    token: Secret<String>,
}

impl HttpLink {
    /// The link that a point's token opens at this node. Authorities of its certificate are these (PEM), or those of the system.
    pub fn new(
        node: &str,
        token: Secret<String>,
        authorities: Option<&[u8]>,
    ) -> Result<Self, LinkError> {
        let mut client = reqwest::Client::builder();
        if let Some(pem) = authorities {
            let tls = client_of(pem).map_err(|error| LinkError::Broken(error.to_string()))?;
            client = client.tls_backend_preconfigured(tls);
        }
        let client = client
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| LinkError::Broken(error.to_string()))?;
        Ok(Self {
            client,
            url: format!("{}/v1/feed", node.trim_end_matches('/')),
            token,
        })
    }

    async fn send(&self, question: Vec<u8>) -> Result<Bytes, LinkError> {
        let broken = |error: reqwest::Error| LinkError::Broken(error.without_url().to_string());
        let mut response = self
            .client
            .post(&self.url)
            .bearer_auth(self.token.expose())
            .header("content-type", "application/json")
            .body(question)
            .send()
            .await
            .map_err(broken)?;
        let refused = !response.status().is_success();
        let most = if refused { MAX_REFUSAL } else { MAX_ANSWER };
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > most {
                return Err(LinkError::Broken(format!(
                    "the answer is over {most} bytes"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        if !refused {
            return Ok(body.freeze());
        }
        let status = response.status();
        let problem = serde_json::from_slice::<Problem>(&body)
            .unwrap_or_else(|_| Problem::new(Code::NotFound, status.to_string(), ""));
        Err(if status.is_client_error() {
            LinkError::Refused(problem.code, problem.message)
        } else {
            LinkError::Broken(problem.message)
        })
    }
}

impl Link for HttpLink {
    fn ask(&self, question: Vec<u8>) -> BoxFuture<'_, Result<Bytes, LinkError>> {
        Box::pin(self.send(question))
    }
}
