//! OpenBao (and Vault), in class R2: a token of its own for each lease, an orphan that cannot be renewed, with policies that exist already. It
//! is made with a token role that has the lease's name: by that name it is found, and whatever was made with it is revoked by prefix. It
//! ends by itself with its lease.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::lease::{BackendKind, Deployment, LeaseClass};
use bailiwick_core::name::CredentialName;
use bailiwick_core::{Secret, Timestamp};
use reqwest::Method;
use reqwest::header::HeaderName;
use serde_json::{Value, json};

use super::web::{Said, Web};
use super::{
    Answer, Backend, BackendError, BadMember, BadServer, Description, Left, Made, Members, Object,
    Order, Probe, ServerAt, StaticSecret, Stray, Target, done, web,
};

/// Members of a credential that are this kind's own.
pub(super) const MEMBERS: &[&str] = &["policies"];
/// How an address is written.
pub(super) const FORM: &str = "https://bao.internal:8200";
/// Most policies of one credential.
const MAX_POLICIES: usize = 16;
/// Where a token is shown.
const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
/// The one policy of markers: nobody makes it, so it permits nothing.
const NONE: &str = "bailiwick-none";
const ROLES: &str = "v1/auth/token/roles";
/// Under which tokens are leased that were made with a role.
const MADE: &str = "v1/sys/leases/lookup/auth/token/create";

/// What a leased token is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOf {
    /// What it may do. `default` is not among them.
    pub policies: Vec<String>,
}

/// A backend of tokens.
pub struct OpenBao {
    web: Web,
    address: String,
    tokens: BTreeMap<CredentialName, TokenOf>,
    /// The token that this node itself has.
    secret: CredentialName,
    values: Arc<StaticSecret>,
}

impl TokenOf {
    pub(super) fn read(members: Members<'_>) -> Result<Self, BadMember> {
        let help = "names of policies, with a space between them";
        let policies = members.needed("policies", help)?.split_whitespace();
        let policies: Vec<String> = policies.map(str::to_owned).collect();
        let plain = |name: &String| {
            let mut bytes = name.bytes();
            name != "root"
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
        };
        if policies.is_empty() || policies.len() > MAX_POLICIES || !policies.iter().all(plain) {
            let what = format!(
                "`policies` has 1 to {MAX_POLICIES} names of letters, digits and - _ . /, and not root"
            );
            return Err(BadMember::new(what, help));
        }
        Ok(Self { policies })
    }
}

/// Refuses an address that this kind cannot use.
pub(super) fn check(at: &ServerAt) -> Result<(), BadServer> {
    let url = web::address(at, FORM)?;
    if !url.username().is_empty() || at.secret.is_none() {
        // It knows no users, only tokens.
        return Err(BadServer::Token);
    }
    Ok(())
}

impl OpenBao {
    /// A backend that opens `values` for its own token. Nothing is connected yet.
    pub fn new(
        at: &ServerAt,
        tokens: BTreeMap<CredentialName, TokenOf>,
        values: &Arc<StaticSecret>,
    ) -> Result<Self, BadServer> {
        Ok(Self {
            web: Web::new(at, FORM)?,
            address: at.url.trim_end_matches('/').to_owned(),
            tokens,
            secret: at.secret.clone().ok_or(BadServer::Token)?,
            values: Arc::clone(values),
        })
    }

    async fn make(&self, order: &Order) -> Result<Made, BackendError> {
        let token = self.tokens.get(&order.credential).ok_or_else(|| {
            BackendError::Permanent(format!(
                "no policies are configured for credential {}",
                order.credential
            ))
        })?;
        let (name, ttl) = (order.name.as_str(), seconds(order.lives));
        let role = format!("{ROLES}/{name}");
        // A role that is there would be changed.
        if self.get(&role).await?.is_some() {
            return Err(BackendError::Permanent(format!("{name} is there already")));
        }
        let about = json!({
            "allowed_policies": token.policies,
            "orphan": true,
            "renewable": false,
            "token_explicit_max_ttl": ttl,
            "token_no_default_policy": true,
            "token_type": "service",
        });
        self.put(&role, &about).await?;
        let about = json!({ "policies": token.policies, "display_name": name, "ttl": ttl });
        let made = self
            .put(&format!("v1/auth/token/create/{name}"), &about)
            .await?;
        let token = made.pointer("/auth/client_token").and_then(Value::as_str);
        let token = token
            .ok_or_else(|| BackendError::Permanent("its answer has no token in it".to_owned()))?;
        let access = [
            ("scheme", "openbao"),
            ("address", &self.address),
            ("username", name),
        ];
        Ok(Made {
            secret: Secret::new(token.to_owned()),
            access: access
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            serial: None,
        })
    }

    async fn found(&self, ours: &Deployment) -> Result<Vec<Object>, BackendError> {
        let object = |name: String| {
            Some(Object {
                lease: ours.lease(&name)?,
                name,
                serial: None,
            })
        };
        let names = self.names(ROLES).await?;
        Ok(names.into_iter().filter_map(object).collect())
    }

    async fn stands(&self, ours: &Deployment) -> Result<Probe, BackendError> {
        let health = self
            .ask(Method::GET, "v1/sys/health?standbyok=true", None)
            .await?;
        let health = answered(health)?.unwrap_or_default();
        let at = health.get("server_time_utc").and_then(Value::as_i64);
        let at =
            at.ok_or_else(|| BackendError::Permanent("its answer is not understood".to_owned()))?;
        // Ours is kept alive; one that needs no renewal may not be renewed.
        let renew = self.put("v1/auth/token/renew-self", &json!({})).await;
        if let Err(error) = renew {
            tracing::debug!(%error, "the node's own token was not renewed");
        }
        let names = self.names(ROLES).await?;
        let version = health.get("version").and_then(Value::as_str);
        Ok(Probe {
            version: version.unwrap_or_default().to_owned(),
            clock: Timestamp::from_secs(at),
            generation: names.iter().filter_map(|name| ours.generation(name)).max(),
        })
    }

    async fn end_tokens(&self, slice: &[Target]) -> Result<u64, BackendError> {
        let mut ended = 0;
        for target in slice {
            let live = self.live(&target.name).await?;
            if live > 0 {
                let path = format!(
                    "v1/sys/leases/revoke-prefix/auth/token/create/{}",
                    target.name
                );
                self.put(&path, &json!({ "sync": true })).await?;
            }
            ended += live;
        }
        Ok(ended)
    }

    async fn delete(&self, slice: &[Target]) -> Result<(), BackendError> {
        let mut failed = None;
        for target in slice {
            if let Err(error) = self.delete_role(&target.name).await {
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn delete_role(&self, name: &str) -> Result<(), BackendError> {
        let said = self
            .ask(Method::DELETE, &format!("{ROLES}/{name}"), None)
            .await?;
        answered(said).map(drop)
    }

    async fn look(&self, slice: &[Target]) -> Result<Vec<Left>, BackendError> {
        let mut left = Vec::new();
        for target in slice {
            let role = self.get(&format!("{ROLES}/{}", target.name)).await?;
            left.push(Left {
                absent: role.is_none(),
                sessions: self.live(&target.name).await?,
            });
        }
        Ok(left)
    }

    async fn left_over(&self, ours: &Deployment) -> Result<Vec<Stray>, BackendError> {
        let roles: BTreeSet<String> = self.names(ROLES).await?.into_iter().collect();
        let made = self.names(MADE).await?.into_iter();
        let names = made.map(|name| name.trim_end_matches('/').to_owned());
        let stray = |name: &String| ours.lease(name).is_some() && !roles.contains(name);
        Ok(names.filter(stray).map(Stray::Name).collect())
    }

    async fn leave_mark(&self, ours: &Deployment, generation: u64) -> Result<(), BackendError> {
        let new = ours.marker(generation);
        let inert = json!({
            "allowed_policies": [NONE],
            "orphan": true,
            "renewable": false,
            "token_no_default_policy": true,
        });
        self.put(&format!("{ROLES}/{new}"), &inert).await?;
        for name in self.names(ROLES).await? {
            if ours.generation(&name).is_some() && name != new {
                self.delete_role(&name).await?;
            }
        }
        Ok(())
    }

    /// Tokens that live and were made with a role.
    async fn live(&self, name: &str) -> Result<u64, BackendError> {
        let found = self.names(&format!("{MADE}/{name}")).await?;
        Ok(u64::try_from(found.len()).unwrap_or(u64::MAX))
    }

    /// What is listed at a path; nothing if there is nothing.
    async fn names(&self, path: &str) -> Result<Vec<String>, BackendError> {
        let said = self
            .ask(Method::GET, &format!("{path}?list=true"), None)
            .await?;
        let body = answered(said)?.unwrap_or_default();
        let keys = body.pointer("/data/keys").and_then(Value::as_array);
        let names = keys.into_iter().flatten().filter_map(Value::as_str);
        Ok(names.map(str::to_owned).collect())
    }

    async fn get(&self, path: &str) -> Result<Option<Value>, BackendError> {
        answered(self.ask(Method::GET, path, None).await?)
    }

    async fn put(&self, path: &str, body: &Value) -> Result<Value, BackendError> {
        let said = self.ask(Method::PUT, path, Some(body)).await?;
        let missing = || BackendError::Permanent(format!("there is no {path}"));
        answered(said)?.ok_or_else(missing)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Said, BackendError> {
        let token = self.values.value(&self.secret).await?;
        self.web.ask(method, path, (TOKEN, &token), body).await
    }
}

impl Backend for OpenBao {
    fn describe(&self) -> Description {
        Description {
            kind: BackendKind::OpenBao,
            class: LeaseClass::R2,
            native_end: BackendKind::OpenBao.native_end(),
            remote: true,
        }
    }

    fn probe<'a>(&'a self, ours: &'a Deployment) -> Answer<'a, Probe> {
        Box::pin(self.stands(ours))
    }

    fn create<'a>(&'a self, order: &'a Order) -> Answer<'a, Made> {
        Box::pin(self.make(order))
    }

    fn list<'a>(&'a self, ours: &'a Deployment) -> Answer<'a, Vec<Object>> {
        Box::pin(self.found(ours))
    }

    fn strays<'a>(&'a self, ours: &'a Deployment) -> Answer<'a, Vec<Stray>> {
        Box::pin(self.left_over(ours))
    }

    /// Nothing: only this node can make tokens with its roles.
    fn disable<'a>(&'a self, _slice: &'a mut [Target]) -> Answer<'a, ()> {
        done(())
    }

    fn kill_sessions<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, u64> {
        Box::pin(self.end_tokens(slice))
    }

    fn remove<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, ()> {
        Box::pin(self.delete(slice))
    }

    fn verify<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, Vec<Left>> {
        Box::pin(self.look(slice))
    }

    fn mark<'a>(&'a self, ours: &'a Deployment, generation: u64) -> Answer<'a, ()> {
        Box::pin(self.leave_mark(ours, generation))
    }
}

/// The body of a good answer; none if there is no such thing.
fn answered(said: Said) -> Result<Option<Value>, BackendError> {
    let told = || {
        let errors = said.body.get("errors").and_then(Value::as_array);
        let errors = errors.into_iter().flatten().filter_map(Value::as_str);
        let errors: Vec<&str> = errors.map(str::trim).collect();
        format!("{} ({})", errors.join("; "), said.status)
    };
    match said.status {
        200..=299 => Ok(Some(said.body)),
        404 => Ok(None),
        400..=499 if said.status != 429 => Err(BackendError::Permanent(told())),
        _ => Err(BackendError::Transient(told())),
    }
}

/// As the server reads it; at least one, since 0 means for ever there.
fn seconds(lives: Duration) -> String {
    format!("{}s", lives.as_secs().max(1))
}
