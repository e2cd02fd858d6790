//! What a launch shows to the listener of its own (05 of the design): the run token stands for one task and process there, and for nothing
//! anywhere else.

use std::net::SocketAddr;
use std::sync::Arc;

use bailiwick_core::id::{InstanceId, TaskId};
use bailiwick_core::{Digest, Rng, Secret};
use bailiwick_crypto::hash::{equal, sha256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, PROXY_AUTHORIZATION};

use super::Connector;
use super::slot::basic;
use crate::caller::Caller;

/// What run tokens begin with, so that scans for secrets know them.
const PREFIX: &str = "bwr_";

/// A run token: 32 random bytes, of which only the digest is kept. It is compared in constant time.
#[derive(Clone, PartialEq, Eq)]
pub struct RunToken(Digest);

/// One launch, as its listener knows it.
#[derive(Debug, Clone)]
pub struct Run {
    /// The task that it acts in.
    pub task: TaskId,
    /// The process that was launched.
    pub instance: InstanceId,
    /// What its processes show.
    pub token: RunToken,
    /// Where its listener is.
    pub listen: SocketAddr,
}

impl RunToken {
    /// A new token: its text, for the launched process alone, and what is kept of it.
    pub fn draw(rng: &dyn Rng) -> (Secret<String>, Self) {
        let mut bytes = [0_u8; 32];
        rng.fill(&mut bytes);
        let text = Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)));
        let kept = Self(sha256(&[text.expose().as_bytes()]));
        (text, kept)
    }

    /// Whether this is its text.
    pub fn is(&self, text: &str) -> bool {
        equal(&sha256(&[text.as_bytes()]).0, &self.0.0)
    }
}

impl std::fmt::Debug for RunToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RunToken(…)")
    }
}

impl Run {
    /// The caller that its processes are.
    pub fn caller(&self) -> Caller {
        Caller::attested(self.task, self.instance)
    }

    /// Whether a request shows the token: in the connector's slot, as a bearer token, or as the password of basic authentication.
    pub(crate) fn is_shown(
        &self,
        headers: &HeaderMap,
        query: &str,
        at: Option<&Arc<Connector>>,
    ) -> bool {
        let in_slot = at.and_then(|connector| connector.slot.shown(headers, query));
        let fields = [AUTHORIZATION, PROXY_AUTHORIZATION];
        let values = fields.iter().flat_map(|name| headers.get_all(name));
        let elsewhere = values.filter_map(|value| {
            let text = value.to_str().ok()?;
            let (scheme, rest) = text.split_once(' ')?;
            if scheme.eq_ignore_ascii_case("bearer") {
                return Some(rest.trim().to_owned());
            }
            let pair = basic(value)?;
            let (user, password) = pair.split_once(':')?;
            // Some clients have the token for a user's name, and no password.
            Some(if password.is_empty() { user } else { password }.to_owned())
        });
        in_slot
            .into_iter()
            .chain(elsewhere)
            .any(|text| self.token.is(&text))
    }
}
