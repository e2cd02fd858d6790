//! What the tests of several modules share: a clock that stands, tokens signed by hand, and claims that are good.

use std::time::Duration;

use bailiwick_core::id::{TaskId, TokenId};
use bailiwick_core::spiffe_id::{SpiffeId, TrustDomain};
use bailiwick_core::{Clock, Digest, Timestamp};
use serde_json::{Value, json};

use crate::base64url;
use crate::keys::SigningKey;
use crate::token::jwt_svid::{Audiences, SvidClaims};
use crate::token::task::{
    Actor, AgentTask, AgentTaskKind, Confirmation, Profile, Provenance, TaskClaims, TaskSubject,
};

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://console.example";
pub(crate) const SVID_ISSUER: &str = "https://console.example/svid";
pub(crate) const RESOURCE: &str = "https://gateway.example/mcp/github";
pub(crate) const INSTANCE: &str =
    "spiffe://example.org/agent/triage/inst_01h2xcejqtf2nbrexx3vqjhp41";

/// A clock that shows what it is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) wall: i64,
    pub(crate) boot: u64,
}

impl Clock for At {
    fn wall(&self) -> Timestamp {
        Timestamp::from_secs(self.wall)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.boot)
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_secs(NOW)
}

pub(crate) fn trust_domain() -> TrustDomain {
    "example.org".parse().unwrap()
}

pub(crate) fn instance() -> SpiffeId {
    INSTANCE.parse().unwrap()
}

/// A compact token of any header and payload text, signed by `sign`.
pub(crate) fn compact(header: &str, payload: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let input = format!(
        "{}.{}",
        base64url::encode(header.as_bytes()),
        base64url::encode(payload.as_bytes())
    );
    let signature = base64url::encode(&sign(input.as_bytes()));
    format!("{input}.{signature}")
}

/// The same, signed by an ES256 key.
pub(crate) fn es256(key: &SigningKey, header: &Value, payload: &Value) -> String {
    compact(&header.to_string(), &payload.to_string(), |input| {
        key.sign(input).unwrap().to_vec()
    })
}

pub(crate) fn task_claims(key: &SigningKey) -> TaskClaims {
    TaskClaims {
        iss: ISSUER.into(),
        sub: TaskSubject::User("user:local:alice".parse().unwrap()),
        aud: RESOURCE.into(),
        client_id: INSTANCE.into(),
        iat: NOW,
        exp: NOW + 300,
        jti: TokenId::from_bits(7),
        scope: "github:read".into(),
        cnf: Some(Confirmation::Key(key.thumbprint().clone())),
        act: Actor {
            sub: instance(),
            iss: ISSUER.into(),
            sub_profile: Profile::AiAgent,
            act: None,
        },
        may_act: None,
        authorization_details: vec![AgentTask {
            kind: AgentTaskKind::AgentTask,
            task_id: TaskId::from_bits(8),
            scope_digest: Digest([9; 32]),
            deadline: NOW + 3_600,
            depth: 1,
            grants: None,
        }],
        bailiwick: Provenance {
            v: 1,
            epoch: 1,
            seq: 42,
            parents: vec![],
        },
    }
}

pub(crate) fn svid_claims(audiences: &[&str]) -> SvidClaims {
    SvidClaims {
        iss: SVID_ISSUER.into(),
        sub: instance(),
        aud: Audiences::new(
            audiences
                .iter()
                .map(|audience| (*audience).to_owned())
                .collect(),
        )
        .unwrap(),
        iat: NOW,
        exp: NOW + 300,
    }
}

/// Claims as JSON with one member replaced, or taken out where the value is null.
pub(crate) fn with(claims: &impl serde::Serialize, name: &str, value: Value) -> Value {
    let mut claims = json!(claims);
    let members = claims.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), value);
    }
    claims
}
