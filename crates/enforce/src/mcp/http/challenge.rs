//! What a caller without a usable credential is told: RFC 6750 and RFC 9449 challenges, and where to read about this resource (RFC 9728).

use bailiwick_core::event::{Action, EventType};
use bailiwick_core::name::ServerName;
use bailiwick_core::{Code, Effect, Problem};
use bailiwick_crypto::dpop::ALGORITHMS;
use hyper::header::{HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Response};
use serde_json::json;

use super::{Body, answer};
use crate::caller::Caller;
use crate::gateway::Gateway;
use crate::record;

impl Gateway {
    /// Refuses a caller, and puts that on record unless it only lacks a nonce or a token.
    pub(super) async fn challenge(
        &self,
        problem: &Problem,
        server: &ServerName,
        caller: Option<&Caller>,
    ) -> Response<Body> {
        self.note_refusal(problem, server, caller).await;
        let error = match problem.code {
            Code::NotSignedIn => "",
            Code::DpopNonce => "use_dpop_nonce",
            Code::DpopProof => "invalid_dpop_proof",
            Code::ScopeExceeded => "insufficient_scope",
            _ => "invalid_token",
        };
        let status = problem.code.http_status();
        let body = json!({ "error": error, "error_description": problem.message, "code": problem.code, "help": problem.help });
        let mut response = answer::json(status, body.to_string().into());
        if matches!(status, 401 | 403) {
            let metadata = format!(
                "{}/.well-known/oauth-protected-resource/mcp/{server}",
                self.settings.public_url
            );
            let algorithms: Vec<&str> = ALGORITHMS
                .iter()
                .map(|algorithm| algorithm.as_str())
                .collect();
            let reason = match error {
                "" => String::new(),
                error => format!(
                    r#"error="{error}", error_description="{}", "#,
                    quotable(&problem.message)
                ),
            };
            // The least that lets a caller in; what more there is it learns from its task.
            let scope = words(server, &[Effect::Read]);
            let dpop = format!(
                r#"DPoP {reason}algs="{}", resource_metadata="{metadata}", scope="{scope}""#,
                algorithms.join(" ")
            );
            // Clients that know Bearer alone find the metadata, and there that tokens are bound here.
            let reason = if error == "insufficient_scope" {
                reason
            } else {
                String::new()
            };
            let bearer =
                format!(r#"Bearer {reason}resource_metadata="{metadata}", scope="{scope}""#);
            for challenge in [dpop, bearer] {
                if let Ok(value) = HeaderValue::from_str(&challenge) {
                    response.headers_mut().append(WWW_AUTHENTICATE, value);
                }
            }
        }
        response
    }

    /// Counts a refused caller, and puts it on record unless it only lacks a nonce or a token.
    pub(crate) async fn note_refusal(
        &self,
        problem: &Problem,
        server: &ServerName,
        caller: Option<&Caller>,
    ) {
        self.metrics.refuse(problem.code);
        let worth = !matches!(
            problem.code,
            Code::DpopNonce | Code::NotSignedIn | Code::ReplicaBehind
        );
        if worth && self.authenticator.may_record(self.ports.clock.monotonic()) {
            self.record_refusal(problem, server, caller).await;
        }
    }

    /// RFC 9728 metadata of one server as a protected resource.
    pub(super) fn metadata(&self, rest: &str, method: &Method) -> Result<Response<Body>, Problem> {
        let server: ServerName = rest.parse().map_err(|_| {
            Problem::new(
                Code::NotFound,
                "there is nothing here",
                "MCP servers are at /mcp/<server>",
            )
        })?;
        if method != Method::GET {
            return Ok(answer::method_not_allowed("GET"));
        }
        // Whether the server exists is for callers to learn.
        let algorithms: Vec<&str> = ALGORITHMS
            .iter()
            .map(|algorithm| algorithm.as_str())
            .collect();
        let document = json!({
            "resource": self.resource(&server),
            "authorization_servers": [self.settings.issuer],
            "scopes_supported": Effect::ALL.map(|effect| words(&server, &[effect])),
            "bearer_methods_supported": ["header"],
            "dpop_bound_access_tokens_required": self.settings.unbound_clients.is_empty() && !self.settings.mutual,
            "tls_client_certificate_bound_access_tokens": self.settings.mutual,
            "dpop_signing_alg_values_supported": algorithms,
            "authorization_details_types_supported": ["agent_task"],
        });
        Ok(answer::json(200, document.to_string().into()))
    }

    async fn record_refusal(
        &self,
        problem: &Problem,
        server: &ServerName,
        caller: Option<&Caller>,
    ) {
        let view = caller
            .and_then(|caller| {
                self.decider
                    .replica()
                    .view(|state| state.caller(caller.task, caller.instance).ok())
                    .ok()
            })
            .flatten();
        let mut event = match caller {
            Some(caller) => {
                record::event(&self.ports, EventType::CallerRefused, caller, view.as_ref())
            }
            None => record::anonymous(&self.ports, EventType::CallerRefused),
        };
        event.action = Some(Action {
            op: "mcp".to_owned(),
            effect: None,
            server: Some(server.clone()),
            tool: None,
            definition: None,
            request_id: None,
        });
        event.outcome = Some(record::refused(problem.code));
        record::narrow(&self.ports, event).await;
    }
}

/// Words of the OAuth `scope` parameter for a server (`docs/reference/scope.md`).
fn words(server: &ServerName, effects: &[Effect]) -> String {
    let words = effects
        .iter()
        .map(|effect| format!("{server}:{}", effect.as_str()));
    words.collect::<Vec<_>>().join(" ")
}

/// As the inside of an HTTP quoted string.
fn quotable(text: &str) -> String {
    text.chars()
        .map(|letter| {
            if matches!(letter, ' ' | '!' | '#'..='[' | ']'..='~') {
                letter
            } else {
                '\''
            }
        })
        .collect()
}
