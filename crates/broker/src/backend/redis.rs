//! Redis, in class R1: an ACL user for each lease (Redis 7, ACL), on every node that is named, since ACLs do not replicate. The server gets
//! a SHA-256 of the password alone. Removing a user ends its connections. Nothing there ends by itself: if this node never comes back, its
//! users stay.

mod nodes;
mod rules;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ::redis::{Cmd, Value, cmd};
use bailiwick_core::lease::{BackendKind, Deployment, LeaseClass};
use bailiwick_core::name::CredentialName;
use bailiwick_core::{Secret, Timestamp};

use super::{
    Answer, Backend, BackendError, BadMember, BadServer, Description, Left, Made, Members, Object,
    Order, Probe, ServerAt, StaticSecret, Stray, Target, done,
};
use nodes::Nodes;

pub use rules::Rules;

/// Members of a credential that are this kind's own.
pub(super) const MEMBERS: &[&str] = &["rules"];

/// What a leased user is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserOf {
    /// What it may do.
    pub rules: Rules,
}

/// A backend of ACL users.
pub struct Redis {
    nodes: Nodes,
    users: BTreeMap<CredentialName, UserOf>,
}

impl UserOf {
    pub(super) fn read(members: Members<'_>) -> Result<Self, BadMember> {
        let help = "keys, channels and commands as ACL SETUSER takes them: ~orders:* +@read";
        let rules = members.needed("rules", help)?.parse();
        let rules = rules.map_err(|error: rules::BadRule| BadMember::new(error.to_string(), help));
        Ok(Self { rules: rules? })
    }
}

/// Refuses an address that this kind cannot use.
pub(super) fn check(at: &ServerAt) -> Result<(), BadServer> {
    nodes::addresses(at).map(drop)
}

impl Redis {
    /// A backend that opens `values` to log in. Nothing is connected yet.
    pub fn new(
        at: &ServerAt,
        users: BTreeMap<CredentialName, UserOf>,
        values: &Arc<StaticSecret>,
    ) -> Result<Self, BadServer> {
        let nodes = Nodes::new(at, values)?;
        Ok(Self { nodes, users })
    }

    async fn make(&self, order: &Order) -> Result<Made, BackendError> {
        let user = self.users.get(&order.credential).ok_or_else(|| {
            BackendError::Permanent(format!(
                "no rules are configured for credential {}",
                order.credential
            ))
        })?;
        let name = order.name.as_str();
        // SETUSER would change one that is there.
        for answer in self.nodes.each(&[acl("GETUSER").arg(name).take()]).await? {
            if !matches!(answer.as_slice(), [Value::Nil]) {
                return Err(BackendError::Permanent(format!("{name} is there already")));
            }
        }
        let hash = bailiwick_crypto::hash::sha256(&[order.secret.expose().as_bytes()]);
        let mut set = acl("SETUSER");
        set.arg(name)
            .arg("reset")
            .arg("on")
            .arg(format!("#{}", hash.to_hex()));
        for rule in user.rules.all() {
            set.arg(rule);
        }
        self.nodes.each(&[set]).await?;
        let mut access = self.nodes.access();
        access.insert("username".to_owned(), name.to_owned());
        Ok(Made {
            secret: Secret::new(order.secret.expose().clone()),
            access,
            serial: None,
        })
    }

    /// Names of all users, of all nodes.
    async fn names(&self) -> Result<HashSet<String>, BackendError> {
        let answers = self.nodes.each(&[acl("USERS")]).await?;
        Ok(answers.iter().flatten().flat_map(texts).collect())
    }

    async fn found(&self, ours: &Deployment) -> Result<Vec<Object>, BackendError> {
        let names = self.names().await?;
        let object = |name: String| {
            Some(Object {
                lease: ours.lease(&name)?,
                name,
                serial: None,
            })
        };
        Ok(names.into_iter().filter_map(object).collect())
    }

    async fn stands(&self, ours: &Deployment) -> Result<Probe, BackendError> {
        let odd = || BackendError::Permanent("its answer is not understood".to_owned());
        let info = cmd("INFO").arg("server").take();
        let answers = self.nodes.each(&[info, cmd("TIME")]).await?;
        let mut clocks = Vec::new();
        for answer in &answers {
            let time = answer.get(1).map(texts).unwrap_or_default();
            let [seconds, micros] = time.as_slice() else {
                return Err(odd());
            };
            let seconds: i64 = seconds.parse().map_err(|_| odd())?;
            let micros: i64 = micros.parse().map_err(|_| odd())?;
            clocks.push(seconds.saturating_mul(1_000_000).saturating_add(micros));
        }
        let info = answers.first().and_then(|answer| answer.first());
        let info = info.and_then(text).ok_or_else(odd)?;
        let version = info
            .lines()
            .find_map(|line| line.strip_prefix("redis_version:"));
        // Of several clocks the one that is furthest behind: by it an end would come last.
        let clock = clocks.into_iter().min().ok_or_else(odd)?;
        let names = self.names().await?;
        Ok(Probe {
            version: version.unwrap_or_default().trim().to_owned(),
            clock: Timestamp::from_micros(clock),
            generation: names.iter().filter_map(|name| ours.generation(name)).max(),
        })
    }

    async fn switch_off(&self, slice: &[Target]) -> Result<(), BackendError> {
        let there = self.names().await?;
        let off = |target: &Target| acl("SETUSER").arg(&target.name).arg("off").take();
        let known = |target: &&Target| there.contains(&target.name);
        let all: Vec<Cmd> = slice.iter().filter(known).map(off).collect();
        self.nodes.each(&all).await.map(drop)
    }

    async fn end_sessions(&self, slice: &[Target]) -> Result<u64, BackendError> {
        let kill = |target: &Target| {
            let mut kill = cmd("CLIENT");
            kill.arg("KILL").arg("USER").arg(&target.name).take()
        };
        let open = self.sessions().await?;
        let busy = |target: &&Target| open.contains_key(&target.name);
        let all: Vec<Cmd> = slice.iter().filter(busy).map(kill).collect();
        // One that is gone meanwhile is no error, so answers are looked at by the next count.
        self.nodes.each_whatever(&all).await?;
        let seen = slice.iter().filter_map(|target| open.get(&target.name));
        Ok(seen.sum())
    }

    async fn delete(&self, slice: &[Target]) -> Result<(), BackendError> {
        let mut delete = acl("DELUSER");
        for target in slice {
            delete.arg(&target.name);
        }
        if slice.is_empty() {
            return Ok(());
        }
        self.nodes.each(&[delete]).await.map(drop)
    }

    async fn look(&self, slice: &[Target]) -> Result<Vec<Left>, BackendError> {
        let there = self.names().await?;
        let open = self.sessions().await?;
        // A file that still has them would bring them back with the next start of the server.
        self.nodes.save().await?;
        let left = |target: &Target| Left {
            absent: !there.contains(&target.name),
            sessions: open.get(&target.name).copied().unwrap_or(0),
        };
        Ok(slice.iter().map(left).collect())
    }

    /// Open connections by user.
    async fn sessions(&self) -> Result<HashMap<String, u64>, BackendError> {
        let list = cmd("CLIENT").arg("LIST").take();
        let mut open = HashMap::new();
        for answer in self.nodes.each(&[list]).await?.iter().flatten() {
            let listed = text(answer).unwrap_or_default();
            let users = listed
                .lines()
                .filter_map(|line| line.split(' ').find_map(|part| part.strip_prefix("user=")));
            for user in users {
                *open.entry(user.to_owned()).or_default() += 1;
            }
        }
        Ok(open)
    }

    async fn leave_mark(&self, ours: &Deployment, generation: u64) -> Result<(), BackendError> {
        let new = ours.marker(generation);
        // Inert: it is off, has no password and may nothing.
        let mut all = vec![acl("SETUSER").arg(&new).arg("reset").take()];
        let names = self.names().await?;
        let old = names.iter().filter(|name| ours.generation(name).is_some());
        all.extend(old.filter(|name| **name != new).map(|name| {
            let mut delete = acl("DELUSER");
            delete.arg(name).take()
        }));
        self.nodes.each(&all).await?;
        self.nodes.save().await
    }
}

impl Backend for Redis {
    fn describe(&self) -> Description {
        Description {
            kind: BackendKind::Redis,
            class: LeaseClass::R1,
            native_end: BackendKind::Redis.native_end(),
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

    /// None: a connection does not outlive its user.
    fn strays<'a>(&'a self, _ours: &'a Deployment) -> Answer<'a, Vec<Stray>> {
        done(Vec::new())
    }

    fn disable<'a>(&'a self, slice: &'a mut [Target]) -> Answer<'a, ()> {
        Box::pin(self.switch_off(slice))
    }

    fn kill_sessions<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, u64> {
        Box::pin(self.end_sessions(slice))
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

fn acl(verb: &str) -> Cmd {
    let mut acl = cmd("ACL");
    acl.arg(verb);
    acl
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}

/// The texts of a list. A name that is no text is none of ours.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) | Value::Set(values) => values.iter().filter_map(text).collect(),
        _ => Vec::new(),
    }
}
