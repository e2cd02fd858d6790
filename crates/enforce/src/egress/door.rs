//! `/p/<connector>/…`: who asks, at which connector, and what is answered to whoever is refused. On the gateway's listener callers show a
//! task token for `<gateway>/p/<connector>` and a proof of its key; on a launch's own listener its run token.

use std::sync::Arc;

use bailiwick_core::name::ServerName;
use bailiwick_core::{Code, Problem};
use bailiwick_crypto::dpop::ALGORITHMS;
use bytes::Bytes;
use hyper::body::Body as HttpBody;
use hyper::header::{CACHE_CONTROL, HOST, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{Request, Response};

use super::asked::Target;
use super::{Connector, Run, events, exchange};
use crate::answer::Refusal;
use crate::caller::Caller;
use crate::gateway::Gateway;
use crate::mcp::http::{Body, answer, discard, is_loopback, whole};

impl Gateway {
    /// The resource identifier of a connector: what a token's `aud` must be.
    pub fn egress_resource(&self, connector: &ServerName) -> String {
        format!("{}/p/{connector}", self.settings.public_url)
    }

    /// Whether there is a connector of this name.
    pub fn is_connector(&self, name: &ServerName) -> bool {
        self.settings.connectors.contains_key(name)
    }

    /// Answers one request on the listener of a launch.
    pub async fn handle_run<B>(self: &Arc<Self>, request: Request<B>, run: &Run) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let mut hosts = head.headers.get_all(HOST).iter();
        let host = hosts
            .next()
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let ours = is_loopback(host, run.listen.port()) && hosts.next().is_none();
        let mut response = match head.uri.path().strip_prefix("/p/") {
            Some(rest) if ours => self.egress(&head, body, rest, Some(run)).await,
            Some(_) => {
                let help = "ask for http://127.0.0.1 with the port of this launch";
                let message = "the Host header names another place than this listener";
                answer::problem(&Problem::new(Code::EgressHostMismatch, message, help))
            }
            None => {
                let help = "connectors are at /p/<connector>/<path>";
                answer::problem(&Problem::new(Code::NotFound, "there is nothing here", help))
            }
        };
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    /// Answers a request for what is behind `/p/`.
    pub(crate) async fn egress<B>(
        self: &Arc<Self>,
        head: &Parts,
        body: B,
        rest: &str,
        run: Option<&Run>,
    ) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (name, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let Ok(name) = name.parse::<ServerName>() else {
            let help = "connectors are at /p/<connector>/<path>";
            let problem = Problem::new(Code::NotFound, "there is nothing here", help);
            return answer::problem(&problem);
        };
        let connector = self.settings.connectors.get(&name);
        let caller = match self.asks(head, &name, connector, run).await {
            Ok(caller) => caller,
            Err(problem) => {
                let mut response = self.not_known(&problem, &name).await;
                discard(body, &mut response).await;
                return response;
            }
        };
        let Some(connector) = connector else {
            let message = format!("there is no connector {name}");
            let help = "an operator adds it to [[egress.connectors]]";
            let mut response = answer::problem(&Problem::new(Code::EgressDenied, message, help));
            discard(body, &mut response).await;
            return response;
        };
        let path = if path.is_empty() { "/" } else { path };
        match self.pass(head, body, path, connector, &caller).await {
            Ok(response) => response,
            Err(refusal) => {
                self.metrics.refuse(refusal.code);
                answer::json(refusal.code.http_status(), refusal.as_problem())
            }
        }
    }

    async fn pass<B>(
        self: &Arc<Self>,
        head: &Parts,
        body: B,
        path: &str,
        connector: &Arc<Connector>,
        caller: &Caller,
    ) -> Result<Response<Body>, Refusal>
    where
        B: HttpBody<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let target = Target::of(head, path, connector).map_err(|problem| Refusal::of(&problem))?;
        if let Err(problem) = target.allowed(connector) {
            return Err(events::refused(self, connector, caller, &target, &problem).await);
        }
        let Ok(place) = Arc::clone(&self.exchanges).try_acquire_owned() else {
            let message = "as many exchanges run as may";
            return Err(Refusal::new(
                Code::Overloaded,
                message,
                "try again in a moment",
            ));
        };
        let bound = usize::try_from(connector.max_request).unwrap_or(usize::MAX);
        let body = whole(body, bound, Code::EgressTooLarge).await;
        let asked = target.with(body.map_err(|problem| Refusal::of(&problem))?);
        // Whoever hangs up has not taken the request back: what was let through runs to its record.
        let (gateway, connector, caller) =
            (Arc::clone(self), Arc::clone(connector), caller.clone());
        let running = self.tasks.spawn(async move {
            let answer = exchange::run(&gateway, &connector, &caller, asked).await;
            drop(place);
            answer
        });
        let broke = |_| Refusal::new(Code::Internal, "the exchange broke", "report this");
        running.await.map_err(broke)?
    }

    async fn asks(
        &self,
        head: &Parts,
        name: &ServerName,
        connector: Option<&Arc<Connector>>,
        run: Option<&Run>,
    ) -> Result<Caller, Problem> {
        let Some(run) = run else {
            let url = format!("{}{}", self.settings.public_url, head.uri.path());
            let resource = self.egress_resource(name);
            return self
                .authenticator
                .authenticate(self, head, (&resource, &url))
                .await;
        };
        let query = head.uri.query().unwrap_or_default();
        if run.is_shown(&head.headers, query, connector) {
            return Ok(run.caller());
        }
        let help = "send the launch's run token where the upstream's credential goes, or as a bearer token";
        let message = "the request does not show the run token of its launch";
        Err(Problem::new(Code::RunTokenRequired, message, help))
    }

    /// The answer to whoever did not say who they are (RFC 6750, RFC 9449).
    async fn not_known(&self, problem: &Problem, name: &ServerName) -> Response<Body> {
        self.note_refusal(problem, name, None).await;
        let mut response = answer::problem(problem);
        let error = match problem.code {
            Code::NotSignedIn => "",
            Code::RunTokenRequired => {
                let challenge = HeaderValue::from_static("Bearer realm=\"bailiwick\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                return response;
            }
            Code::DpopNonce => r#"error="use_dpop_nonce", "#,
            Code::DpopProof => r#"error="invalid_dpop_proof", "#,
            _ => r#"error="invalid_token", "#,
        };
        let names: Vec<&str> = ALGORITHMS.iter().map(|alg| alg.as_str()).collect();
        let challenge = format!(r#"DPoP {error}algs="{}""#, names.join(" "));
        if let Ok(value) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        response
    }
}
