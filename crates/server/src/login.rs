//! Signing people in at the OpenID provider of `[oauth] login`: authorization code with PKCE, `state` and `nonce` (OpenID Connect Core §3.1,
//! RFC 9700 §2.1). The provider says who somebody is; what they may do is decided here.

mod provider;

use std::sync::Arc;

use bailiwick_core::name::UserId;
use bailiwick_core::spiffe_id::TrustDomain;
use bailiwick_core::{Clock, Code, Fault, Problem, Secret};
use bailiwick_crypto::pkce;
use bailiwick_crypto::token::id_token::{IdClaims, IdToken};
use bailiwick_crypto::token::{TokenError, Verifier};
use reqwest::Url;
use serde::Deserialize;

use crate::config::LoginAt;
use crate::node::StartError;
use crate::outbound::Outbound;
use crate::secret_file;
pub(crate) use provider::form_of;
use provider::{Provider, Stale};

/// The provider, and what this node is there.
pub struct Login {
    at: LoginAt,
    secret: Secret<String>,
    /// Where people come back to.
    redirect_uri: String,
    provider: Provider,
    clock: Arc<dyn Clock>,
    /// Verifiers take one; ID tokens name no SPIFFE ID.
    trust_domain: TrustDomain,
}

/// What a login was started with; the same browser has to come back with it.
#[derive(Debug, Clone, Copy)]
pub struct Started<'a> {
    /// `state`.
    pub state: &'a str,
    /// `nonce`.
    pub nonce: &'a str,
    /// The verifier of its challenge.
    pub verifier: &'a str,
}

/// What the provider sends people back with.
#[derive(Debug, Deserialize)]
pub struct Returned {
    /// Which login it answers.
    pub state: String,
    /// The provider's code.
    pub code: Option<String>,
    /// Why there is none.
    pub error: Option<String>,
    /// Who sends it (RFC 9207).
    pub iss: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

impl Login {
    /// Reads this node's secret; nothing is asked of the provider before somebody signs in.
    pub fn open(
        at: LoginAt,
        console_url: &str,
        private_hosts: &[String],
        clock: Arc<dyn Clock>,
        trust_domain: TrustDomain,
    ) -> Result<Self, StartError> {
        let secret = secret_file::read(
            &at.secret_file,
            "the secret of [oauth] login",
            "others could read the secret of [oauth] login",
        )?;
        let named = private_hosts.iter().chain([&at.issuer]);
        let outbound = Outbound::new(named.map(String::as_str), &[]);
        let outbound = outbound.map_err(|error| StartError::Defect(error.to_string()))?;
        Ok(Self {
            provider: Provider::new(&at.issuer, outbound, Arc::clone(&clock)),
            redirect_uri: format!("{console_url}/oauth/login"),
            secret,
            at,
            clock,
            trust_domain,
        })
    }

    /// The provider, as people know it.
    pub fn issuer(&self) -> &str {
        &self.at.issuer
    }

    /// Where to send somebody to sign in.
    pub async fn start(&self, started: &Started<'_>) -> Result<Url, Problem> {
        let metadata = self.provider.metadata().await?;
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.at.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", "openid")
            .append_pair("state", started.state)
            .append_pair("nonce", started.nonce)
            .append_pair("code_challenge", &pkce::challenge(started.verifier))
            .append_pair("code_challenge_method", pkce::METHOD);
        Ok(url)
    }

    /// Who came back. The caller found `started` in the browser that came.
    pub async fn finish(
        &self,
        started: &Started<'_>,
        returned: &Returned,
    ) -> Result<UserId, Problem> {
        let metadata = self.provider.metadata().await?;
        // RFC 9207 §2.4: an answer of somebody else's may carry somebody else's code.
        let named = returned.iss.as_deref();
        if named.is_some_and(|iss| iss != self.at.issuer)
            || (named.is_none() && metadata.names_itself)
        {
            return Err(refused("the answer is not from the configured provider"));
        }
        let code = match (&returned.code, &returned.error) {
            (Some(code), None) => code,
            (_, Some(error)) => {
                let error: String = error
                    .chars()
                    .filter(char::is_ascii_graphic)
                    .take(64)
                    .collect();
                return Err(refused(&format!("the provider answered {error}")));
            }
            (None, None) => return Err(refused("the provider's answer has no code")),
        };
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", started.verifier),
        ];
        let client = (self.at.client_id.as_str(), &self.secret);
        let answer = self.provider.token(&metadata, client, &form).await?;
        let tokens: Tokens = serde_json::from_slice(&answer)
            .map_err(|_| refused("the provider's answer has no ID token"))?;
        let claims = self.verified(&tokens.id_token).await?;
        if !claims.answers(started.nonce) {
            return Err(refused("the ID token answers another login"));
        }
        format!("user:{}:{}", self.at.name, claims.sub)
            .parse()
            .map_err(|_| {
                refused(
                    "the provider's name for the user is longer than 240 visible ASCII characters",
                )
            })
    }

    /// Verifies an ID token, with the provider's newest keys if its key is not among those known.
    async fn verified(&self, token: &str) -> Result<IdClaims, Problem> {
        let mut stale = Stale::May;
        loop {
            let keys = self.provider.keys(stale).await?;
            let verifier =
                Verifier::<IdToken>::new(keys, &self.at.issuer, self.trust_domain.clone());
            match verifier.verify(token, &self.at.client_id, self.clock.wall()) {
                Ok(token) => return Ok(token.into_claims()),
                Err(TokenError::UnknownKey { .. }) if stale == Stale::May => stale = Stale::MayNot,
                Err(error) => {
                    return Err(refused(&error.problem().message));
                }
            }
        }
    }
}

const SIGN_IN_AGAIN: &str =
    "start again from the client; if it stays so, an operator looks at [oauth] login";

pub(super) fn refused(message: &str) -> Problem {
    Problem::new(Code::LoginRefused, message, SIGN_IN_AGAIN)
}
