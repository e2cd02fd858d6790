//! A relay from a client that knows no tokens to the gateway: it adds an agent's token and a proof to each request, names the gateway where
//! the client named the relay, and passes everything else on as it is, both ways and as it comes.

use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::harness::Agent;

const DPOP: HeaderName = HeaderName::from_static("dpop");
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// A running relay; ends with the test's process.
pub(crate) struct Relay {
    url: String,
    runtime: Option<tokio::runtime::Runtime>,
}

struct Shown {
    agent: Arc<Agent>,
    token: String,
    resource: String,
    /// Authority of the gateway.
    host: String,
    /// Authority of the relay.
    own: String,
    nonce: Mutex<Option<String>>,
}

impl Relay {
    /// Starts it for one server and task.
    pub(crate) fn start(agent: &Arc<Agent>, server: &str, task: &str) -> Self {
        let token = agent
            .token(task, server)
            .unwrap_or_else(|refused| panic!("no token: {refused:?}"));
        let resource = agent.resource(server);
        let host = resource
            .strip_prefix("http://")
            .unwrap()
            .split('/')
            .next()
            .unwrap()
            .to_owned();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let own = listener.local_addr().unwrap().to_string();
        let url = format!("http://{own}/mcp");
        let shown = Arc::new(Shown {
            agent: Arc::clone(agent),
            token,
            resource,
            host,
            own,
            nonce: Mutex::default(),
        });
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shown = Arc::clone(&shown);
                let service = service_fn(move |request| {
                    let shown = Arc::clone(&shown);
                    async move { shown.pass(request).await }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self {
            url,
            runtime: Some(runtime),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shown {
    async fn pass(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Incoming>, Box<dyn std::error::Error + Send + Sync>> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, 8 << 20).collect().await?.to_bytes();
        let answer = self.send(&head.method, &head.headers, &body).await?;
        let challenge = answer.headers().get("www-authenticate");
        // RFC 9449 §8: the first answer brings the nonce.
        if challenge.is_some_and(|value| {
            value
                .as_bytes()
                .windows(14)
                .any(|bytes| bytes == b"use_dpop_nonce")
        }) {
            return self.send(&head.method, &head.headers, &body).await;
        }
        Ok(answer)
    }

    async fn send(
        &self,
        method: &hyper::Method,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Response<Incoming>, Box<dyn std::error::Error + Send + Sync>> {
        let path = self
            .resource
            .strip_prefix(&format!("http://{}", self.host))
            .unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(Full::new(body.clone()))?;
        let nonce = self.nonce.lock().unwrap().clone();
        let (url, token) = (&self.resource, Some(self.token.as_str()));
        let proof = self
            .agent
            .proof(method.as_str(), url, token, nonce.as_deref());
        *request.headers_mut() = headers.clone();
        for (name, of_relay, of_gateway) in [
            (HOST, self.own.clone(), self.host.clone()),
            (
                ORIGIN,
                format!("http://{}", self.own),
                format!("http://{}", self.host),
            ),
        ] {
            if headers
                .get(&name)
                .is_some_and(|value| value.as_bytes() == of_relay.as_bytes())
            {
                request
                    .headers_mut()
                    .insert(name, HeaderValue::from_str(&of_gateway)?);
            }
        }
        request.headers_mut().insert(
            AUTHORIZATION,
            HeaderValue::from_str(&format!("DPoP {}", self.token))?,
        );
        request
            .headers_mut()
            .insert(DPOP, HeaderValue::from_str(&proof)?);
        let stream = TcpStream::connect(&self.host).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        if let Some(nonce) = answer.headers().get(NONCE) {
            *self.nonce.lock().unwrap() = Some(nonce.to_str()?.to_owned());
        }
        Ok(answer)
    }
}
