//! Registered clients that prove themselves with a key of their own (`private_key_jwt`: RFC 7523 §3, OpenID Connect Core §9): whose keys an
//! assertion has to verify by, and that it was not shown before.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_core::client::{ClientId, OAuthClient};
use bailiwick_core::event::EventType;
use bailiwick_core::{Code, Fault, Problem, Timestamp};
use bailiwick_crypto::replay::{Replay, ReplayStore};
use bailiwick_crypto::token::private_key_jwt::{LIFE, PrivateKeyJwt};
use bailiwick_crypto::token::{KeySet, Verifier};
use bailiwick_store::StoreError;

use super::TokenRefusal;
use crate::authority::Authority;

/// Assertions of one client that are remembered; whoever has shown more within five minutes waits.
const MAX_SHOWN: usize = 16_384;
/// Clients whose assertions are remembered.
const MAX_CLIENTS: usize = 4_096;

/// The assertions that were shown to this node while they could still pass.
#[derive(Debug)]
pub(crate) struct Assertions {
    /// What was made before is not known to be new: the node may have seen it before it was started.
    since: Timestamp,
    /// Of each client apart, so that none can fill the memory of the others.
    shown: Mutex<BTreeMap<ClientId, Arc<ReplayStore>>>,
}

impl Assertions {
    pub(crate) fn since(now: Timestamp) -> Self {
        Self {
            since: now,
            shown: Mutex::default(),
        }
    }

    fn of(&self, client: &ClientId) -> Option<Arc<ReplayStore>> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shown.get(client) {
            return Some(Arc::clone(known));
        }
        if shown.len() >= MAX_CLIENTS {
            return None;
        }
        let own = Arc::new(ReplayStore::new(MAX_SHOWN, LIFE));
        shown.insert(client.clone(), Arc::clone(&own));
        Some(own)
    }
}

impl Authority {
    /// Which registered client an assertion is of, once.
    pub async fn registered_client(&self, assertion: &str) -> Result<ClientId, TokenRefusal> {
        let known = self.claimed(assertion).await?;
        // A stranger chooses no text of the record.
        let asker = known.as_ref().map_or("client", |known| known.id.as_str());
        let proven = match &known {
            Some(client) => self.proven(client, assertion),
            None => Err(refused(Problem::new(
                Code::NotSignedIn,
                "no client of that name is registered with keys",
                "an operator registers it: `bailiwick client add --jwks FILE`",
            ))),
        };
        if let Err(refusal) = &proven {
            let kind = EventType::TokenRefused;
            self.refused(kind, "client.authenticate", asker, &refusal.problem)
                .await;
        }
        proven
    }

    /// The client that an assertion names, if it has keys.
    async fn claimed(&self, assertion: &str) -> Result<Option<OAuthClient>, TokenRefusal> {
        let claimed = PrivateKeyJwt::claimed_by(assertion);
        let claimed = claimed.map_err(|error| refused(error.problem()))?;
        let Ok(id) = claimed.parse::<ClientId>() else {
            return Ok(None);
        };
        let client = self
            .parts
            .store
            .read(move |rows| rows.oauth_client(&id))
            .await
            .map_err(|error: StoreError| TokenRefusal::from(error))?;
        Ok(client.filter(|client| client.jwks.is_some()))
    }

    fn proven(&self, client: &OAuthClient, assertion: &str) -> Result<ClientId, TokenRefusal> {
        let keys = client.jwks.as_ref().map(ToString::to_string);
        let keys = KeySet::of_client(keys.unwrap_or_default().as_bytes())
            .map_err(|error| TokenRefusal::of("server_error", error.problem()))?;
        let (parts, domain) = (&self.parts, self.parts.trust_domain.clone());
        let claims = Verifier::<PrivateKeyJwt>::new(keys, client.id.as_str(), domain)
            .verify(assertion, &parts.issuer, parts.clock.wall())
            .map_err(|error| refused(error.problem()))?
            .into_claims();
        let again = |message: &str| {
            let help = "make a new assertion for each request, with a `jti` of its own";
            refused(Problem::new(Code::TokenInvalid, message, help))
        };
        if claims.iat < self.assertions.since.as_secs() {
            return Err(again("the assertion was made before this node was started"));
        }
        let now = parts.clock.monotonic();
        let shown = self.assertions.of(&client.id).ok_or(Replay::Full);
        match shown.and_then(|shown| shown.admit(client.id.as_str(), &claims.jti, now)) {
            Ok(()) => Ok(client.id.clone()),
            Err(Replay::Known) => Err(again("the assertion was used before")),
            Err(Replay::Full) => Err(TokenRefusal::new(
                "temporarily_unavailable",
                Code::Overloaded,
                "too many assertions came within five minutes",
                "try again in a few minutes",
            )),
        }
    }
}

fn refused(problem: Problem) -> TokenRefusal {
    TokenRefusal::of("invalid_client", problem)
}
