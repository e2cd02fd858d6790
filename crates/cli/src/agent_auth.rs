//! How an agent gets its authority, with nothing but a URL and a task: who it is from the Workload API (JWT-SVID), what it may do
//! from the token endpoint (RFC 6749 §4.4, RFC 7523 §2.2, RFC 9396), each request proven with a key that never leaves the process
//! (RFC 9449). Where the endpoints are is discovered (RFC 9728, RFC 8414).

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bailiwick_core::id::TaskId;
use bailiwick_core::{Clock as _, Code, Problem, Secret};
use bailiwick_crypto::dpop::{Request, prove};
use bailiwick_crypto::keys::SigningKey;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use bailiwick_demo::agent::{Authorise, BoxError, Headers};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use crate::client::{Client, Exchange, Target, encode, refused};
use crate::failure::Failure;
use crate::workload::Workload;

/// Task tokens for one resource and task.
pub(crate) struct TaskTokens {
    workload: PathBuf,
    task: TaskId,
    resource: String,
    issuer: String,
    token_endpoint: String,
    key: SigningKey,
    token: tokio::sync::Mutex<Option<Token>>,
    nonce: Mutex<Option<String>>,
}

struct Token {
    value: Secret<String>,
    /// When to get the next one (`Clock::monotonic`).
    renew_at: Duration,
}

impl TaskTokens {
    /// Finds the token endpoint of the MCP server at `url`, and makes a key.
    pub(crate) async fn discover(
        url: &str,
        task: TaskId,
        workload: PathBuf,
    ) -> Result<Self, Failure> {
        let (origin, path) = split(url)?;
        let resource = get(
            &origin,
            &format!("/.well-known/oauth-protected-resource{path}"),
        )
        .await?;
        let issuer = text(
            resource.pointer("/authorization_servers/0"),
            "authorization_servers",
        )?;
        let (issuer_origin, _) = split(&issuer)?;
        let server = get(&issuer_origin, "/.well-known/oauth-authorization-server").await?;
        // RFC 8414 §3.3: a document that names another issuer is somebody else's.
        if server.get("issuer").and_then(Value::as_str) != Some(issuer.as_str()) {
            return Err(Problem::new(
                Code::TokenInvalid,
                format!("{issuer} names another issuer"),
                "",
            )
            .into());
        }
        Ok(Self {
            workload,
            task,
            resource: text(resource.get("resource"), "resource")?,
            token_endpoint: text(server.get("token_endpoint"), "token_endpoint")?,
            issuer,
            key: SigningKey::generate()?,
            token: tokio::sync::Mutex::new(None),
            nonce: Mutex::new(None),
        })
    }

    async fn token(&self) -> Result<Secret<String>, Failure> {
        let mut held = self.token.lock().await;
        let now = SystemClock.monotonic();
        if let Some(token) = held.as_ref().filter(|token| now < token.renew_at) {
            return Ok(token.value.clone());
        }
        let assertion = Workload::connect(&self.workload)
            .await?
            .jwt_svid(&self.issuer)
            .await?
            .svid;
        let body = form(&[
            ("grant_type", "client_credentials"),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe",
            ),
            ("client_assertion", &assertion),
            (
                "authorization_details",
                &json!([{"type": "agent_task", "task_id": self.task}]).to_string(),
            ),
            ("resource", &self.resource),
        ]);
        let mut answer = self.ask(&body, None).await?;
        // RFC 9449 §8: the first answer only brings the nonce.
        if let Some(nonce) = wanted_nonce(&answer) {
            answer = self.ask(&body, Some(&nonce)).await?;
        }
        if !answer.status.is_success() {
            return Err(refused(&answer));
        }
        let answer: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        let value = Secret::new(text(answer.get("access_token"), "access_token")?);
        let life = answer
            .get("expires_in")
            .and_then(Value::as_u64)
            .unwrap_or(0);
        *held = Some(Token {
            value: value.clone(),
            renew_at: now + Duration::from_secs(life) * 4 / 5,
        });
        Ok(value)
    }

    async fn ask(&self, body: &str, nonce: Option<&str>) -> Result<Exchange, Failure> {
        let request = Request {
            method: "POST",
            url: &self.token_endpoint,
            access_token: None,
        };
        let proof = prove(&self.key, &request, nonce, &SystemClock, &SystemRng)?;
        let (origin, path) = split(&self.token_endpoint)?;
        let headers = [
            (
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            ),
            (DPOP, header(&proof)?),
        ];
        Client::new(Target::parse(&origin, None)?)
            .exchange(Method::POST, &path, headers, body.to_owned().into())
            .await
    }

    async fn credentials(&self, method: &Method, url: &str) -> Result<Headers, Failure> {
        let token = self.token().await?;
        let nonce = self
            .nonce
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        // RFC 9449 §4.2: `htu` has neither query nor fragment.
        let plain = url.split(['?', '#']).next().unwrap_or(url);
        let request = Request {
            method: method.as_str(),
            url: plain,
            access_token: Some(token.expose()),
        };
        let proof = prove(
            &self.key,
            &request,
            nonce.as_deref(),
            &SystemClock,
            &SystemRng,
        )?;
        Ok(vec![
            (AUTHORIZATION, header(&format!("DPoP {}", token.expose()))?),
            (DPOP, header(&proof)?),
        ])
    }
}

impl Authorise for TaskTokens {
    fn headers<'a>(
        &'a self,
        method: &'a Method,
        url: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Headers, BoxError>> + Send + 'a>> {
        Box::pin(async move {
            self.credentials(method, url).await.map_err(|failure| {
                BoxError::from(format!(
                    "{}: {}",
                    failure.problem.code, failure.problem.message
                ))
            })
        })
    }

    fn learn_nonce(&self, nonce: &str) {
        *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = Some(nonce.to_owned());
    }
}

/// The nonce of an answer that refuses only for want of it.
fn wanted_nonce(answer: &Exchange) -> Option<String> {
    let document: Value = serde_json::from_slice(&answer.body).ok()?;
    if document.get("error")?.as_str()? != "use_dpop_nonce" {
        return None;
    }
    Some(answer.headers.get("dpop-nonce")?.to_str().ok()?.to_owned())
}

async fn get(origin: &str, path: &str) -> Result<Value, Failure> {
    Client::new(Target::parse(origin, None)?).get(path).await
}

/// Origin and path of an http URL.
fn split(url: &str) -> Result<(String, String), Failure> {
    let bad = || {
        Problem::new(
            Code::InvalidInput,
            format!("`{url}` is not an http URL"),
            "",
        )
    };
    let rest = url.strip_prefix("http://").ok_or_else(bad)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    Ok((format!("http://{authority}"), format!("/{path}")))
}

fn form(members: &[(&str, &str)]) -> String {
    members
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect::<Vec<_>>()
        .join("&")
}

fn header(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| Failure::internal("a token does not fit a header"))
}

fn text(value: Option<&Value>, name: &str) -> Result<String, Failure> {
    let text = value.and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| {
        Problem::new(
            Code::TokenInvalid,
            format!("the node's answer has no `{name}`"),
            "",
        )
        .into()
    })
}

const DPOP: HeaderName = HeaderName::from_static("dpop");

#[cfg(test)]
mod tests {
    //! URLs are taken apart and forms put together as their RFCs say.

    use super::{form, split};

    #[test]
    fn urls_and_forms() {
        let parts = |url: &str| split(url).ok();
        assert_eq!(
            parts("http://a:1/mcp/x"),
            Some(("http://a:1".to_owned(), "/mcp/x".to_owned()))
        );
        assert_eq!(
            parts("http://a:1"),
            Some(("http://a:1".to_owned(), "/".to_owned()))
        );
        assert_eq!(parts("ftp://a"), None);
        assert_eq!(
            form(&[("a", "b c"), ("d", "[{\"e\"}]")]),
            "a=b%20c&d=%5B%7B%22e%22%7D%5D"
        );
    }
}
