//! People on their way from a client's request to their answer. What they carry from step to step is sealed in a cookie of their own
//! browser, so that strangers who start and never finish cost this node no memory, and nobody goes on in another browser's stead.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use bailiwick_core::name::UserId;
use bailiwick_core::{Clock, Code, Digest, Problem, Rng, Timestamp};
use bailiwick_crypto::aead::{AeadKey, KEY_LEN};
use bailiwick_crypto::pkce;
use bailiwick_crypto::system::random;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::http::session::cookie;
use crate::login::Login;

/// A step is taken within this time.
pub const MAX_PAUSE: Duration = Duration::from_mins(10);
/// Answers remembered, each for [`MAX_PAUSE`]; beyond it nobody can answer until some are forgotten.
const MAX_ANSWERS: usize = 65_536;
/// Longest cookie that browsers keep (RFC 6265 §6.1), name and attributes left aside.
const MAX_COOKIE: usize = 3_800;

/// The sign-ins of one node.
pub struct SignIns {
    /// Where people sign in.
    pub login: Login,
    /// A new one in each process: what was begun before a restart is begun again.
    key: AeadKey,
    /// Whether browsers reach this node by https.
    secure: bool,
    answered: Mutex<BTreeMap<String, Timestamp>>,
}

/// What a client asked for, checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Asked {
    /// Its id.
    pub client: String,
    /// The document in which it says who it is, if it was not registered.
    pub document: Option<Digest>,
    /// Where the answer goes: one of the client's.
    pub redirect_uri: String,
    /// Goes back with the answer.
    pub state: Option<String>,
    /// RFC 7636.
    pub challenge: String,
    /// The one resource.
    pub resource: String,
    /// Words `server:effect`.
    pub scope: String,
    /// RFC 9449 §10.
    pub jkt: Option<String>,
}

/// A step that a browser keeps.
pub trait Step: Serialize + DeserializeOwned {
    /// What its cookies are called by.
    const NAME: &'static str;
    /// Until when it counts.
    fn ends(&self) -> Timestamp;
}

/// Somebody was sent to the provider.
#[derive(Serialize, Deserialize)]
pub struct AtProvider {
    /// What for.
    pub asked: Asked,
    /// See [`crate::login::Started`].
    pub nonce: String,
    /// See [`crate::login::Started`].
    pub verifier: String,
    /// Until when they may come back.
    pub ends: Timestamp,
}

/// Somebody signed in and was shown what a client wants.
#[derive(Serialize, Deserialize)]
pub struct AtConsent {
    /// What for.
    pub asked: Asked,
    /// Who.
    pub user: UserId,
    /// The digest of the scope that is shown.
    pub shown: Digest,
    /// What the form has to say too.
    pub token: String,
    /// Until when they may answer.
    pub ends: Timestamp,
}

impl Step for AtProvider {
    const NAME: &'static str = "bailiwick-login";
    fn ends(&self) -> Timestamp {
        self.ends
    }
}

impl Step for AtConsent {
    const NAME: &'static str = "bailiwick-consent";
    fn ends(&self) -> Timestamp {
        self.ends
    }
}

impl SignIns {
    /// Sign-ins at this provider.
    pub fn new(login: Login, console_url: &str, rng: &dyn Rng) -> Self {
        Self {
            login,
            key: AeadKey::new(&random::<KEY_LEN>(rng)),
            secure: console_url.starts_with("https://"),
            answered: Mutex::default(),
        }
    }

    /// The cookie that takes a browser to the step called `id`.
    pub fn keep<S: Step>(&self, id: &str, step: &S, rng: &dyn Rng) -> Result<HeaderValue, Problem> {
        let name = self.name::<S>(id);
        let plain = serde_json::to_vec(step).map_err(|error| defect(&error.to_string()))?;
        let sealed = self.key.seal(rng, name.as_bytes(), &plain);
        let sealed = sealed.map_err(|error| defect(&error.to_string()))?;
        let text = URL_SAFE_NO_PAD.encode(sealed);
        if text.len() > MAX_COOKIE {
            return Err(Problem::new(
                Code::TooLarge,
                "the request is too long to be kept while you sign in",
                "the client can shorten its `state`",
            ));
        }
        self.cookie(&format!("{name}={text}"), MAX_PAUSE)
    }

    /// The step called `id`, if this browser was taken to it and it still counts.
    pub fn step<S: Step>(
        &self,
        id: &str,
        headers: &HeaderMap,
        clock: &dyn Clock,
    ) -> Result<S, Problem> {
        let name = self.name::<S>(id);
        let gone = || {
            Problem::new(
                Code::LoginRefused,
                "this page is not for this browser, or it is too late",
                "start again from the client, in one browser, within 10 minutes",
            )
        };
        let sealed = cookie(headers, &name).ok_or_else(gone)?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| gone())?;
        let plain = self
            .key
            .open(name.as_bytes(), &sealed)
            .map_err(|_| gone())?;
        let step: S = serde_json::from_slice(&plain).map_err(|_| gone())?;
        if clock.wall() >= step.ends() {
            return Err(gone());
        }
        Ok(step)
    }

    /// The cookie that makes a browser forget a step.
    pub fn forget<S: Step>(&self, id: &str) -> Result<HeaderValue, Problem> {
        self.cookie(&format!("{}=", self.name::<S>(id)), Duration::ZERO)
    }

    /// Takes the one answer that a step can have.
    pub fn answer(&self, id: &str, now: Timestamp) -> Result<(), Problem> {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.retain(|_, until| now < *until);
        if answered.len() >= MAX_ANSWERS {
            return Err(Problem::new(
                Code::Overloaded,
                "too many people answer at once",
                "try again in a few minutes",
            ));
        }
        if answered
            .insert(id.to_owned(), now.plus(MAX_PAUSE))
            .is_some()
        {
            return Err(Problem::new(
                Code::Conflict,
                "this was answered already",
                "start again from the client",
            ));
        }
        Ok(())
    }

    fn name<S: Step>(&self, id: &str) -> String {
        // `__Host-`: no other host and no page in the clear can have set it (RFC 6265bis §4.1.3.2).
        let prefix = if self.secure { "__Host-" } else { "" };
        format!("{prefix}{}-{id}", S::NAME)
    }

    /// `Lax`: it has to come along when the provider sends people back, and never with a form of another site.
    fn cookie(&self, pair: &str, life: Duration) -> Result<HeaderValue, Problem> {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!(
            "{pair}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
            life.as_secs()
        );
        HeaderValue::from_str(&text).map_err(|error| defect(&error.to_string()))
    }
}

/// Whether text can be the name of a step: one of ours.
pub fn is_step(id: &str) -> bool {
    pkce::is_challenge(id)
}

fn defect(what: &str) -> Problem {
    Problem::new(Code::Internal, format!("a step cannot be kept: {what}"), "")
}
