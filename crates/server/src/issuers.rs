//! What tokens of outside OIDC issuers say, of workloads or of people; and the keys of those issuers (OpenID Connect Discovery §4, RFC 7517): fetched when a token names one, kept for a while, and asked for
//! anew at most every 30 seconds, whatever tokens name.

mod fetch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bailiwick_core::name::{AgentName, UserId};
use bailiwick_core::{Clock, Code, Fault, Problem, Timestamp};
use bailiwick_crypto::token::outside::{self, OutsideVerifier};
use bailiwick_crypto::token::{KeySet, OutsideKeys};
use bailiwick_identity::remote::Proven;
use bailiwick_identity::remote::oidc::{self, Preset};
use tokio::sync::Mutex;

use crate::config::IssuerAt;
pub use fetch::BadAuthorities;
use fetch::Place;

/// Keys that are older are asked for anew when they are needed.
const REFRESH_AFTER: Duration = Duration::from_mins(10);
/// Keys that are older are not used, even if the issuer cannot be reached.
const MAX_AGE: Duration = Duration::from_hours(1);
/// An issuer is asked at most this often.
const ASK_EVERY: Duration = Duration::from_secs(30);

/// The configured issuers.
pub struct Issuers {
    by_name: BTreeMap<String, Issuer>,
    clock: Arc<dyn Clock>,
}

struct Issuer {
    /// Who may act for its users, if it is one of people.
    agents: Option<BTreeSet<AgentName>>,
    preset: Preset,
    verifier: OutsideVerifier,
    place: Place,
    kept: RwLock<Option<Kept>>,
    /// When it was asked last, in time since boot. Held while it is asked, so that one asks for all who wait.
    asked: Mutex<Option<Duration>>,
}

/// Keys, and since when they are known, in time since boot.
#[derive(Clone)]
struct Kept {
    keys: KeySet<OutsideKeys>,
    since: Duration,
}

impl Issuers {
    /// The issuers of a configuration. Without an audience of its own a token has to be for `us`.
    pub fn new(
        configured: &[IssuerAt],
        us: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BadAuthorities> {
        let mut by_name = BTreeMap::new();
        for at in configured {
            let audience = at.audience.as_deref().unwrap_or(us);
            let issuer = Issuer {
                agents: at.agents.clone(),
                preset: at.preset,
                verifier: OutsideVerifier::new(&at.url, audience, at.algorithms.clone()),
                place: Place::of(at)?,
                kept: RwLock::default(),
                asked: Mutex::default(),
            };
            by_name.insert(at.name.clone(), issuer);
        }
        Ok(Self { by_name, clock })
    }

    /// What a token of the issuer of this name proves.
    pub async fn read(&self, name: &str, token: &str) -> Result<Proven, Problem> {
        let of_workloads = |issuer: &&Issuer| issuer.agents.is_none();
        let issuer = self.by_name.get(name).filter(of_workloads);
        let issuer = issuer.ok_or_else(|| {
            let known = self.by_name.iter();
            let known = known.filter(|(_, issuer)| of_workloads(issuer));
            let known: Vec<&str> = known.map(|(name, _)| name.as_str()).collect();
            let help = match known.as_slice() {
                [] => "an operator names them in [[identity.issuers]]".to_owned(),
                known => format!("issuers are {}", known.join(", ")),
            };
            Problem::new(Code::InvalidInput, "no such issuer counts here", help)
        })?;
        let keys = issuer.keys_for(token, &*self.clock).await?;
        let now = self.clock.wall();
        oidc::read(issuer.preset, &issuer.verifier, &keys, token, now)
    }

    /// Who a person is by a token of an issuer of people, if this agent may act for them; and when the token ends.
    pub async fn user(
        &self,
        token: &str,
        agent: &AgentName,
    ) -> Result<(UserId, Timestamp), Problem> {
        let url = outside::issuer_of(token).map_err(|error| error.problem())?;
        let named = self.by_name.iter().find_map(|(name, issuer)| {
            let agents = issuer.agents.as_ref()?;
            (issuer.verifier.issuer() == url).then_some((name, issuer, agents))
        });
        let (name, issuer, agents) = named.ok_or_else(|| {
            let message = "the token is from no issuer whose users count here";
            let help = "an operator names it: [[identity.issuers]] with use = \"user\"";
            Problem::new(Code::TokenInvalid, message, help)
        })?;
        if !agents.contains(agent) {
            let message = format!("agent {agent} may not act for users of {name}");
            let help = "an operator names the agents that may: [[identity.issuers]] agents";
            return Err(Problem::new(Code::NotPermitted, message, help));
        }
        let keys = issuer.keys_for(token, &*self.clock).await?;
        let claims = issuer
            .verifier
            .verify(token, &keys, self.clock.wall())
            .map_err(|error| error.problem())?;
        let user = format!("user:{name}:{}", claims.subject).parse();
        let user = user.map_err(|_| {
            let message =
                "the issuer's name for the user is longer than 240 visible ASCII characters";
            Problem::new(Code::TokenInvalid, message, "")
        })?;
        Ok((user, claims.expires))
    }
}

impl Issuer {
    /// The keys that a token has to verify by.
    async fn keys_for(
        &self,
        token: &str,
        clock: &dyn Clock,
    ) -> Result<KeySet<OutsideKeys>, Problem> {
        let kid = self.verifier.kid(token).map_err(|error| error.problem())?;
        self.keys(&kid, clock).await
    }

    /// Its keys: those that are kept if `kid` is among them, else newer ones if it is time to ask.
    async fn keys(&self, kid: &str, clock: &dyn Clock) -> Result<KeySet<OutsideKeys>, Problem> {
        if let Some(keys) = self.fresh(kid, clock.monotonic()) {
            return Ok(keys);
        }
        let mut asked = self.asked.lock().await;
        let now = clock.monotonic();
        // Somebody may have asked while this one waited.
        if let Some(keys) = self.fresh(kid, now) {
            return Ok(keys);
        }
        if asked.is_none_or(|last| now.saturating_sub(last) >= ASK_EVERY) {
            *asked = Some(now);
            match self.place.keys().await {
                Ok(keys) => {
                    let kept = Kept { keys, since: now };
                    *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(kept);
                }
                Err(error) => {
                    let issuer = self.verifier.issuer();
                    tracing::warn!(issuer, %error, "the keys of an issuer cannot be had");
                }
            }
        }
        // What is there now is the answer: a key that is not among it is one that the issuer does not have.
        match self.kept() {
            Some(kept) if now.saturating_sub(kept.since) < MAX_AGE => Ok(kept.keys),
            _ => Err(Problem::new(
                Code::IssuerDown,
                format!("the keys of {} cannot be had", self.verifier.issuer()),
                "try again in half a minute; the node's log says why",
            )),
        }
    }

    fn kept(&self) -> Option<Kept> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.clone()
    }

    fn fresh(&self, kid: &str, now: Duration) -> Option<KeySet<OutsideKeys>> {
        let kept = self.kept()?;
        let fresh = now.saturating_sub(kept.since) < REFRESH_AFTER;
        (fresh && kept.keys.key(kid).is_some()).then_some(kept.keys)
    }
}

#[cfg(test)]
mod tests;
